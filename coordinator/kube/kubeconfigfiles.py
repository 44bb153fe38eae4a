"""A kubeconfig and the files it names, and whether they change.

They are looked at, a `stat` call each, so that it does not matter how they are replaced: written over,
renamed, or behind a link that the kubelet turns.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

_Signature: TypeAlias = tuple[int, int, int] | None

#: of the clusters and users in a kubeconfig, whose values are paths
_PATHS: Final = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


class KubeconfigFiles:
    """The files as they were when they were last looked at."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._own: _Signature = None
        self._named: list[Path] = []
        self._seen = self._look()

    def changed(self) -> bool:
        """Look, and say whether any file is another than at the last look."""
        before, self._seen = self._seen, self._look()
        return self._seen != before

    def _look(self) -> list[_Signature]:
        own = _signature(Path(self.path))
        if own != self._own:
            self._own = own
            self._named = list(_named(Path(self.path)))
        return [own, *(_signature(path) for path in self._named)]


def _signature(path: Path) -> _Signature:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _named(path: Path) -> Iterator[Path]:
    """Yield what a kubeconfig names; nothing of one that is none, which whoever loads it will tell."""
    try:
        found = yaml.safe_load(path.read_bytes())
        clusters = [entry["cluster"] for entry in found["clusters"]]
        users = [entry["user"] for entry in found["users"]]
        for part in clusters + users:
            yield from (path.parent / part[key] for key in _PATHS if part.get(key))
    except (OSError, yaml.YAMLError, LookupError, TypeError, AttributeError):
        return
