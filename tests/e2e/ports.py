"""Free ports, never the same for two runs on this machine, nor twice in one run.

A port that is free now may be taken before the process it was meant for listens. So a run claims
slots of a hundred ports, each by a file lock that goes with the run, and hands out every port once.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import Final

# Linux gives outgoing connections 32768-60999, and the Go provider listens from 20000 to 24000
_FIRST: Final = 24_100
_SLOTS: Final = 80
_SLOT_SIZE: Final = 100
_LOCKS: Final = Path(tempfile.gettempdir()) / f"capim-e2e-ports-{os.getuid()}"


class _Claims:
    """The slots of this process and what is left of the last one."""

    def __init__(self) -> None:
        self._left = range(0)
        self._locks: list[int] = []  # open until the process ends

    def take(self, size: int) -> range:
        """Return `size` free ports in a row that nobody was given before."""
        while True:
            if len(self._left) < size:
                self._left = self._claim(-(-size // _SLOT_SIZE))
            taken, self._left = self._left[:size], self._left[size:]
            if all(_is_free(port) for port in taken):
                return taken

    def _claim(self, count: int) -> range:
        """Claim `count` slots in a row and return their ports."""
        _LOCKS.mkdir(exist_ok=True)
        starts = list(range(_SLOTS - count + 1))
        random.SystemRandom().shuffle(starts)
        for start in starts:
            locks = [_lock(slot) for slot in range(start, start + count)]
            self._locks += (held := [lock for lock in locks if lock is not None])
            if len(held) == count:
                first = _FIRST + start * _SLOT_SIZE
                return range(first, first + count * _SLOT_SIZE)
        message = f"no {count * _SLOT_SIZE} ports in a row that no other run has claimed"
        raise OSError(message)


def _lock(slot: int) -> int | None:
    """Lock a slot for this process; None when it is somebody's, this process's included."""
    descriptor = os.open(_LOCKS / str(slot), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


_CLAIMS: Final = _Claims()


def free_range(size: int) -> range:
    """Return `size` ports in a row that nobody listens on."""
    return _CLAIMS.take(size)


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that nobody listens on."""
    return list(_CLAIMS.take(count))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
