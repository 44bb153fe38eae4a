"""In scope: what a worker does with commands and time. Out: sockets, listeners, what clusters hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from capim.aio.clock import ManualClock
from capim.api.gvk import NamespacedName
from capim.api.workload import (
    ClusterSpec,
    KeyPair,
    ListenerState,
    MachineSpec,
    Phase,
    Startup,
)
from capim.messaging import envelope as m
from workers.instructions import (
    BindListener,
    Breathe,
    CloseListener,
    DropListener,
    End,
    Instruction,
    LetGo,
    OpenListener,
    RenewListener,
    Send,
)
from workers.state import WorkerState

KEY = NamespacedName("default", "c1")
PAIR = KeyPair(b"certificate", b"key")
EPOCH = 5


def cluster(uid: str = "u1", port: int = 20000, ca: KeyPair = PAIR) -> ClusterSpec:
    endpoint = "127.0.0.1:20000"
    return ClusterSpec(KEY, uid, "127.0.0.1", port, endpoint, ca=ca, etcd_ca=PAIR)


def machine(name: str = "cp", uid: str = "mu1", **kw: object) -> MachineSpec:
    fields = {"control_plane": True, "version": "v1.31.0", "provider_id": f"in-memory://{name}"}
    return MachineSpec(KEY, name, uid, **{**fields, **kw})  # type: ignore[arg-type]


SLOW = {Phase.VM: Startup(10.0)}


class Worker:
    """A WorkerState whose instructions are collected; binding always works unless told otherwise."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.steady = ManualClock(0.0)
        self.state = WorkerState(
            "worker-0", life="life", pid=1, clock=self.clock, steady=self.steady
        )

    def do(self, instructions: Iterable[Instruction]) -> list[Instruction]:
        done: list[Instruction] = []
        for one in instructions:
            if isinstance(one, Breathe):
                continue
            done.append(one)
            if isinstance(one, BindListener):
                done += self.do(self.state.listener_bound(one.cluster))
        return done

    def take(self, command: m.Command) -> list[Instruction]:
        return self.do(self.state.handle(command))

    def sync(self, *machines: MachineSpec, spec: ClusterSpec | None = None) -> list[Instruction]:
        return self.take(m.Sync(EPOCH, (spec or cluster(),), machines))

    def tick_at(self, seconds_on: float) -> list[Instruction]:
        self.clock.advance(seconds_on)
        self.steady.advance(seconds_on)
        return self.do(self.state.tick())


@pytest.fixture
def worker() -> Worker:
    return Worker()


def reports(instructions: Iterable[Instruction], kind: type) -> list[m.Report]:
    sent = [one.report for one in instructions if isinstance(one, Send)]
    return [report for report in sent if isinstance(report, kind)]


def kinds_of(instructions: Iterable[Instruction]) -> list[str]:
    return [
        type(one.report).__name__ if isinstance(one, Send) else type(one).__name__
        for one in instructions
    ]


def test_a_rebuilt_cluster_opens_only_when_it_is_whole(worker: Worker) -> None:
    done = {Phase.VM: 1.0, Phase.NODE: 2.0, Phase.ETCD: 3.0, Phase.API_SERVER: 4.0}
    happened = kinds_of(worker.sync(machine(done=done, created_at=1.0)))
    assert happened == [
        "BindListener",
        "ListenerChanged",
        "JournalsDamaged",
        "OpenListener",
        "ListenerChanged",
        "ListenerChanged",
        "MachineProgressed",
        "TidyJournal",
        "Synced",
    ]


def test_nothing_opens_before_the_first_sync(worker: Worker) -> None:
    worker.take(m.EnsureCluster(EPOCH, cluster()))
    happened = worker.take(m.EnsureMachine(EPOCH, machine()))
    assert OpenListener(KEY) not in happened
    assert OpenListener(KEY) in worker.sync(machine())


