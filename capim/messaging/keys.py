"""CURVE keys of the processes that speak over TCP: one pair each, as files of a folder.

`NAME.key` holds the public key, `NAME.key_secret` both, in ZeroMQ's own certificate format. The coordinator
needs its own secret file and the public files of the workers it admits; a worker needs its own secret file
and the coordinator's public one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import zmq.auth

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

COORDINATOR: Final = "coordinator"


class KeyFileError(ValueError):
    """A key cannot be read; the message names the file and the fix."""


@dataclass(frozen=True, slots=True)
class CurvePair:
    """A process's own keys, in Z85."""

    public: bytes
    secret: bytes = field(repr=False)  #: no traceback may show it


def make_keys(folder: Path, names: Iterable[str]) -> list[str]:
    """Make a pair for each name that has none yet, private to this user, and return those names."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    missing = [name for name in names if not (folder / f"{name}.key_secret").exists()]
    for name in missing:
        _, secret_file = zmq.auth.create_certificates(folder, name)
        (folder / secret_file).chmod(0o600)
    return missing


def load_pair(folder: Path, name: str) -> CurvePair:
    """Read a process's own pair. Raises KeyFileError."""
    public, secret = _load(folder, f"{name}.key_secret", name)
    if secret is None:
        raise KeyFileError(f"{folder / name}.key_secret has no secret key: {_fix(folder, name)}")
    return CurvePair(public, secret)


def load_public(folder: Path, name: str) -> bytes:
    """Read another process's public key. Raises KeyFileError."""
    return _load(folder, f"{name}.key", name)[0]


def _load(folder: Path, file: str, name: str) -> tuple[bytes, bytes | None]:
    try:
        return zmq.auth.load_certificate(folder / file)
    except (OSError, ValueError) as error:
        raise KeyFileError(f"{folder / file}: {error}: {_fix(folder, name)}") from error


def _fix(folder: Path, name: str) -> str:
    return f"`capim keys {folder} {name}` makes it"
