"""The same seed and the same fleet: the same faults at the same times, by what happened, twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from capim.api.faults import Effect, Fault, Schedule
from capim.runtime.faults import Asked, FaultBook
from tests.unit.runtime.test_afflictions import NOW, Ward
from tests.unit.runtime.test_workload import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("cp1", "cp2", "cp3", *(f"w{number}" for number in range(1, 7)))

#: what comes, goes and comes again, for some machines each time
COMING = Schedule(NOW + 20, 60.0, every_s=120.0, times=4)
FLAPPING = Schedule(NOW + 30, 400.0, period_s=40.0)


def declared(seed: str) -> tuple[Fault, ...]:
    rows: tuple[tuple[Effect, Schedule, float, dict[str, Any]], ...] = (
        (Effect.NOT_READY, COMING, 0.5, {}),
        (Effect.TAINTED, FLAPPING, 0.3, {"detail": "a=b:NoSchedule"}),
        (Effect.MEMBER_DOWN, COMING, 0.4, {}),
        (Effect.DELETED, Schedule(NOW + 300, 10.0), 0.2, {}),
        (Effect.LEADER_CHANGES, FLAPPING, 0.7, {}),
        (Effect.INTERNAL_ERROR, COMING, 0.5, {}),
        (Effect.LATENCY, FLAPPING, 0.5, {"latency_s": 0.1, "jitter_s": 0.2}),
    )
    return tuple(
        Fault(f"u{number}", f"default/f{number}", effect, schedule, seed, probability, **fields)
        for number, (effect, schedule, probability, fields) in enumerate(rows)
    )


def happened(seed: str) -> list[str]:
    """Play eight minutes of a fleet; return one line for each change, with its time."""
    ward = Ward(*NAMES)
    ward.cluster.set_faults(declared(seed))
    ward.settle()
    log: list[str] = []
    for _ in range(240):
        ward.later(2.0)
        log += list(_seen(ward))
    changed = [line for line, before in zip(log[1:], log, strict=False) if line != before]
    return [f"{ward.clock() - NOW:.3f}", *changed]


def _seen(ward: Ward) -> Iterator[str]:
    at = f"{ward.clock() - NOW:.3f}"
    for machine in ward.cluster.machines.values():
        if machine.afflicted:
            yield f"{at} {machine.spec.name} {sorted(machine.afflicted.items())}"
    yield f"{at} leader {ward.cluster.etcd.leader_id}"
    book = ward.cluster.faults
    assert book is not None
    for asked in (Asked("get", "nodes"), Asked("list", "pods", user_agent="manager")):
        if (verdict := book.befall(asked)) is not None:
            yield f"{at} {asked.verb} {verdict}"
    yield f"{at} hits {book.take_hits()}"


@pytest.mark.timeout(60)
def test_the_same_seed_does_the_same_at_the_same_times() -> None:
    first = happened("7")
    assert first == happened("7")
    told = "\n".join(first)
    assert all(effect in told for effect in ("NotReady", "Tainted", "MemberDown", "Deleted"))
    assert "InternalError" in told
    assert happened("8") != first


def test_what_other_clusters_ask_changes_nothing() -> None:
    """Chance is a function of the seed and of the cluster's own requests."""

    def verdicts(*, disturbed: bool) -> list[bool]:
        book, other = (FaultBook(KEY, lambda: NOW + 30) for _ in range(2))
        for each in (book, other):
            each.set(declared("7"))
        found = []
        for _ in range(50):
            if disturbed:
                other.befall(Asked("get", "nodes"))
            found.append(book.befall(Asked("get", "nodes")) is not None)
        return found

    assert verdicts(disturbed=True) == verdicts(disturbed=False)
    assert len(set(verdicts(disturbed=False))) == 2
