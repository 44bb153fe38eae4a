"""In scope: who is told what while a cluster moves, and what a death on either side leaves. Out: sockets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from capim.api.workload import ListenerState, ListenerStatus
from capim.messaging import envelope as m
from coordinator.fleetorders import Instruction, Notify, Send
from tests.unit.coordinator.test_fleetstate import C1, NOW, W0, W1, Fleet, cluster, machine, sync_of

STATE = b"all that it is"
THERE = replace(cluster(), host="10.0.0.2", endpoint="10.0.0.2:20000")
GIVE = Send(W0, m.GiveAway(7, C1, "u1"))
TAKE = Send(W1, m.TakeOver(7, THERE, (machine(),), STATE))
OPEN = [
    Send(W1, m.EnsureCluster(7, THERE)),
    Send(W1, m.EnsureMachine(7, machine())),
    Send(W0, m.RemoveCluster(7, C1, "u1")),
]
GIVEN = m.Given(W0, "life", C1, "u1", STATE)
TAKEN = m.Taken(W1, "life", C1, "u1")


def change(fleet: Fleet, *, settled: bool = False) -> list[Instruction]:
    return fleet.do(fleet.state.set_cluster(W1, THERE, settled=settled))


@pytest.fixture
def fleet() -> Fleet:
    """Two workers, a cluster with a machine on the first."""
    made = Fleet().running()
    made.do(made.state.set_cluster(W0, cluster()))
    made.do(made.state.set_machine(machine()))
    return made


def test_the_taker_opens_and_the_giver_forgets_when_the_new_place_is_noted(fleet: Fleet) -> None:
    assert change(fleet) == [GIVE]
    assert change(fleet) == []
    assert fleet.report(GIVEN) == [TAKE]
    assert not fleet.state.moved(C1)
    assert fleet.report(TAKEN) == [Notify(C1)]
    assert fleet.state.moved(C1)
    assert change(fleet) == [], "nobody opens what a next coordinator would look for elsewhere"
    assert change(fleet, settled=True) == OPEN
    assert change(fleet, settled=True) == []


def test_the_first_workers_word_on_the_port_is_not_the_seconds(fleet: Fleet) -> None:
    bound = ListenerStatus(C1, "u1", 20000, ListenerState.BOUND)
    change(fleet)
    fleet.report(m.ListenerChanged(W0, "life", bound))
    assert fleet.state.listener(C1) is None
    fleet.report(m.ListenerChanged(W1, "life", bound))
    assert fleet.state.listener(C1) == bound


def test_a_giver_that_dies_is_told_to_hold_it_and_asked_again(fleet: Fleet) -> None:
    change(fleet)
    fleet.state.lost(W0, NOW)
    sync = sync_of(fleet.register(W0, "another life"))
    assert (sync.clusters, sync.machines, sync.elsewhere) == ((cluster(),), (machine(),), ())
    confirmed = m.Synced(W0, "another life", 7, sync.number)
    assert GIVE in fleet.report(confirmed)


def test_a_taker_that_dies_is_sent_it_again(fleet: Fleet) -> None:
    change(fleet)
    fleet.report(GIVEN)
    fleet.report(TAKEN)
    fleet.state.lost(W1, NOW)
    assert not fleet.state.moved(C1)
    assert change(fleet, settled=True) == []
    sync = sync_of(fleet.register(W1, "another life"))
    assert (sync.clusters, sync.elsewhere) == ((), ("u1",))
    assert TAKE in fleet.report(m.Synced(W1, "another life", 7, sync.number))


def test_a_cluster_that_is_carried_is_named_to_nobody(fleet: Fleet) -> None:
    change(fleet)
    fleet.report(GIVEN)
    assert sync_of(fleet.register(W0)).clusters == ()


def test_a_giver_that_refuses_serves_it_on(fleet: Fleet) -> None:
    change(fleet)
    sent = fleet.report(replace(GIVEN, state=b"", refusal="too large"))
    assert sent[:2] == [
        Send(W0, m.EnsureCluster(7, cluster())),
        Send(W0, m.EnsureMachine(7, machine())),
    ]
    assert fleet.state.refusal(C1, "u1") == "too large"


def test_who_changes_his_mind_has_it_back(fleet: Fleet) -> None:
    change(fleet)
    fleet.report(GIVEN)
    fleet.report(TAKEN)
    back = fleet.do(fleet.state.set_cluster(W0, cluster()))
    assert back == [
        Send(W1, m.RemoveCluster(7, C1, "u1")),
        Send(W0, m.EnsureCluster(7, cluster())),
        Send(W0, m.EnsureMachine(7, machine())),
    ]


def test_a_cluster_that_is_deleted_on_its_way_goes_from_both(fleet: Fleet) -> None:
    change(fleet)
    fleet.report(GIVEN)
    gone = fleet.do(fleet.state.remove_cluster(C1, "u1"))
    assert gone == [Send(worker, m.RemoveCluster(7, C1, "u1")) for worker in (W0, W1)]
    assert fleet.report(TAKEN) == []


def test_what_arrived_under_another_coordinator_its_giver_may_forget() -> None:
    fleet = Fleet()
    fleet.do(fleet.state.set_cluster(W1, THERE))
    fleet.do(fleet.state.begin())
    known = m.Register(W0, "life", 1, given=((C1, "u1"),))
    assert Send(W0, m.RemoveCluster(7, C1, "u1")) in fleet.do(fleet.state.handle(known, NOW))


def test_what_did_not_arrive_under_another_coordinator_its_giver_has_still() -> None:
    fleet = Fleet()
    fleet.do(fleet.state.set_cluster(W0, cluster()))
    fleet.do(fleet.state.begin())
    known = m.Register(W0, "life", 1, given=((C1, "u1"),))
    sent = fleet.do(fleet.state.handle(known, NOW))
    assert sync_of(sent).clusters == (cluster(),)
    assert Send(W0, m.RemoveCluster(7, C1, "u1")) not in sent
