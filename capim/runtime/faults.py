"""Decides what befalls a cluster: faults, time and counts in, verdicts on requests and machines out. Pure.

Chance is a hash of the fault's seed, the fault's and the cluster's name, and how many requests the fault
has looked at: the same seed gives the same faults for the same requests, in every process and whatever
else happens there. A fault that is told again, changed or not, goes on counting. For a machine, or a
cluster as a whole, it is drawn once for each time that the fault acts.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NamedTuple

from capim.api.faults import EFFECTS, Effect, Fault, Unit, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from capim.api.gvk import NamespacedName

_DRAWS: Final = float(1 << 64)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a fault is chosen by. A request for no resource has an empty one."""

    verb: str
    resource: str = ""  #: plural with its group, if it has one: `deployments.apps`
    subresource: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What befalls one request: it waits, and then `fault`, if there is one, is what it gets."""

    delay_s: float = 0.0
    fault: Fault | None = None
    by: tuple[str, ...] = ()  #: uids of all faults that had a part in it


class Affliction(NamedTuple):
    """What one fault does to one machine, for one time."""

    fault: Fault
    window: Window


def chance(fault: Fault, cluster: NamespacedName, what: str) -> float:
    """Draw a number from 0 to 1, always the same for the same arguments."""
    return draw(f"{fault.seed}/{fault.name}/{cluster}/{what}")


def draw(text: str) -> float:
    """Draw a number from 0 to 1, always the same for the same text."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) / _DRAWS


class FaultBook:
    """The faults of one cluster, and how often each has acted. One loop, no lock."""

    def __init__(self, cluster: NamespacedName, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._clock = clock
        self._faults: tuple[Fault, ...] = ()
        self._of_requests: tuple[Fault, ...] = ()
        self._of_machines: tuple[Fault, ...] = ()
        self._looked_at: dict[str, int] = {}  #: by uid: requests that a fault's selectors chose
        self._hits: dict[str, int] = {}  #: by uid, since they were last taken

    def set(self, faults: Iterable[Fault]) -> None:
        """Take all faults there are; the counts of those that are no more go."""
        self._faults = tuple(sorted(faults, key=lambda fault: fault.name))
        self._of_requests = self._of(Unit.REQUEST)
        self._of_machines = self._of(Unit.MACHINE)
        uids = {fault.uid for fault in self._faults}
        self._looked_at = {uid: n for uid, n in self._looked_at.items() if uid in uids}
        self._hits = {uid: n for uid, n in self._hits.items() if uid in uids}

    def _of(self, unit: Unit) -> tuple[Fault, ...]:
        return tuple(fault for fault in self._faults if EFFECTS[fault.effect].unit is unit)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All of them, in the order of their names; those that have ended as well."""
        return self._faults

    def next_change(self) -> float:
        """Return when a fault begins or ends next; infinity: never again."""
        now = self._clock()
        return min((fault.schedule.next_change(now) for fault in self._faults), default=math.inf)

    def take_hits(self) -> tuple[tuple[str, int], ...]:
        """Return how often each fault, by uid, has acted since this was asked last."""
        taken, self._hits = tuple(self._hits.items()), {}
        return taken

    def count(self, fault: Fault) -> None:
        """Note that a fault has acted."""
        self._hits[fault.uid] = self._hits.get(fault.uid, 0) + 1

    def acts(self, uid: str) -> bool:
        """Tell whether a fault is there and acts now."""
        now = self._clock()
        return any(it.uid == uid and it.schedule.acting(now) is not None for it in self._faults)

    def has_acting(self, effect: Effect) -> bool:
        """Tell whether a fault of this effect acts now, on whomever."""
        now = self._clock()
        return any(
            it.effect is effect and it.schedule.acting(now) is not None for it in self._faults
        )

    def of_cluster(self, effect: Effect) -> Affliction | None:
        """Return what lets the cluster as a whole suffer this now, if anything does."""
        now = self._clock()
        for fault in self._faults:
            window = fault.schedule.acting(now) if fault.effect is effect else None
            if window is None:
                continue
            if chance(fault, self._cluster, f"{window.index}") < fault.probability:
                return Affliction(fault, window)
        return None

    def of_machine(self, machine: str) -> dict[Effect, Affliction]:
        """Return all that a machine suffers now; of faults that do the same to it the first by name."""
        now = self._clock()
        found: dict[Effect, Affliction] = {}
        for fault in self._of_machines:
            window = fault.schedule.acting(now)
            if window is None or fault.effect in found:
                continue
            if fault.machines is not None and machine not in fault.machines:
                continue
            if chance(fault, self._cluster, f"{window.index}/{machine}") < fault.probability:
                found[fault.effect] = Affliction(fault, window)
        return found

    def befall(self, asked: Asked) -> Verdict | None:
        """Decide about a request; None: nothing befalls it.

        Delays add up. Of faults that answer in the cluster's place the first by name does.
        """
        now, delay_s, answers = self._clock(), 0.0, None
        by: list[str] = []
        for fault in self._of_requests:
            if answers is not None and fault.effect is not Effect.LATENCY:
                continue
            if fault.schedule.acting(now) is None or not chooses(fault, asked):
                continue
            count = self._looked_at[fault.uid] = self._looked_at.get(fault.uid, 0) + 1
            if chance(fault, self._cluster, f"{count}") >= fault.probability:
                continue
            self.count(fault)
            by.append(fault.uid)
            if fault.effect is not Effect.SLOW_BODY:
                delay_s += _delay_s(fault, chance(fault, self._cluster, f"{count}/delay"))
            if fault.effect is not Effect.LATENCY:
                answers = fault
        return Verdict(delay_s, answers, tuple(by)) if by else None


def chooses(fault: Fault, asked: Asked) -> bool:
    """Tell whether a fault's selectors choose a request."""
    possible = EFFECTS[fault.effect].verbs
    return (
        (not possible or asked.verb in possible)
        and (not fault.verbs or asked.verb in fault.verbs)
        and (not fault.resources or any(_names(name, asked) for name in fault.resources))
        and (
            not fault.user_agents
            or any(fnmatchcase(asked.user_agent, pattern) for pattern in fault.user_agents)
        )
    )


def _names(pattern: str, asked: Asked) -> bool:
    resource, slash, subresource = pattern.partition("/")
    if not asked.resource or resource not in {"*", asked.resource}:
        return False
    if slash:
        return bool(asked.subresource) and subresource in {"*", asked.subresource}
    return pattern == "*" or not asked.subresource


def _delay_s(fault: Fault, drawn: float) -> float:
    """Return how long a request waits, in seconds; `drawn` is from 0 to 1."""
    return fault.latency_s + fault.jitter_s * drawn + _along(fault.curve, drawn)


def _along(curve: tuple[tuple[float, float], ...], drawn: float) -> float:
    """Return where a curve of (share, seconds) is; straight between points, from 0 before the first."""
    share, seconds = 0.0, 0.0
    for next_share, next_seconds in curve:
        if drawn <= next_share:
            part = (drawn - share) / (next_share - share) if next_share > share else 1.0
            return seconds + part * (next_seconds - seconds)
        share, seconds = next_share, next_seconds
    return seconds
