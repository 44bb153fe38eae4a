"""In scope: which requests a fault befalls and what they get. Out: schedules' arithmetic, the wire."""

from __future__ import annotations

import math
from typing import Any

import pytest

from capim.aio.clock import ManualClock
from capim.api.faults import Effect, Fault, Schedule
from capim.api.gvk import NamespacedName
from capim.runtime.faults import Asked, FaultBook, Verdict, chooses

KEY = NamespacedName("default", "c1")
GET = Asked("get", "nodes", user_agent="kubectl/v1.35.0 (linux/amd64)")


def fault(effect: Effect = Effect.INTERNAL_ERROR, *, name: str = "ns/f", **fields: Any) -> Fault:
    given: dict[str, Any] = {"uid": name, "schedule": Schedule(0.0, 60.0), "seed": "7"} | fields
    return Fault(name=name, effect=effect, **given)


def book(*faults: Fault, key: NamespacedName = KEY, now: float = 1.0) -> FaultBook:
    made = FaultBook(key, ManualClock(now))
    made.set(faults)
    return made


@pytest.mark.parametrize(
    ("selectors", "chosen"),
    [
        ({}, True),
        ({"verbs": ("list", "get")}, True),
        ({"verbs": ("list",)}, False),
        ({"resources": ("pods", "nodes")}, True),
        ({"resources": ("*",)}, True),
        ({"resources": ("nodes/status",)}, False),
        ({"resources": ("nodes/*",)}, False),
        ({"resources": ("nodes.example.com",)}, False),
        ({"user_agents": ("kubectl/*",)}, True),
        ({"user_agents": ("manager*",)}, False),
    ],
)
def test_selectors_choose_requests(selectors: dict[str, Any], chosen: bool) -> None:
    assert chooses(fault(**selectors), GET) is chosen


def test_subresources_are_chosen_apart() -> None:
    status = Asked("patch", "nodes", "status")
    assert chooses(fault(resources=("nodes/status",)), status)
    assert chooses(fault(resources=("*/*",)), status)
    assert not chooses(fault(resources=("nodes",)), status)


def test_conflicts_befall_writes_alone_and_paths_have_no_resource() -> None:
    assert not chooses(fault(Effect.CONFLICT), GET)
    assert chooses(fault(Effect.CONFLICT), Asked("update", "nodes"))
    assert not chooses(fault(resources=("*",)), Asked("get"))
    assert chooses(fault(), Asked("get"))


def test_a_fault_acts_in_its_time_alone() -> None:
    clock = ManualClock(9.0)
    found = FaultBook(KEY, clock)
    found.set([fault(schedule=Schedule(10.0, 5.0))])
    seen = []
    for now in (9.0, 10.0, 14.9, 15.0):
        clock.now = now
        seen.append(found.befall(GET) is not None)
    assert seen == [False, True, True, False]


def test_delays_add_up_and_the_first_by_name_answers() -> None:
    slow = fault(Effect.LATENCY, name="ns/z", latency_s=0.5)
    late = fault(Effect.TIMEOUT, name="ns/b", latency_s=2.0)
    other = fault(Effect.CONNECTION_RESET, name="ns/c")
    assert book(slow, other, late).befall(GET) == Verdict(2.5, late, ("ns/b", "ns/z"))
    assert book(slow).befall(GET) == Verdict(0.5, None, ("ns/z",))


def delays(found: FaultBook, count: int = 2000) -> list[float]:
    verdicts = [found.befall(GET) for _ in range(count)]
    return sorted(verdict.delay_s for verdict in verdicts if verdict is not None)


def test_jitter_and_curve_are_drawn() -> None:
    even = delays(book(fault(Effect.LATENCY, latency_s=1.0, jitter_s=2.0)))
    assert 1.0 <= even[0] < 1.1
    assert 2.9 < even[-1] <= 3.0
    curve = ((0.5, 0.01), (0.9, 0.1), (1.0, 5.0))
    curved = delays(book(fault(Effect.LATENCY, curve=curve)))
    assert curved[len(curved) // 2] == pytest.approx(0.01, rel=0.2)
    assert curved[len(curved) * 9 // 10] == pytest.approx(0.1, rel=0.3)
    assert 4.5 < curved[-1] <= 5.0


def outcomes(found: FaultBook, count: int = 400) -> list[bool]:
    return [found.befall(GET) is not None for _ in range(count)]


def test_the_same_seed_gives_the_same_faults() -> None:
    one = outcomes(book(fault(probability=0.3)))
    assert one == outcomes(book(fault(probability=0.3, uid="another life")))
    assert 80 < sum(one) < 160
    assert one != outcomes(book(fault(probability=0.3, seed="8")))
    assert one != outcomes(book(fault(probability=0.3), key=NamespacedName("default", "c2")))


def test_told_again_a_fault_goes_on_counting() -> None:
    whole = outcomes(book(fault(probability=0.3)), 100)
    found = book(fault(probability=0.3))
    begun = outcomes(found, 50)
    found.set([fault(probability=0.3), fault(name="ns/a", verbs=("watch",))])
    assert begun + outcomes(found, 50) == whole


def test_hits_are_told_once() -> None:
    found = book(fault(), fault(name="ns/g", verbs=("watch",)))
    outcomes(found, 3)
    assert found.take_hits() == (("ns/f", 3),)
    assert found.take_hits() == ()
    outcomes(found, 1)
    found.set([])
    assert found.take_hits() == ()


def test_the_next_change_is_the_nearest() -> None:
    found = book(fault(), fault(name="ns/g", schedule=Schedule(30.0, 100.0)))
    assert found.next_change() == 30.0
    assert book(now=5.0).next_change() == math.inf
