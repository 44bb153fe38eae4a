"""What happens to the processes, and when: drawn from a seed. Pure."""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass
from typing import Final


class Step(enum.StrEnum):
    """What the fleet is asked for; the next one comes when this one is done."""

    CREATE = "create"
    SCALE_UP = "scale up"
    SCALE_DOWN = "scale down"
    DELETE = "delete"


class Fault(enum.StrEnum):
    """What goes wrong."""

    KILL_WORKER = "kill a worker"
    KILL_COORDINATOR = "kill the coordinator"
    KILL_ALL = "kill all processes"
    STOP_WORKER = "stop a worker"
    STOP_COORDINATOR = "stop the coordinator"
    CUT_MANAGEMENT = "cut the management API off"
    HANG_MANAGEMENT = "let the management API hang"
    SLOW_MANAGEMENT = "slow the management API down"
    FAIL_MANAGEMENT = "let the management API answer errors"
    EXPIRE_WATCHES = "end watches of the management API with 410"
    LOSE_MESSAGES = "lose messages"
    DOUBLE_MESSAGES = "double messages"
    DELAY_MESSAGES = "delay messages, so that some overtake others"
    FILL_DISK = "fill the disk"
    SET_CLOCK_FORWARD = "set the clock forward"
    SET_CLOCK_BACK = "set the clock back"
    STEAL_PORTS = "take the free ports"


#: faults that last, with the longest time in seconds
_LASTING: Final = {
    Fault.STOP_WORKER: 3.0,
    Fault.STOP_COORDINATOR: 3.0,
    Fault.CUT_MANAGEMENT: 2.0,
    Fault.HANG_MANAGEMENT: 2.0,
    Fault.SLOW_MANAGEMENT: 2.0,
    Fault.FAIL_MANAGEMENT: 2.0,
    Fault.EXPIRE_WATCHES: 2.0,
    Fault.LOSE_MESSAGES: 2.0,
    Fault.DOUBLE_MESSAGES: 2.0,
    Fault.DELAY_MESSAGES: 2.0,
    Fault.FILL_DISK: 2.0,
    Fault.SET_CLOCK_FORWARD: 2.0,
    Fault.SET_CLOCK_BACK: 2.0,
    Fault.STEAL_PORTS: 2.0,
}
_MOST_AT_ONCE: Final = 3
_WITHIN_S: Final = 1.5


@dataclass(frozen=True, slots=True)
class Event:
    """One fault: so many seconds after its step has begun, for so long, to the worker of a number."""

    fault: Fault
    at_s: float
    for_s: float
    worker: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """Steps, each with the faults that come in it."""

    seed: int
    steps: tuple[tuple[Step, tuple[Event, ...]], ...]

    def __str__(self) -> str:
        told = [f"seed {self.seed}:"]
        for step, events in self.steps:
            what = (f"{e.fault} ({e.worker}) at {e.at_s:.2f} s for {e.for_s:.2f} s" for e in events)
            told.append(f"{step}: {'; '.join(what) or 'in peace'}")
        return "\n  ".join(told)


def draw(seed: int, *, workers: int) -> Schedule:
    """Return the schedule of a seed."""
    rng = random.Random(seed)  # noqa: S311 - a test must be repeatable
    steps = []
    for step in Step:
        count = rng.randrange(_MOST_AT_ONCE + 1)
        events = sorted((_event(rng, workers) for _ in range(count)), key=lambda event: event.at_s)
        steps.append((step, tuple(events)))
    return Schedule(seed, tuple(steps))


def _event(rng: random.Random, workers: int) -> Event:
    fault = rng.choice(list(Fault))
    lasts_s = rng.random() * _LASTING.get(fault, 0.0)
    return Event(fault, rng.random() * _WITHIN_S, lasts_s, rng.randrange(workers))
