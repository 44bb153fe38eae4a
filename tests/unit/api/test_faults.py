"""In scope: schedules, and what is read of an InMemoryFault or refused. Out: what faults do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from capim.api import infrastructure
from capim.api.faults import EFFECTS, Effect, Fault, Schedule
from capim.api.meta import parse_time

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

CREATED = "2024-02-29T10:00:00Z"
LATE = {"effect": "Latency", "latency": "200ms"}


PARAMETERS = {"latency": "1s", "taint": "a=b:NoExecute", "kubeletVersion": "v1.20.0"}


def made(**spec: Any) -> JsonObject:
    metadata = {"name": "f", "namespace": "ns", "uid": "u", "creationTimestamp": CREATED}
    return {
        "apiVersion": infrastructure.API_VERSION,
        "kind": "InMemoryFault",
        "metadata": metadata,
        "spec": spec,
    }


def test_a_fault_is_read_whole() -> None:
    obj = made(
        requests={"verbs": ["get"], "resources": ["nodes"], "userAgents": ["kubectl/*"]},
        schedule={"delay": "1m", "duration": "10s", "every": "1h", "times": 3},
        probability="0.5",
        seed=7,
        apiServer={
            "effect": "Latency",
            "latency": "1s",
            "jitter": "500ms",
            "curve": [{"share": "0.5", "latency": "0s"}, {"share": "1", "latency": "2s"}],
        },
    )
    assert infrastructure.validate_create(obj) == []
    assert infrastructure.fault_of(obj) == Fault(
        uid="u",
        name="ns/f",
        effect=Effect.LATENCY,
        schedule=Schedule(parse_time(CREATED) + 60, 10.0, 3600.0, 3),
        seed="7",
        probability=0.5,
        verbs=("get",),
        resources=("nodes",),
        user_agents=("kubectl/*",),
        latency_s=1.0,
        jitter_s=0.5,
        curve=((0.5, 0.0), (1.0, 2.0)),
    )


def test_what_is_left_out_ends_by_itself_and_draws_from_the_uid() -> None:
    fault = infrastructure.fault_of(infrastructure.default(made(apiServer=LATE)))
    assert fault.schedule == Schedule(parse_time(CREATED), 600.0)
    assert (fault.seed, fault.probability) == ("u", 1.0)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        pytest.param({}, "spec", id="no target"),
        pytest.param({"apiServer": {"effect": "Boredom"}}, "spec.apiServer.effect", id="effect"),
        pytest.param(
            {"apiServer": {"effect": "Latency"}}, "spec.apiServer.latency", id="no latency"
        ),
        pytest.param(
            {"apiServer": {"effect": "Conflict", "latency": "1s"}},
            "spec.apiServer.latency",
            id="not read",
        ),
        pytest.param(
            {"apiServer": {"effect": "Conflict"}, "requests": {"verbs": ["get"]}},
            "spec.requests.verbs",
            id="reads do not conflict",
        ),
        pytest.param(
            {
                "apiServer": {
                    "effect": "Latency",
                    "curve": [
                        {"share": "0.9", "latency": "1s"},
                        {"share": "0.5", "latency": "2s"},
                    ],
                }
            },
            "spec.apiServer.curve",
            id="a curve that goes back",
        ),
        pytest.param(
            {"apiServer": LATE, "schedule": {"times": 3}}, "spec.schedule.every", id="how often"
        ),
        pytest.param(
            {"apiServer": LATE, "schedule": {"every": "1h"}}, "spec.schedule.times", id="endless"
        ),
        pytest.param(
            {"apiServer": LATE, "schedule": {"every": "1m", "times": 2, "duration": "2m"}},
            "spec.schedule.duration",
            id="overlapping",
        ),
        pytest.param(
            {"apiServer": LATE, "schedule": {"duration": "0s"}}, "spec.schedule.duration", id="0"
        ),
        pytest.param(
            {"apiServer": LATE, "schedule": {"start": "soon"}}, "spec.schedule.start", id="start"
        ),
        pytest.param({"apiServer": LATE, "probability": "2"}, "spec.probability", id="above 1"),
        pytest.param(
            {"apiServer": LATE, "schedule": {"period": "10ms"}}, "spec.schedule.period", id="period"
        ),
        pytest.param(
            {"apiServer": LATE, "machines": {"names": ["m"]}}, "spec.machines", id="no machines"
        ),
        pytest.param(
            {"nodes": {"effect": "NotReady"}, "requests": {"verbs": ["get"]}},
            "spec.requests",
            id="no requests",
        ),
        pytest.param({"nodes": {"effect": "Tainted"}}, "spec.nodes.taint", id="which taint"),
        pytest.param(
            {"nodes": {"effect": "Tainted", "taint": "x"}}, "spec.nodes.taint", id="no taint"
        ),
        pytest.param({"apiServer": LATE, "etcd": {"effect": "NoLeader"}}, "spec", id="two targets"),
    ],
)
def test_refuses_with_the_path_and_once(spec: dict[str, Any], path: str) -> None:
    obj = made(**spec)
    assert [path for path, _ in infrastructure.validate_create(obj)] == [path]


def test_what_was_stored_before_it_was_refused_names_its_field() -> None:
    with pytest.raises(ValueError, match="exactly one of apiServer"):
        infrastructure.fault_of(made())
    with pytest.raises(ValueError, match="not of the form"):
        infrastructure.fault_of(made(apiServer={}))


@pytest.mark.parametrize(
    ("now", "window", "change"),
    [
        (99.0, None, 100.0),
        (100.0, 0, 110.0),
        (109.9, 0, 110.0),
        (110.0, None, 160.0),
        (160.0, 1, 170.0),
        (229.9, 2, 230.0),
        (230.0, None, math.inf),
    ],
)
def test_windows_begin_and_end(now: float, window: int | None, change: float) -> None:
    schedule = Schedule(100.0, 10.0, 60.0, 3)
    found = schedule.window(now)
    assert (found.index if found else None) == window
    assert schedule.next_change(now) == change
    assert schedule.end == 230.0


def test_a_period_is_half_on_and_half_off() -> None:
    schedule = Schedule(100.0, 25.0, 60.0, 2, period_s=10.0)
    seen = [schedule.acting(now) is not None for now in (100.0, 105.0, 110.0, 115.0, 120.0, 125.0)]
    assert seen == [True, False, True, False, True, False]
    changes, now = [], 0.0
    while (now := schedule.next_change(now)) < math.inf:
        changes.append(now)
    once = [100.0, 105.0, 110.0, 115.0, 120.0, 125.0]
    assert changes == once + [at + 60 for at in once]
    turns = [schedule.acting(at) for at in changes]
    indices = [turn.index for turn in turns if turn is not None]
    assert len(indices) == len({*indices}) == 6


def test_windows_may_touch() -> None:
    schedule = Schedule(0.0, 10.0, 10.0, 2)
    assert [schedule.window(now) is not None for now in (9.9, 10.0, 19.9, 20.0)] == [
        True,
        True,
        True,
        False,
    ]


def test_every_effect_is_described_and_may_be_declared() -> None:
    assert EFFECTS.keys() == set(Effect)
    for effect, info in EFFECTS.items():
        required = {name: PARAMETERS[name] for name in info.required[:1]}
        section = {"effect": effect.value, **required}
        assert infrastructure.validate_create(made(**{info.target: section})) == []