def test_a_listener_opens_before_its_machine_is_reported_up(worker: Worker) -> None:
    worker.sync(machine(startup=SLOW))
    happened = worker.tick_at(10.0)
    opened = happened.index(OpenListener(KEY))
    (progressed,) = reports(happened, m.MachineProgressed)
    assert isinstance(progressed, m.MachineProgressed)
    assert Phase.API_SERVER in progressed.progress.done
    assert opened < happened.index(Send(progressed))


def test_a_phase_that_ends_is_done_at_its_deadline_and_not_before(worker: Worker) -> None:
    worker.sync(machine(startup=SLOW))
    started = worker.clock.now
    worker.state.handle(m.Ping(EPOCH))
    assert reports(worker.tick_at(9.0), m.MachineProgressed) == []
    assert worker.state.wait_s() <= started + 10.0 - worker.clock()
    (report,) = reports(worker.tick_at(1.0), m.MachineProgressed)
    assert isinstance(report, m.MachineProgressed)
    assert report.progress.done[Phase.VM] == started + 10.0


def test_an_older_epoch_is_not_obeyed(worker: Worker) -> None:
    worker.sync(machine())
    assert worker.take(m.RemoveCluster(EPOCH - 1, KEY, "u1")) == []
    assert KEY in worker.state.clusters


def test_the_same_sync_again_changes_nothing_and_reports_all(worker: Worker) -> None:
    worker.sync(machine())
    version = worker.state.clusters[KEY].cluster.group.resource_version
    again = kinds_of(worker.sync(machine()))
    assert again == [
        *("JournalsDamaged", "ListenerChanged", "MachineProgressed"),
        *("TidyJournal", "Synced"),
    ]
    assert worker.state.clusters[KEY].cluster.group.resource_version == version


def test_what_a_sync_does_not_name_goes(worker: Worker) -> None:
    worker.sync(machine(), machine("w", "mu2", control_plane=False))
    worker.sync(machine())
    assert set(worker.state.clusters[KEY].cluster.machines) == {"cp"}
    cluster = worker.state.clusters[KEY].cluster
    assert worker.take(m.Sync(EPOCH, (), ()))[:2] == [DropListener(KEY), LetGo(cluster)]
    assert worker.state.clusters == {}


def test_another_life_of_a_cluster_starts_above_the_first_ones_versions(worker: Worker) -> None:
    worker.sync(machine())
    before = worker.state.clusters[KEY].cluster.group.resource_version
    worker.clock.advance(-3600.0)  # a clock set back must not send versions back
    happened = worker.sync(spec=cluster(uid="u2"))
    assert DropListener(KEY) in happened
    assert worker.state.clusters[KEY].cluster.group.resource_version > before


def test_the_listener_closes_with_the_last_api_server(worker: Worker) -> None:
    worker.sync(machine())
    happened = worker.take(m.RemoveMachine(EPOCH, KEY, "cp", "mu1"))
    assert kinds_of(happened) == ["CloseListener", "ListenerChanged", "MachineGone"]
    assert CloseListener(KEY) in happened


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        pytest.param(
            m.RemoveMachine(EPOCH, KEY, "no", "x"),
            m.MachineGone("worker-0", "life", KEY, "no", "x"),
            id="machine",
        ),
        pytest.param(
            m.RemoveCluster(EPOCH, KEY, "x"),
            m.ClusterGone("worker-0", "life", KEY, "x"),
            id="cluster",
        ),
    ],
)
def test_a_removal_of_what_never_was_is_confirmed(
    worker: Worker, command: m.Command, answer: m.Report
) -> None:
    assert worker.take(command) == [Send(answer)]


