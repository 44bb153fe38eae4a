"""Where time comes from: the wall clock in production, a hand-turned one in tests."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds since the epoch. Pure code takes one as `Callable[[], float]`."""

    def __call__(self) -> float:
        """Return the current time in seconds since the epoch."""


def wall_clock() -> float:
    """Return the wall clock's time; the one place that reads it."""
    return time.time()  # noqa: TID251 - this is the Clock the rule sends everybody to


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
