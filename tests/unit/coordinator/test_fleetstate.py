"""In scope: what the coordinator tells workers and believes of them. Out: sockets, processes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from capim.api.gvk import NamespacedName
from capim.api.workload import (
    ClusterSpec,
    ListenerState,
    ListenerStatus,
    MachineProgress,
    MachineSpec,
    Phase,
)
from capim.messaging import envelope as m
from coordinator.fleetorders import (
    Instruction,
    Notify,
    NotifyAll,
    RaiseEpoch,
    Replace,
    Send,
    TellWorker,
)
from coordinator.fleetstate import (
    HUNG_AFTER_S,
    MAX_EPOCH,
    ORPHAN_AFTER_S,
    REGISTER_WITHIN_S,
    FleetState,
)

C1, C2 = NamespacedName("default", "c1"), NamespacedName("default", "c2")
W0, W1 = "worker-0", "worker-1"
NOW = 1000.0


def cluster(key: NamespacedName = C1, uid: str = "u1", port: int = 20000) -> ClusterSpec:
    return ClusterSpec(key, uid, "127.0.0.1", port, f"127.0.0.1:{port}")


def machine(name: str = "m1", uid: str = "mu1", key: NamespacedName = C1) -> MachineSpec:
    return MachineSpec(
        key, name, uid, control_plane=True, version="v1.29.0", provider_id=f"in-memory://{name}"
    )


def progress(name: str = "m1", uid: str = "mu1") -> m.MachineProgressed:
    return m.MachineProgressed(W0, "life", MachineProgress(C1, name, uid, NOW, {Phase.VM: NOW}))


def listener(port: int = 20000, uid: str = "u1") -> m.ListenerChanged:
    return m.ListenerChanged(W0, "life", ListenerStatus(C1, uid, port, ListenerState.BOUND))


class Fleet:
    """A FleetState whose instructions are collected as lists."""

    def __init__(self) -> None:
        self.state = FleetState([W0, W1], installation="i", epoch=7)

    def do(self, instructions: Iterable[Instruction]) -> list[Instruction]:
        return list(instructions)

    def register(self, worker: str = W0, life: str = "life") -> list[Instruction]:
        return self.do(self.state.handle(m.Register(worker, life, 1), NOW))

    def report(self, report: m.Report) -> list[Instruction]:
        return self.do(self.state.handle(report, NOW))

    def confirm(self, worker: str, sent: list[Instruction], life: str = "life") -> None:
        """Let a worker answer the Sync that it was sent."""
        self.report(m.Synced(worker, life, 7, sync_of(sent).number))

    def running(self) -> Fleet:
        """Both workers registered, begun, synced."""
        self.do(self.state.begin())
        for worker in (W0, W1):
            self.confirm(worker, self.register(worker))
        return self


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def synced(fleet: Fleet, worker: str = W0) -> m.Synced:
    """Return the confirmation of the last Sync that a worker was sent."""
    return m.Synced(worker, "life", 7, fleet.state._workers[worker].syncs)


def sync_of(instructions: list[Instruction]) -> m.Sync:
    (sync,) = (
        one.command
        for one in instructions
        if isinstance(one, Send) and isinstance(one.command, m.Sync)
    )
    return sync


def test_nothing_but_a_welcome_is_sent_before_begin(fleet: Fleet) -> None:
    sent = fleet.register()
    assert [type(one.command) for one in sent if isinstance(one, Send)] == [m.Welcome]
    assert fleet.do(fleet.state.set_cluster(W0, cluster())) == []
    assert fleet.do(fleet.state.set_machine(machine())) == []


def test_begin_sends_each_worker_its_whole_shard(fleet: Fleet) -> None:
    fleet.register(W0)
    fleet.register(W1)
    fleet.do(fleet.state.set_cluster(W0, cluster()))
    fleet.do(fleet.state.set_machine(machine()))
    fleet.do(fleet.state.set_cluster(W1, cluster(C2, "u2", 20001)))
    sent = {one.worker: one.command for one in fleet.state.begin() if isinstance(one, Send)}
    living = ("u1", "u2")
    assert sent[W0] == m.Sync(7, (cluster(),), (machine(),), 1, living, elsewhere=("u2",))
    assert sent[W1] == m.Sync(7, (cluster(C2, "u2", 20001),), (), 1, living, elsewhere=("u1",))


def test_workers_are_told_what_lives_and_whether_there_can_be_more(fleet: Fleet) -> None:
    fleet.do(fleet.state.set_cluster(W0, cluster()))
    fleet.state.living = lambda: (["u9"], True)
    fleet.do(fleet.state.begin())
    sync = sync_of(fleet.register())
    assert (sync.living, sync.complete) == (("u1", "u9"), True)


@pytest.mark.parametrize("ends", ["confirms", "dies"])
def test_a_cluster_goes_to_its_new_worker_when_the_old_one_has_let_it_go(
    fleet: Fleet, ends: str
) -> None:
    fleet.do(fleet.state.set_cluster(W0, cluster()))
    fleet.do(fleet.state.set_cluster(W0, cluster(C2, "u2", 20001)))
    fleet.do(fleet.state.set_machine(machine()))
    fleet.do(fleet.state.begin())
    fleet.do(fleet.state.handle(m.Register(W1, "life", 1, clusters=(C1,)), NOW))
    assert sync_of(fleet.register()).clusters == (cluster(C2, "u2", 20001),)
    changed = replace(cluster(), service_domain="other")
    assert fleet.do(fleet.state.set_cluster(W0, changed)) == [], "it is not told of it yet"
    assert fleet.do(fleet.state.set_machine(machine("m2"))) == []
    assert fleet.report(synced(fleet)) == [NotifyAll()]
    if ends == "confirms":
        sync = sync_of(fleet.report(synced(fleet, W1)))
    else:
        fleet.state.lost(W1, NOW)
        sync = sync_of(fleet.do(fleet.state.tick(NOW)))
    assert set(sync.clusters) == {changed, cluster(C2, "u2", 20001)}
    assert sync.machines == (machine(), machine("m2"))
    assert not fleet.state.worker_ready(W0)
    assert fleet.report(synced(fleet)) == [NotifyAll()]


def test_two_workers_that_change_clusters_do_not_wait_for_each_other(fleet: Fleet) -> None:
    fleet.do(fleet.state.set_cluster(W0, cluster()))
    fleet.do(fleet.state.set_cluster(W1, cluster(C2, "u2", 20001)))
    fleet.do(fleet.state.handle(m.Register(W0, "life", 1, clusters=(C2,)), NOW))
    fleet.do(fleet.state.handle(m.Register(W1, "life", 1, clusters=(C1,)), NOW))
    fleet.do(fleet.state.begin())
    sync = sync_of(fleet.report(synced(fleet)))
    assert sync.clusters == (cluster(C2, "u2", 20001),)
    assert sync_of(fleet.report(synced(fleet, W1))).clusters == (cluster(),)


def test_damage_is_what_the_worker_said_last(fleet: Fleet) -> None:
    fleet.running()
    fleet.do(fleet.state.set_cluster(W0, cluster()))
    assert fleet.report(m.JournalsDamaged(W0, "life", ((C1, "u1", "why"),))) == [Notify(C1)]
    fleet.report(m.JournalsDamaged(W1, "life", ()))
    assert fleet.state.damage(C1, "u1") == "why"
    assert fleet.state.damage(C1, "u2") == ""
    assert fleet.report(m.JournalsDamaged(W0, "life", ())) == [Notify(C1)]
    assert fleet.state.damage(C1, "u1") == ""


def test_a_restarted_worker_gets_its_shard_again(fleet: Fleet) -> None:
    fleet.running()
    fleet.do(fleet.state.set_cluster(W0, cluster()))
    fleet.state.lost(W0, NOW)
    assert fleet.do(fleet.state.set_machine(machine())) == []
    assert sync_of(fleet.register(life="second")).machines == (machine(),)


def test_the_same_desire_again_sends_nothing(fleet: Fleet) -> None:
    fleet.running()
    assert fleet.do(fleet.state.set_cluster(W0, cluster())) == [
        Send(W0, m.EnsureCluster(7, cluster()))
    ]
    assert fleet.do(fleet.state.set_cluster(W0, cluster())) == []
    assert fleet.do(fleet.state.set_machine(machine())) == [Send(W0, m.EnsureMachine(7, machine()))]
    assert fleet.do(fleet.state.set_machine(machine())) == []


def test_progress_outlives_the_workers_death(fleet: Fleet) -> None:
    fleet.running()
    fleet.do(fleet.state.set_cluster(W0, cluster()))
    fleet.do(fleet.state.set_machine(machine()))
    assert fleet.report(progress()) == [Notify(C1, "m1")]
    fleet.state.lost(W0, NOW)
    assert fleet.state.machine(C1, "m1") == progress().progress


@pytest.mark.parametrize(
    "stale",
    [
        pytest.param(progress(uid="older"), id="machine-of-another-uid"),
        pytest.param(progress(name="m9"), id="unknown-machine"),
        pytest.param(listener(uid="older"), id="cluster-of-another-uid"),
        pytest.param(listener(port=20009), id="listener-of-another-port"),
        pytest.param(m.Pong("worker-9", "life"), id="unknown-worker"),
        pytest.param(m.MachineProgressed(W0, "earlier", progress().progress), id="an-earlier-life"),
    ],
)
def test_a_stale_report_changes_nothing(fleet: Fleet, stale: m.Report) -> None:
    fleet.running()
    fleet.do(fleet.state.set_cluster(W0, cluster()))
    fleet.do(fleet.state.set_machine(machine()))
    assert fleet.report(stale) == []
    assert fleet.state.machine(C1, "m1") is None
    assert fleet.state.listener(C1) is None


def test_another_port_forgets_what_was_reported_of_the_first(fleet: Fleet) -> None:
    fleet.running()
    fleet.do(fleet.state.set_cluster(W0, cluster()))
    fleet.report(listener())
    assert fleet.state.listener(C1) is not None
    fleet.do(fleet.state.set_cluster(W0, cluster(port=20001)))
    assert fleet.state.listener(C1) is None


def test_a_machine_is_gone_when_its_worker_says_so(fleet: Fleet) -> None:
    fleet.running()
    fleet.do(fleet.state.set_cluster(W0, cluster()))
    fleet.do(fleet.state.set_machine(machine()))
    assert not fleet.state.machine_gone(C1, "m1", "mu1")
    removal = m.RemoveMachine(7, C1, "m1", "mu1")
    assert fleet.do(fleet.state.remove_machine(C1, "m1", "mu1")) == [Send(W0, removal)]
    assert not fleet.state.machine_gone(C1, "m1", "mu1")
    assert fleet.report(m.MachineGone(W0, "life", C1, "m1", "mu1")) == [Notify(C1, "m1")]
    assert fleet.state.machine_gone(C1, "m1", "mu1")
    assert fleet.do(fleet.state.remove_machine(C1, "m1", "mu1")) == []


def test_a_removal_the_worker_missed_is_confirmed_by_its_next_sync(fleet: Fleet) -> None:
    fleet.running()
    fleet.do(fleet.state.set_cluster(W0, cluster()))
    fleet.do(fleet.state.set_machine(machine()))
    fleet.state.lost(W0, NOW)
    assert fleet.do(fleet.state.remove_machine(C1, "m1", "mu1")) == []
    assert not fleet.state.machine_gone(C1, "m1", "mu1")
    assert sync_of(fleet.register(life="second")).machines == ()
    assert not fleet.state.machine_gone(C1, "m1", "mu1")
    assert fleet.report(m.Synced(W0, "second", 7, 2)) == [NotifyAll(), TellWorker(W0, back=True)]
    assert fleet.state.machine_gone(C1, "m1", "mu1")


def test_lost_reports_are_asked_for_with_the_next_heartbeat_and_once(fleet: Fleet) -> None:
    fleet.running()
    fleet.do(fleet.state.set_cluster(W0, cluster()))
    fleet.state.missed(W0)
    fleet.state.missed(W0)
    fleet.state.missed("nobody")
    sent = fleet.do(fleet.state.tick(NOW))
    assert sync_of(sent).clusters == (cluster(),)
    assert not fleet.state.worker_ready(W0)
    fleet.confirm(W0, sent)
    assert fleet.state.worker_ready(W0)
    assert fleet.do(fleet.state.tick(NOW)) == [Send(W0, m.Ping(7)), Send(W1, m.Ping(7))]


def test_a_sync_that_still_named_a_machine_does_not_confirm_its_removal(fleet: Fleet) -> None:
    fleet.running()
    fleet.do(fleet.state.set_cluster(W0, cluster()))
    fleet.do(fleet.state.set_machine(machine()))
    first = fleet.register()
    fleet.do(fleet.state.remove_machine(C1, "m1", "mu1"))
    second = fleet.register()
    fleet.confirm(W0, first)
    assert not fleet.state.machine_gone(C1, "m1", "mu1")
    assert not fleet.state.worker_ready(W0)
    fleet.confirm(W0, second)
    assert fleet.state.machine_gone(C1, "m1", "mu1")


def test_a_cluster_is_gone_when_its_worker_says_so(fleet: Fleet) -> None:
    fleet.running()
    fleet.do(fleet.state.set_cluster(W0, cluster()))
    fleet.do(fleet.state.remove_cluster(C1, "u1"))
    assert not fleet.state.cluster_gone(C1, "u1")
    assert fleet.report(m.ClusterGone(W0, "life", C1, "u1")) == [Notify(C1)]
    assert fleet.state.cluster_gone(C1, "u1")


def test_who_waits_for_a_machine_hears_of_it_though_its_cluster_is_removed_meanwhile(
    fleet: Fleet,
) -> None:
    fleet.running()
    fleet.do(fleet.state.set_cluster(W0, cluster()))
    fleet.do(fleet.state.set_machine(machine()))
    fleet.do(fleet.state.remove_machine(C1, "m1", "mu1"))
    fleet.do(fleet.state.remove_cluster(C1, "u1"))
    assert fleet.report(m.MachineGone(W0, "life", C1, "m1", "mu1")) == [Notify(C1, "m1")]
    assert fleet.state.machine_gone(C1, "m1", "mu1")


def test_every_worker_is_told_of_a_deleted_cluster_that_another_coordinator_placed(
    fleet: Fleet,
) -> None:
    assert fleet.do(fleet.state.remove_cluster(C1, "u1")) == [], "nobody is there yet"
    fleet.running()
    assert fleet.do(fleet.state.remove_cluster(C1, "u1")) == [
        Send(W0, m.RemoveCluster(7, C1, "u1")),
        Send(W1, m.RemoveCluster(7, C1, "u1")),
    ]
    assert fleet.state.cluster_gone(C1, "u1")


def test_what_was_never_desired_is_gone_only_once_every_worker_is_synced(fleet: Fleet) -> None:
    fleet.do(fleet.state.begin())
    assert not fleet.state.machine_gone(C1, "m1", "mu1")
    assert not fleet.state.cluster_gone(C1, "u1")
    fleet.running()
    assert fleet.state.machine_gone(C1, "m1", "mu1")
    assert fleet.state.cluster_gone(C1, "u1")


def test_a_silent_worker_is_replaced_once(fleet: Fleet) -> None:
    fleet.running()
    fleet.report(m.Pong(W0, "life"))
    assert Send(W0, m.Ping(7)) in fleet.do(fleet.state.tick(NOW + HUNG_AFTER_S))
    late = fleet.do(fleet.state.tick(NOW + HUNG_AFTER_S + 1))
    assert [one.worker for one in late if isinstance(one, Replace)] == [W0, W1]
    assert not fleet.state.worker_ready(W0)
    assert fleet.do(fleet.state.tick(NOW + HUNG_AFTER_S + 2)) == []


def test_a_loss_is_told_with_the_next_heartbeat_and_the_return_when_the_shard_is_whole(
    fleet: Fleet,
) -> None:
    fleet.running()
    fleet.state.lost(W0, NOW)
    assert TellWorker(W0, back=False) in fleet.do(fleet.state.tick(NOW + 1))
    assert not [it for it in fleet.do(fleet.state.tick(NOW + 2)) if isinstance(it, TellWorker)]
    sent = fleet.register(life="second")
    confirmation = m.Synced(W0, "second", 7, sync_of(sent).number)
    assert TellWorker(W0, back=True) in fleet.report(confirmation)
    assert TellWorker(W0, back=True) not in fleet.report(confirmation)


def test_a_worker_whose_end_nobody_saw_is_told_to_be_back(fleet: Fleet) -> None:
    fleet.running()
    sent = fleet.register(life="second")
    assert TellWorker(W0, back=True) in fleet.report(
        m.Synced(W0, "second", 7, sync_of(sent).number)
    )


def test_a_worker_that_comes_for_the_first_time_is_no_news(fleet: Fleet) -> None:
    fleet.do(fleet.state.tick(NOW))
    fleet.do(fleet.state.begin())
    sent = fleet.register()
    found = fleet.report(m.Synced(W0, "life", 7, sync_of(sent).number))
    assert not [it for it in found if isinstance(it, TellWorker)]


def test_a_worker_that_never_registers_is_replaced(fleet: Fleet) -> None:
    assert fleet.do(fleet.state.tick(NOW)) == []
    assert fleet.do(fleet.state.tick(NOW + REGISTER_WITHIN_S)) == []
    assert len(fleet.do(fleet.state.tick(NOW + REGISTER_WITHIN_S + 1))) == 2


def test_a_worker_of_another_version_is_replaced(fleet: Fleet) -> None:
    (instruction,) = fleet.report(m.Register(W0, "life", 1, version=m.VERSION + 1))
    assert isinstance(instruction, Replace)
    assert f"version {m.VERSION + 1}" in instruction.why


def test_a_confirmation_of_an_older_epoch_does_not_count(fleet: Fleet) -> None:
    fleet.do(fleet.state.begin())
    fleet.register()
    assert fleet.report(m.Synced(W0, "life", 6)) == []
    assert not fleet.state.worker_ready(W0)


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        pytest.param(-1, [], id="none"),
        pytest.param(6, [], id="the-reign-before"),
        pytest.param(7, [RaiseEpoch(8)], id="another-with-our-number"),
        pytest.param(9, [RaiseEpoch(10)], id="a-later-one"),
    ],
)
def test_a_worker_that_obeyed_a_later_reign_is_not_commanded_before_ours_is_later(
    fleet: Fleet, known: int, asked: list[Instruction]
) -> None:
    fleet.do(fleet.state.begin())
    register = m.Register(W0, "life", 1, epoch=known)
    found = fleet.report(register)
    assert [one for one in found if isinstance(one, RaiseEpoch)] == asked
    assert bool(asked) is (not [one for one in found if isinstance(one, Send)])


def test_a_raised_reign_asks_every_worker_for_its_shard_again(fleet: Fleet) -> None:
    fleet.running()
    fleet.do(fleet.state.raised(10))
    synced = {
        one.worker: one.command for one in fleet.do(fleet.state.raised(11)) if isinstance(one, Send)
    }
    assert {worker: command.epoch for worker, command in synced.items()} == {W0: 11, W1: 11}
    assert all(isinstance(command, m.Sync) for command in synced.values())
    assert not fleet.state.worker_ready(W0)
    assert fleet.do(fleet.state.raised(10)) == [], "a reign's number never goes back"
    # the one for whom it was raised introduces itself again
    welcome, _sync = fleet.report(m.Register(W0, "another", 1, epoch=10))
    assert isinstance(welcome, Send)
    assert welcome.command.epoch == 11


def test_a_worker_that_connects_again_is_no_reason_to_raise_anything(fleet: Fleet) -> None:
    fleet.running()
    fleet.state.lost(W0, NOW)
    assert fleet.report(m.Register(W0, "life", 1, epoch=7))[0] == Send(
        W0, m.Welcome(7, "i", ORPHAN_AFTER_S, (W0, W1))
    )


def test_a_number_that_leaves_no_later_one_costs_its_worker(fleet: Fleet) -> None:
    (instruction,) = fleet.report(m.Register(W0, "life", 1, epoch=MAX_EPOCH))
    assert isinstance(instruction, Replace)
