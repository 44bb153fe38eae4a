"""What this process takes of its host."""

from __future__ import annotations

import gc
import os
import resource
from pathlib import Path
from typing import Final

_PAGE_BYTES: Final = resource.getpagesize()
_STATM: Final = Path("/proc/self/statm")


def settle() -> None:
    """Let the garbage collector look no more at what is there now: modules and tables stay to the end.

    To look at all of it stops the loop for 30 to 60 ms, every few hundred connections.
    """
    gc.freeze()


def usage() -> dict[str, float]:
    """Return its id, CPU seconds so far and resident bytes, in the names that views show them by."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "pid": os.getpid(),
        "cpuSeconds": round(used.ru_utime + used.ru_stime, 2),
        "residentBytes": _resident_bytes(used.ru_maxrss * 1024),
    }


def _resident_bytes(most: int) -> int:
    """Return what is resident now; where no /proc tells, the most there ever was."""
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except OSError:
        return most
