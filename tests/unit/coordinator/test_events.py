"""Events: which changes are told, how often, and that what cannot be written stops nothing."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from capim.aio.tasks import TaskScope
from coordinator.events import QUIET_S, EventBook, Note, note_of_worker, notes_of
from coordinator.placement import PLACEMENT_ANNOTATION
from coordinator.recorder import EVENTS, Recorder
from tests.support.clusterapi import infra_cluster, infra_machine
from tests.support.kubeapi import KubeApi, serve, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.meta import JsonObject

NOW = 1_800_000_000.0


def condition(kind: str, status: str = "True", **fields: str) -> JsonObject:
    return {"type": kind, "status": status, "reason": "R", "message": "", **fields}


def cluster(*conditions: JsonObject, worker: str = "worker-0", port: int = 0) -> JsonObject:
    made = infra_cluster(metadata={"annotations": {PLACEMENT_ANNOTATION: f"here/{worker}"}})
    spec = {"controlPlaneEndpoint": {"host": "h", "port": port}} if port else {}
    return {**made, "spec": spec, "status": {"conditions": list(conditions)}}


def machine(*conditions: JsonObject) -> JsonObject:
    return {**infra_machine(), "status": {"conditions": list(conditions)}}


READY = condition("Ready")
WAITING = condition("Ready", "False", severity="Info")
NO_PORT = condition("Ready", "False", severity="Error", reason="PortsExhausted", message="widen")
BAD_INPUT = condition("VMProvisioned", "False", severity="Error", message="startupDuration")
DAMAGED = condition("JournalIntact", "False", severity="Warning", reason="JournalDamaged")
INTACT = condition("JournalIntact", reason="JournalIntact")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param(
            cluster(WAITING, port=1), cluster(READY, port=1), ["Provisioned"], id="cluster"
        ),
        pytest.param(machine(WAITING), machine(READY), ["Provisioned"], id="machine"),
        pytest.param(cluster(), cluster(WAITING), [], id="waiting"),
        pytest.param(cluster(READY), cluster(READY), [], id="same"),
        pytest.param(
            cluster(READY), cluster({**READY, "message": "still"}), [], id="ready-as-before"
        ),
        pytest.param(cluster(), cluster(NO_PORT), ["!PortsExhausted"], id="no-port"),
        pytest.param(
            machine(), machine(BAD_INPUT, {**NO_PORT, "type": "Ready"}), ["!R"], id="bad-input-once"
        ),
        pytest.param(
            cluster(READY), cluster(READY, DAMAGED), ["!JournalDamaged"], id="journal-damaged"
        ),
        pytest.param(cluster(DAMAGED), cluster(INTACT), ["JournalIntact"], id="journal-intact"),
        pytest.param(cluster(), cluster(worker="worker-1"), ["Moved"], id="moved"),
        pytest.param(cluster(port=1), cluster(port=2), ["EndpointChanged"], id="endpoint-changed"),
        pytest.param(infra_cluster(), cluster(port=1), [], id="first-place-and-endpoint"),
    ],
)
def test_changes(before: JsonObject, after: JsonObject, told: list[str]) -> None:
    notes = list(notes_of(before, after))
    assert [f"{'!' * note.warning}{note.reason}" for note in notes] == told
    assert all(note.message for note in notes)


def test_a_cluster_that_is_provisioned_says_where_it_is() -> None:
    (note,) = notes_of(cluster(port=20000), cluster(READY, port=20000))
    assert note.message == "worker-0 serves the cluster at https://h:20000."


def test_a_repetition_is_counted_and_told_after_a_while() -> None:
    book, note = EventBook("pod-1"), note_of_worker(cluster(), "worker-0", back=False)
    first = book.enter(note, NOW)
    assert first is not None
    assert first.patch is None
    assert (first.body["type"], first.body["count"]) == ("Warning", 1)
    assert first.body["involvedObject"]["uid"] == "InMemoryCluster-c1"
    assert book.enter(note, NOW + QUIET_S - 1) is None
    again = book.enter(note, NOW + QUIET_S)
    assert again is not None
    assert (again.name, again.patch) == (
        first.name,
        {"count": 3, "lastTimestamp": again.body["lastTimestamp"]},
    )


def test_what_differs_is_told_apart() -> None:
    book = EventBook("pod-1")
    notes = [Note(cluster(), *words) for words in (("A", "x"), ("A", "y"), ("B", "x"))]
    names = {write.name for i, note in enumerate(notes) if (write := book.enter(note, NOW + i))}
    assert len(names) == 3


def test_only_so_many_are_remembered() -> None:
    book = EventBook("pod-1")
    for number in range(5000):
        book.enter(Note(cluster(), "A", str(number)), NOW)
    assert len(book._told) == 2048


def test_what_was_last_told_long_ago_is_forgotten() -> None:
    book = EventBook("pod-1")
    for number, minute in enumerate((0, 4, 9, 12)):
        book.enter(Note(cluster(), "A", str(number % 2)), NOW + 60 * minute)
    assert [key[2] for key in book._told] == ["0", "1"]
    write = book.enter(Note(cluster(), "A", "0"), NOW + 60 * 21)
    assert write is not None
    assert (write.patch is None, next(iter(book._told))[2]) == (True, "1")


def recorded(use: Callable[[KubeApi, Recorder, list[float]], Any]) -> KubeApi:
    """Let a recorder run on a clock of its own while `use` takes notes, and return the API."""
    api, clock = KubeApi(), [NOW]

    async def scenario() -> None:
        async with serve(api) as client, TaskScope() as scope:
            ticks = itertools.count()
            recorder = Recorder(
                client,
                instance="pod-1",
                clock=lambda: clock[0],
                # time flies: nobody has to wait for the rate
                steady=lambda: next(ticks) * 1000.0,
            )
            scope.spawn(recorder.run(), name="events")
            await use(api, recorder, clock)

    asyncio.run(scenario())
    return api


def events(api: KubeApi) -> list[JsonObject]:
    return [stored.json() for stored in api.group.list(api.resource(EVENTS), "default").items]


def test_events_are_written_and_repeated_ones_counted() -> None:
    async def use(api: KubeApi, recorder: Recorder, clock: list[float]) -> None:
        recorder.changed(cluster(port=1), cluster(READY, port=1))
        await until(lambda: len(events(api)) == 1)
        clock[0] += QUIET_S
        recorder.changed(cluster(port=1), cluster(READY, port=1))
        await until(lambda: events(api)[0]["count"] == 2)

    (event,) = events(recorded(use))
    assert event["reason"] == "Provisioned"
    assert event["source"] == {"component": "capim-manager"}


def test_an_event_that_is_gone_meanwhile_is_made_anew() -> None:
    async def use(api: KubeApi, recorder: Recorder, clock: list[float]) -> None:
        note = Note(cluster(), "A", "x")
        recorder.note(note)
        await until(lambda: len(events(api)) == 1)
        name = events(api)[0]["metadata"]["name"]
        api.group.delete(api.resource(EVENTS), "default", name)
        clock[0] += QUIET_S
        recorder.note(note)
        await until(lambda: len(events(api)) == 1)

    (event,) = events(recorded(use))
    assert event["count"] == 2


def test_a_refusal_loses_one_event_and_no_more() -> None:
    async def use(api: KubeApi, recorder: Recorder, _: list[float]) -> None:
        api.faults.append(403)
        recorder.note(Note(cluster(), "A", "x"))
        recorder.note(Note(cluster(), "B", "x"))
        await until(lambda: len(events(api)) == 1)

    assert [event["reason"] for event in events(recorded(use))] == ["B"]


def test_what_waits_too_long_is_dropped() -> None:
    async def use(_: KubeApi, recorder: Recorder, __: list[float]) -> None:
        for number in range(300):
            recorder.note(Note(cluster(), "A", str(number)))
        assert recorder.dropped == 300 - 256

    recorded(use)
