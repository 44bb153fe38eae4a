"""In scope: whom a fault is meant for, what its status says, what workers are told. Out: what it does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from capim.aio.clock import wall_clock
from capim.api import infrastructure as infra
from capim.api.faults import Effect, Fault, Schedule
from capim.api.meta import format_time, parse_time
from capim.messaging import envelope as m
from coordinator.controllers.faultplan import aimed, declared, due_after_s, status_of
from coordinator.controllers.objects import FAULTS, INFRA_CLUSTERS, INFRA_MACHINES
from coordinator.faultnotes import notes_of_removal
from coordinator.fleetorders import Send, TellHits
from tests.support.clusterapi import CREATED, KEY, cluster, infra_cluster, infra_machine, obj
from tests.support.fleet import FakeFleet
from tests.support.kubeapi import KubeApi, serve, until
from tests.unit.coordinator.test_controllers import CLUSTERS, running
from tests.unit.coordinator.test_fleetstate import C1, C2, W0, W1, Fleet, sync_of
from tests.unit.coordinator.test_fleetstate import cluster as cluster_spec

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from coordinator.events import Note

START = parse_time(CREATED)
ERRORS = {"effect": "InternalError"}


def fault(name: str = "f", **spec: Any) -> JsonObject:
    spec = {"apiServer": ERRORS} | spec
    return obj(infra.API_VERSION, "InMemoryFault", name, spec=spec)


def labelled(**labels: str) -> JsonObject:
    made = cluster()
    made["metadata"]["labels"] = labels
    return made


@pytest.mark.parametrize(
    ("clusters", "meant"),
    [
        (None, True),
        ({}, True),
        ({"names": ["c1", "c9"]}, True),
        ({"names": ["c9"]}, False),
        ({"matchLabels": {"tier": "test"}}, True),
        ({"matchLabels": {"tier": "test", "region": "a"}}, False),
        ({"names": ["c1"], "matchLabels": {"tier": "other"}}, False),
    ],
)
def test_clusters_are_meant_by_name_and_label(clusters: dict[str, Any] | None, meant: bool) -> None:
    spec: dict[str, Any] = {"clusters": clusters} if clusters is not None else {}
    found = aimed({"f": declared(fault(**spec))}, labelled(tier="test"), (), START)
    assert [one.name for one in found] == (["default/f"] if meant else [])


def test_what_has_ended_or_cannot_be_read_is_left_out() -> None:
    named = {"bad": declared(fault(apiServer={})), "f": declared(fault())}
    assert len(aimed(named, cluster(), (), START + 599)) == 1
    assert aimed(named, cluster(), (), START + 600) == ()


@pytest.mark.parametrize(
    ("machines", "names"),
    [
        (None, None),
        ({"names": ["m1"]}, ("m1",)),
        ({"matchLabels": {"pool": "a"}}, ("m2",)),
        ({"failureDomains": ["east"]}, ("m2",)),
        ({"names": ["m9"]}, ()),
    ],
)
def test_machines_are_chosen_among_those_of_the_cluster(
    machines: dict[str, Any] | None, names: tuple[str, ...] | None
) -> None:
    spec: dict[str, Any] = {"machines": machines} if machines else {}
    one = declared(fault(apiServer={"effect": "ReplicaDown"}, **spec))
    there = [infra_machine(), infra_machine()]
    there[1]["metadata"] |= {"name": "m2", "labels": {"pool": "a"}}
    there[1]["spec"] = {"failureDomain": "east"}
    (aimed_at,) = aimed({"f": one}, cluster(), there, START)
    assert aimed_at.machines == names


@pytest.mark.parametrize(
    ("after_s", "phase", "active", "due_s"),
    [(0, "Pending", "False", 60), (60, "Active", "True", 10), (70, "Resting", "False", 50)],
)
def test_the_status_follows_the_schedule(
    after_s: float, phase: str, active: str, due_s: float
) -> None:
    schedule = {"delay": "1m", "duration": "10s", "every": "1m", "times": 2}
    one = fault(schedule=schedule)
    status = status_of(one, declared(one), ["c1"], 3, START + after_s)["status"]
    assert (status["phase"], status["hits"], status["matchedClusters"]) == (phase, 3, 1)
    (condition,) = status["conditions"]
    assert (condition["type"], condition["status"]) == ("Active", active)
    assert status["effect"] == "apiServer/InternalError"
    assert status["endsAt"] == format_time(START + 130)
    assert due_after_s(declared(one), START + after_s) == due_s


def test_a_status_adds_hits_and_writes_nothing_twice() -> None:
    one = fault()
    one |= status_of(one, declared(one), ["c1"], 3, START)
    assert status_of(one, declared(one), ["c1"], 0, START + 1) == {}
    assert status_of(one, declared(one), ["c1"], 2, START + 1) == {"status": {"hits": 5}}


def test_a_fault_that_cannot_be_read_says_what_is_wrong() -> None:
    one = fault(apiServer={})
    status = status_of(one, declared(one), [], 0, START)["status"]
    assert status["phase"] == "Invalid"
    assert "not of the form" in status["conditions"][0]["message"]


# --- the state of the fleet ---

TOLD = Fault("u", "default/f", Effect.INTERNAL_ERROR, Schedule(0.0, 1e12), "7")


def faults_sent(sent: list[Any]) -> list[tuple[str, tuple[Fault, ...]]]:
    return [
        (one.worker, one.command.faults)
        for one in sent
        if isinstance(one, Send) and isinstance(one.command, m.SetFaults)
    ]


def test_a_worker_is_told_once_and_of_the_end() -> None:
    fleet = Fleet().running()
    fleet.do(fleet.state.set_cluster(W0, cluster_spec()))
    assert faults_sent(fleet.do(fleet.state.set_faults(C1, (TOLD,)))) == [(W0, (TOLD,))]
    assert fleet.do(fleet.state.set_faults(C1, (TOLD,))) == []
    assert faults_sent(fleet.do(fleet.state.set_faults(C1, ()))) == [(W0, ())]
    assert fleet.do(fleet.state.set_faults(C1, ())) == []


def test_faults_come_before_their_cluster_move_with_it_and_survive_its_worker() -> None:
    fleet = Fleet().running()
    assert fleet.do(fleet.state.set_faults(C1, (TOLD,))) == []
    sent = fleet.do(fleet.state.set_cluster(W0, cluster_spec()))
    assert faults_sent(sent) == [(W0, (TOLD,))]
    fleet.do(fleet.state.set_cluster(W1, cluster_spec()))
    fleet.report(m.Given(W0, "life", C1, "u1", b"state"))
    fleet.report(m.Taken(W1, "life", C1, "u1"))
    moved = fleet.do(fleet.state.set_cluster(W1, cluster_spec()))
    assert faults_sent(moved) == [(W1, (TOLD,))]
    fleet.do(fleet.state.set_cluster(W1, cluster_spec(C2, "u2", 20001)))
    again = sync_of(fleet.register(W1, "another life"))
    assert again.faults == ((C1, (TOLD,)),)


def test_hits_are_handed_on() -> None:
    fleet = Fleet().running()
    acted = m.FaultsActed(W0, "life", C1, (("u", 2),))
    assert fleet.report(acted) == [TellHits(C1, (("u", 2),))]
    assert fleet.report(m.FaultsActed(W0, "another life", C1, (("u", 2),))) == []


# --- the controller ---


def test_from_the_resource_to_the_fleet_and_back() -> None:
    async def use() -> None:
        api, fleet = KubeApi(), FakeFleet()
        api.create(CLUSTERS, cluster())
        api.create(INFRA_CLUSTERS, infra_cluster())
        old = fault("old", schedule={"start": format_time(wall_clock())})
        api.create(FAULTS, old)
        async with serve(api) as client, running(api, client, fleet):
            assert [one.name for one in fleet.faults[KEY]] == ["default/old"]

            def status() -> JsonObject:
                found: JsonObject = api.read(FAULTS, "old").get("status", {})
                return found

            await until(lambda: status().get("phase") == "Active")
            assert status()["clusters"] == ["c1"]
            fleet.on_hits(KEY, ((fleet.faults[KEY][0].uid, 4),))
            await until(lambda: status()["hits"] == 4)
            changed = api.read(FAULTS, "old")
            api.merge(FAULTS, changed, {"spec": {"clusters": {"names": ["other"]}}})
            await until(lambda: fleet.faults[KEY] == ())
            api.merge(FAULTS, changed, {"spec": {"clusters": None}})
            await until(lambda: fleet.faults[KEY])
            api.group.delete(api.resource(FAULTS), "default", "old")
            await until(lambda: fleet.faults[KEY] == ())

    asyncio.run(use())


def test_machines_that_come_are_chosen_too() -> None:
    async def use() -> None:
        api, fleet = KubeApi(), FakeFleet()
        api.create(CLUSTERS, cluster())
        schedule = {"start": format_time(wall_clock())}
        section = {"effect": "ReplicaDown"}
        api.create(FAULTS, fault(apiServer=section, machines={"names": ["m1"]}, schedule=schedule))
        async with serve(api) as client, running(api, client, fleet):
            assert fleet.faults[KEY][0].machines == ()
            api.create(INFRA_MACHINES, infra_machine())
            await until(lambda: fleet.faults[KEY][0].machines == ("m1",))

    asyncio.run(use())


def test_a_fault_ends_by_itself_and_tells_when_it_begins_and_ends() -> None:
    notes: list[Note] = []

    async def use() -> None:
        api, fleet = KubeApi(), FakeFleet()
        api.create(CLUSTERS, cluster())
        api.create(INFRA_CLUSTERS, infra_cluster())
        start = format_time(wall_clock())
        api.create(FAULTS, fault(schedule={"start": start}))
        async with serve(api) as client, running(api, client, fleet, tell=notes.append):
            assert fleet.faults[KEY]
            await until(lambda: len(notes) == 2)
            lasts_s = wall_clock() - parse_time(start) + 0.3
            shorter = {"spec": {"schedule": {"start": start, "duration": f"{lasts_s:f}s"}}}
            api.merge(FAULTS, api.read(FAULTS, "f"), shorter)
            await until(lambda: fleet.faults[KEY] == ())
            await until(lambda: api.read(FAULTS, "f")["status"]["phase"] == "Ended")
            await until(lambda: len(notes) == 4)

    asyncio.run(use())
    assert [(note.obj["kind"], note.reason, note.warning) for note in notes] == [
        ("InMemoryFault", "FaultBegun", True),
        ("InMemoryCluster", "FaultBegun", True),
        ("InMemoryFault", "FaultEnded", False),
        ("InMemoryCluster", "FaultEnded", False),
    ]
    assert notes[0].message == "apiServer/InternalError befalls 1 cluster."
    assert notes[3].message == "apiServer/InternalError by InMemoryFault f is over."


def test_the_clusters_of_a_fault_that_is_deleted_are_told() -> None:
    acting = {**fault(), "status": {"phase": "Active", "effect": "etcd/NoLeader"}}
    (note,) = notes_of_removal(acting, [infra_cluster()])
    assert (note.obj["metadata"]["name"], note.reason) == ("c1", "FaultEnded")
    assert list(notes_of_removal(fault(), [infra_cluster()])) == []
    many = [infra_cluster(f"c{number}") for number in range(50)]
    assert len(list(notes_of_removal(acting, many))) == 20
