"""The number of this coordinator's reign. The Lease keeps the count, or a file where there is none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


class Reign(Protocol):
    """One coordinator's time; `LeaderElector` is one."""

    @property
    def epoch(self) -> int:
        """Its number. Every reign has a higher one than those before, as far as the count was kept."""

    async def raise_to(self, epoch: int) -> None:
        """Wait until its number is at least this, and kept.

        The count was lost when workers know a higher number than the newest coordinator. It returns
        only for a coordinator that still leads: one whose time is over must not get above its successor.
        """


class CountedReign:
    """A reign counted in a file; the lock on its folder lets one coordinator at a time count."""

    def __init__(self, path: Path) -> None:
        """Begin the next reign."""
        self._path = path
        try:
            last = int(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            last = 0
        self.epoch = last + 1
        self._keep()

    async def raise_to(self, epoch: int) -> None:
        """Count on from there."""
        self.epoch = max(self.epoch, epoch)
        self._keep()

    def _keep(self) -> None:
        fresh = self._path.with_suffix(".new")
        with open(fresh, "w", encoding="utf-8", opener=_private) as file:
            file.write(str(self.epoch))
        fresh.replace(self._path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
