"""The lock of a journal's file, and beside it what the file's contents were last.

SQLite takes a commit that it cannot read at the end of its log for one that never ended, and goes back to
the one before. Whoever wrote it knows better: the tip, a digest over the last frames of all clusters,
stands in the lock file. It is not synced: after a loss of power it says nothing.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Final

from workers.journaltables import HeldError

if TYPE_CHECKING:
    from pathlib import Path

TIP_BYTES: Final = 16
#: no contents have this tip
_UNKNOWN: Final = b"\xff" * TIP_BYTES


class Tip:
    """A held lock with a note in it; the lock goes with the process, however it ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises HeldError."""
        self.path = path
        while True:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._descriptor)
                text = f"{path} is held by another worker: give each its own --state-dir"
                raise HeldError(text) from None
            if _is_at(self._descriptor, path):
                return
            os.close(self._descriptor)  # who held it has removed it

    def close(self) -> None:
        """Let go of the file; once more does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def allows(self, tip: bytes) -> bool:
        """Tell whether contents with this tip are what was written last; yes where nothing is noted."""
        noted = os.pread(self._descriptor, 2 * TIP_BYTES, 0)
        return not noted or tip in {noted[:TIP_BYTES], noted[TIP_BYTES:]}

    def note(self, *tips: bytes) -> None:
        """Note the tip of the contents, or while a commit is under way those before and after."""
        os.pwrite(self._descriptor, tips[0] + tips[-1], 0)

    @property
    def behind(self) -> bool:
        """Whether `note_behind` was the last note."""
        return os.pread(self._descriptor, TIP_BYTES, 0) == _UNKNOWN

    def note_behind(self) -> None:
        """Note that clients may have seen what could not be written; it takes no room on a full disk."""
        self.note(_UNKNOWN)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