def test_a_changed_authority_renews_certificates_and_a_changed_port_rebinds(worker: Worker) -> None:
    worker.sync(machine())
    renewed = worker.take(m.EnsureCluster(EPOCH, cluster(ca=KeyPair(b"other", b"key"))))
    assert RenewListener(KEY) in renewed
    signed_anew = replace(cluster(ca=KeyPair(b"other", b"key")), service_account=PAIR)
    assert RenewListener(KEY) in worker.take(m.EnsureCluster(EPOCH, signed_anew))
    moved = worker.take(m.EnsureCluster(EPOCH, cluster(port=20001)))
    assert kinds_of(moved)[:2] == ["DropListener", "BindListener"]
    assert OpenListener(KEY) in moved


def test_an_occupied_port_is_reported(worker: Worker) -> None:
    list(worker.state.handle(m.Sync(EPOCH, (cluster(),), ())))
    (report,) = reports(worker.state.listener_failed(KEY, "taken"), m.ListenerChanged)
    assert isinstance(report, m.ListenerChanged)
    assert (report.status.state, report.status.message) == (ListenerState.FAILED, "taken")


def test_a_silent_worker_registers_again_and_ends_when_orphaned(worker: Worker) -> None:
    worker.take(m.Welcome(EPOCH, "i", orphan_after_s=60.0))
    worker.sync()
    assert reports(worker.tick_at(2.9), m.Register) == []
    (register,) = reports(worker.tick_at(0.2), m.Register)
    assert isinstance(register, m.Register)
    assert register.epoch == EPOCH
    assert reports(worker.tick_at(0.1), m.Register) == []
    assert len(reports(worker.tick_at(0.5), m.Register)) == 1
    (end,) = [one for one in worker.tick_at(60.0) if isinstance(one, End)]
    assert "no coordinator" in end.why
    assert worker.tick_at(1.0) == []
    assert worker.state.wait_s() > 1.0


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
def test_a_wall_clock_that_is_set_is_no_silence_of_the_coordinator(
    worker: Worker, jump_s: float
) -> None:
    worker.take(m.Welcome(EPOCH, "i", orphan_after_s=60.0))
    worker.sync()
    worker.clock.advance(jump_s)
    assert worker.tick_at(2.9) == []
    assert 0.0 < worker.state.wait_s() < 1.0
    assert len(reports(worker.tick_at(0.2), m.Register)) == 1


def test_what_waits_for_a_clock_that_was_ahead_goes_on_when_it_is_set_right(worker: Worker) -> None:
    worker.clock.advance(3600.0)
    worker.sync(machine(startup=SLOW))
    worker.tick_at(9.0)
    worker.clock.advance(-3600.0)
    worker.take(m.Ping(EPOCH))
    assert worker.state.wait_s() <= 10.0
    phases = {
        phase
        for _ in range(20)
        for one in reports(worker.tick_at(1.0), m.MachineProgressed)
        for phase in one.progress.done  # type: ignore[union-attr]
    }
    assert Phase.API_SERVER in phases


def test_a_refused_report_makes_the_worker_ask_for_a_sync(worker: Worker) -> None:
    worker.sync(machine())
    worker.tick_at(1.0)
    worker.state.out_of_step()
    assert len(reports(worker.tick_at(0.5), m.Register)) == 1
    worker.sync(machine())
    assert reports(worker.tick_at(0.5), m.Register) == []


def test_a_write_that_controllers_care_for_makes_the_next_tick_due_now() -> None:
    worker = Worker()
    worker.do(worker.state.handle(m.Sync(EPOCH, (cluster(),), (machine(),))))
    worker.do(worker.state.tick())
    asked: list[str] = []
    worker.state.on_work = lambda: asked.append("work")
    group = worker.state.clusters[KEY].cluster.group
    namespaces = next(one for one in group.resources if one.plural == "namespaces")
    group.create(namespaces, "", {"metadata": {"name": "fresh"}})
    assert asked == ["work"]
    assert worker.state.wait_s() == 0
    worker.do(worker.state.tick())
    accounts = next(one for one in group.resources if one.plural == "serviceaccounts")
    assert [stored.name for stored in group.list(accounts, "fresh").items] == ["default"]
    assert worker.state.wait_s() > 0
