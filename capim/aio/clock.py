"""Where time comes from: clocks of the system in production, hand-turned ones in tests.

What is written down or shown is told by the wall clock. How long something has taken is told by the
steady one: the wall clock is set, by a person or when a suspended host wakes, and whoever then takes an
hour for a silence of its peer ends what is well.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds, since the epoch unless it is said otherwise. Pure code takes one as `Callable[[], float]`."""

    def __call__(self) -> float:
        """Return the current time in seconds."""


def wall_clock() -> float:
    """Return the wall clock's time; the one place that reads it."""
    return time.time()  # noqa: TID251 - this is the Clock the rule sends everybody to


def steady_clock() -> float:
    """Return seconds since an unknown moment; never set, and it stands while the host is suspended."""
    return time.monotonic()


class ManualClock:
    """A clock that stands still until a test turns it."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time the test set."""
        return self.now

    def advance(self, seconds: float) -> float:
        """Turn the clock forward and return the new time."""
        self.now += seconds
        return self.now
