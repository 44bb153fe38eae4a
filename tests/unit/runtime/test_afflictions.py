"""In scope: what machines and etcd suffer by declaration, and that it heals. Out: requests, the wire."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from capim.aio.clock import ManualClock
from capim.api.errors import APIError
from capim.api.faults import EFFECTS, Effect, Fault, Schedule, Unit
from capim.api.gvk import GVR
from capim.api.meta import get_condition
from capim.api.nodeform import parse_taint
from capim.api.workload import Failure, Phase, Simulation
from capim.runtime.cures import CURES
from capim.runtime.etcdmembers import AlarmType
from capim.runtime.etcdservice import EtcdService
from capim.runtime.eviction import evict
from capim.runtime.journal.records import machine_of, machine_record
from capim.runtime.machines import SimulatedMachine
from capim.runtime.workload import WorkloadCluster
from capim.wire import etcdrpc
from capim.wire.grpcserver import GrpcError
from tests.unit.runtime.test_workload import KEY, cluster_spec, machine

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.workload import MachineSpec

NOW = 1_700_000_000.0
NEW = ("w2", "w3", "w4")
NAMES = ("cp1", "cp2", "cp3", "w1")
NODES, PODS = GVR("", "v1", "nodes"), GVR("", "v1", "pods")


def quick(name: str, **changes: Any) -> MachineSpec:
    return machine(name, startup={}, **changes)


class Ward:
    """A cluster of three control plane machines and a worker, whose time is turned by hand."""

    def __init__(self, *names: str, simulation: Simulation = Simulation.PODS) -> None:
        self.clock = ManualClock(NOW)
        self.cluster = WorkloadCluster(
            cluster_spec(),
            clock=self.clock,
            rng=random.Random(7),  # noqa: S311 - uids of a test
            first_version=1,
            simulation=simulation,
        )
        for name in names or NAMES:
            self.cluster.ensure_machine(quick(name))
        self.settle()

    def settle(self) -> None:
        for _ in range(100):
            self.cluster.advance()
            due = self.cluster.next_deadline()
            if due is None or due > self.clock():
                return
        raise AssertionError("the cluster never comes to rest")

    def later(self, seconds: float) -> None:
        """Let time pass, and all that happens in it happen at its time."""
        end = self.clock() + seconds
        while (due := self.cluster.next_deadline()) is not None and due <= end:
            self.clock.now = max(self.clock(), due)
            self.settle()
        self.clock.now = end

    def suffer(self, effect: Effect, *machines: str, **fields: Any) -> None:
        """Let this be the only fault, for a minute from now."""
        schedule = Schedule(self.clock(), 60.0, period_s=fields.pop("period_s", 0.0))
        chosen = machines or None
        fault = Fault("u", "default/f", effect, schedule, "7", machines=chosen, **fields)
        self.cluster.set_faults((fault,))
        self.settle()

    def heal(self) -> None:
        self.cluster.set_faults(())
        self.settle()

    def objects(self, gvr: GVR) -> dict[str, JsonObject]:
        resource = self.cluster.group.resources.by_gvr(gvr)
        assert resource is not None
        listed = self.cluster.group.list(resource, None).items
        return {one.name: one.json() for one in listed}

    def condition(self, node: str, kind: str) -> str:
        found = get_condition(self.objects(NODES)[node], kind)
        assert found is not None
        return str(found["status"])

    def is_ready(self, pod: str) -> bool:
        found = get_condition(self.objects(PODS)[pod], "Ready")
        return found is not None and found["status"] == "True"

    def etcd(
        self, member: str, method: str, request: str = "", service: str = "Maintenance"
    ) -> Any:
        """Call a member, as gRPC would."""
        message = etcdrpc.new(request or f"{method}Request").SerializeToString()
        answer = EtcdService(self.cluster.etcd).handle(
            f"etcd-{member}", etcdrpc.method(service, method), message
        )
        return etcdrpc.decode(f"{method}Response", answer)

    def leader(self) -> str:
        etcd = self.cluster.etcd
        return next(one.name for one in etcd.members() if one.id == etcd.leader_id)


@pytest.fixture
def ward() -> Ward:
    return Ward()


def state(ward: Ward) -> dict[str, Any]:
    """Return all that afflictions may change, without times and versions."""
    nodes = {
        name: (
            node["spec"].get("taints"),
            {c["type"]: (c["status"], c["reason"]) for c in node["status"]["conditions"]},
            node["status"]["nodeInfo"]["kubeletVersion"],
            node["spec"].get("providerID"),
            node["status"].get("volumesAttached"),
        )
        for name, node in ward.objects(NODES).items()
    }
    pods = {name: ward.is_ready(name) for name in ward.objects(PODS)}
    cluster = ward.cluster
    etcd = (cluster.etcd.trouble, cluster.etcd.alarms, cluster.etcd.has_quorum)
    afflicted = [dict(one.afflicted) for one in cluster.machines.values()]
    failed = [dict(one.failed) for one in cluster.machines.values()]
    return {"nodes": nodes, "pods": pods, "etcd": etcd, "machines": (afflicted, failed)}


DETAILS = {Effect.TAINTED: "maintenance=today:NoSchedule", Effect.VERSION_SKEW: "v1.20.0"}
OF_MACHINES = [effect for effect, info in EFFECTS.items() if info.unit is Unit.MACHINE]
#: whose end leaves something, or that machines which run already do not notice
LASTING = {
    Effect.DELETED,
    Effect.NO_CAPACITY,
    Effect.OUTAGE,
    Effect.NEVER_JOINS,
    Effect.RATE_LIMITED,
}


def test_every_effect_on_machines_has_a_cure() -> None:
    assert CURES.keys() == set(OF_MACHINES)


@pytest.mark.parametrize("effect", [one for one in OF_MACHINES if one not in LASTING])
def test_all_is_as_before_when_a_fault_is_deleted_or_over(ward: Ward, effect: Effect) -> None:
    before = state(ward)
    fields = {"detail": DETAILS.get(effect, ""), "latency_s": 1.0}
    ward.suffer(effect, "cp2", **fields)
    assert state(ward) != before
    ward.heal()
    assert state(ward) == before
    ward.suffer(effect, "cp2", **fields)
    ward.later(61)
    assert state(ward) == before


@pytest.mark.parametrize(
    ("effect", "condition", "status"),
    [
        (Effect.NOT_READY, "Ready", "False"),
        (Effect.MEMORY_PRESSURE, "MemoryPressure", "True"),
        (Effect.DISK_PRESSURE, "DiskPressure", "True"),
        (Effect.PID_PRESSURE, "PIDPressure", "True"),
        (Effect.NETWORK_UNAVAILABLE, "NetworkUnavailable", "True"),
    ],
)
def test_kubelets_post_conditions(ward: Ward, effect: Effect, condition: str, status: str) -> None:
    ward.suffer(effect, "w1")
    assert ward.condition("w1", condition) == status
    assert ward.condition("cp1", condition) != status
    (taint,) = ward.objects(NODES)["w1"]["spec"]["taints"][:1]
    assert taint["key"].startswith("node.kubernetes.io/")


def test_a_silent_node_is_unknown_after_its_grace_period(ward: Ward) -> None:
    ward.suffer(Effect.SILENT, "w1")
    ward.later(49)
    assert ward.condition("w1", "Ready") == "True"
    ward.later(2)
    assert ward.condition("w1", "Ready") == "Unknown"
    ward.heal()
    assert ward.condition("w1", "Ready") == "True"


def test_a_flapping_node_comes_and_goes(ward: Ward) -> None:
    ward.suffer(Effect.NOT_READY, "w1", period_s=20.0)
    seen = []
    for _ in range(7):
        seen.append(ward.condition("w1", "Ready"))
        ward.later(10)
    assert seen == ["False", "True"] * 3 + ["True"]


def test_a_deleted_node_does_not_come_back(ward: Ward) -> None:
    ward.suffer(Effect.DELETED, "w1")
    assert "w1" not in ward.objects(NODES)
    ward.heal()
    assert "w1" not in ward.objects(NODES)


def test_a_taint_and_a_version_are_of_the_faults_words(ward: Ward) -> None:
    ward.suffer(Effect.TAINTED, "w1", detail="maintenance=today:NoExecute")
    (taint,) = ward.objects(NODES)["w1"]["spec"]["taints"]
    assert (taint["key"], taint["value"], taint["effect"]) == (
        "maintenance",
        "today",
        "NoExecute",
    )
    ward.suffer(Effect.VERSION_SKEW, "w1", detail="v1.20.0")
    node = ward.objects(NODES)["w1"]
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.20.0"
    assert not node["spec"].get("taints")
    assert parse_taint("key:NoSchedule") == {"key": "key", "effect": "NoSchedule"}


def test_pods_that_are_deleted_hang_until_the_fault_ends(ward: Ward) -> None:
    resource = ward.cluster.group.resources.by_gvr(PODS)
    assert resource is not None
    body = {
        "metadata": {"name": "p"},
        "spec": {"nodeName": "w1", "containers": [{"name": "c", "image": "i"}]},
    }
    ward.cluster.group.create(resource, "default", body)
    ward.suffer(Effect.PODS_STUCK, "w1")
    ward.cluster.group.delete(resource, "default", "p")
    ward.later(40)
    assert ward.objects(PODS)["p"]["metadata"]["deletionTimestamp"]
    ward.heal()
    assert "p" not in ward.objects(PODS)


def test_evictions_are_refused_as_by_a_budget_until_the_fault_ends(ward: Ward) -> None:
    resource = ward.cluster.group.resources.by_gvr(PODS)
    assert resource is not None
    for name, node in (("p", "w1"), ("elsewhere", "cp1")):
        spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}
        ward.cluster.group.create(resource, "default", {"metadata": {"name": name}, "spec": spec})
    ward.later(10)
    ward.suffer(Effect.EVICTIONS_BLOCKED, "w1")
    with pytest.raises(APIError) as refused:
        evict(ward.cluster.group, "default", "p", {})
    assert refused.value.code == 429
    cause = refused.value.status()["details"]["causes"][0]
    assert (cause["reason"], "budget f " in cause["message"]) == ("DisruptionBudget", True)
    assert evict(ward.cluster.group, "default", "elsewhere", {})["code"] == 201
    ward.heal()
    assert evict(ward.cluster.group, "default", "p", {})["code"] == 201


def test_a_machine_that_goes_takes_along_what_kept_its_pods(ward: Ward) -> None:
    ward.suffer(Effect.EVICTIONS_BLOCKED, "w1")
    assert ward.cluster.group.unevictable == {"w1": "f"}
    ward.cluster.remove_machine("w1", "uid-of-w1")
    assert ward.cluster.group.unevictable == {}


# --- the control plane ---


def test_a_member_that_is_down_does_not_answer_and_another_leads(ward: Ward) -> None:
    assert ward.leader() == "cp1"
    ward.suffer(Effect.MEMBER_DOWN, "cp1")
    with pytest.raises(GrpcError, match="does not run"):
        ward.etcd("cp1", "Status")
    assert ward.leader() == "cp2"
    assert ward.etcd("cp2", "Status").leader == ward.cluster.etcd.leader_id
    assert len(ward.etcd("cp2", "MemberList", service="Cluster").members) == 3
    assert not ward.is_ready("etcd-cp1")
    assert ward.cluster.etcd.has_quorum


@pytest.mark.parametrize("how", [(Effect.MEMBER_DOWN, ("cp1", "cp2")), (Effect.NO_LEADER, ())])
def test_without_quorum_there_is_no_leader_and_nothing_to_agree_on(
    ward: Ward, how: tuple[Effect, tuple[str, ...]]
) -> None:
    ward.suffer(how[0], *how[1])
    status = ward.etcd("cp3", "Status")
    assert (status.leader, list(status.errors)) == (0, ["etcdserver: no leader"])
    with pytest.raises(GrpcError, match="timed out"):
        ward.etcd("cp3", "MemberList", service="Cluster")
    ward.heal()
    assert len(ward.etcd("cp3", "MemberList", service="Cluster").members) == 3
    assert ward.etcd("cp3", "Status").leader != 0


def test_leaders_change_each_time(ward: Ward) -> None:
    ward.suffer(Effect.LEADER_CHANGES, period_s=20.0)
    leaders = [ward.leader()]
    for _ in range(2):
        ward.later(20)
        leaders.append(ward.leader())
    assert leaders[0] != leaders[1] != leaders[2]


@pytest.mark.parametrize(
    ("effect", "alarm"),
    [(Effect.NO_SPACE, AlarmType.NOSPACE), (Effect.CORRUPT, AlarmType.CORRUPT)],
)
def test_alarms_are_of_their_member_and_are_not_written_down(
    ward: Ward, effect: Effect, alarm: AlarmType
) -> None:
    ward.suffer(effect, "cp2")
    member = ward.cluster.etcd.find("cp2")
    assert member is not None
    assert ward.cluster.etcd.alarms == [(member.id, alarm)]
    assert ward.cluster.etcd.raised == []
    assert ward.etcd("cp1", "Alarm").alarms[0].memberID == member.id


def test_members_disagree(ward: Ward) -> None:
    cluster_id = ward.etcd("cp1", "Status").header.cluster_id
    ward.suffer(Effect.CLUSTER_ID_MISMATCH, "cp2")
    assert ward.etcd("cp1", "Status").header.cluster_id == cluster_id
    assert ward.etcd("cp2", "Status").header.cluster_id != cluster_id
    ward.suffer(Effect.MEMBER_MISSING, "cp2")
    assert len(ward.etcd("cp1", "MemberList", service="Cluster").members) == 2
    assert len(ward.etcd("cp2", "MemberList", service="Cluster").members) == 3
    ward.suffer(Effect.LEARNER, "cp2")
    assert ward.etcd("cp2", "Status").isLearner
    assert not ward.etcd("cp1", "Status").isLearner


def doors(ward: Ward) -> tuple[bool, bool]:
    """Tell whether an API server is up, and whether clients may come in."""
    return ward.cluster.serving, ward.cluster.reachable


def test_the_last_replica_closes_the_port() -> None:
    ward = Ward("cp1", "cp2", "w1")
    ward.suffer(Effect.REPLICA_DOWN, "cp1")
    assert doors(ward) == (True, True)
    assert not ward.is_ready("kube-apiserver-cp1")
    ward.suffer(Effect.REPLICA_DOWN)
    assert doors(ward) == (False, False)
    ward.heal()
    assert doors(ward) == (True, True)
    ward.suffer(Effect.LISTENER_DOWN)
    assert doors(ward) == (True, False)
    ward.later(61)
    assert doors(ward) == (True, True)


# --- the cloud ---


def test_a_stopped_machine_is_silent_with_all_that_ran_on_it(ward: Ward) -> None:
    ward.suffer(Effect.VM_STOPPED, "cp1")
    ward.later(51)
    assert ward.condition("cp1", "Ready") == "Unknown"
    assert not ward.is_ready("etcd-cp1")
    assert not ward.is_ready("kube-apiserver-cp1")
    assert ward.leader() != "cp1"


def test_a_deleted_machine_is_reported(ward: Ward) -> None:
    ward.cluster.advance()
    ward.suffer(Effect.VM_DELETED, "w1")
    progress = ward.cluster.progress("w1")
    assert progress is not None
    assert "default/f" in progress.failed[Phase.VM]
    ward.heal()
    assert ward.cluster.machines["w1"].failed == {}


def test_a_machine_may_fail_for_good(ward: Ward) -> None:
    ward.suffer(Effect.VM_FAILED)
    ward.cluster.ensure_machine(quick("w2"))
    ward.settle()
    for name in ("w1", "w2"):
        progress = ward.cluster.progress(name)
        assert progress is not None
        assert progress.terminal
        assert "default/f" in progress.failed[Phase.VM]
    ward.heal()
    progress = ward.cluster.progress("w2")
    assert progress is not None
    assert (progress.terminal, progress.failed) == (False, {})
    assert Phase.NODE in progress.done


@pytest.mark.parametrize("effect", [Effect.NO_CAPACITY, Effect.OUTAGE])
def test_no_vm_is_created_until_there_is_a_cloud_again(ward: Ward, effect: Effect) -> None:
    ward.suffer(effect)
    ward.cluster.ensure_machine(quick("w2"))
    ward.later(30)
    held = ward.cluster.machines["w2"]
    assert Phase.VM not in held.done
    assert "default/f" in held.failed[Phase.VM]
    ward.heal()
    assert held.done[Phase.VM] == ward.clock()
    assert held.failed == {}
    assert ward.condition("w2", "Ready") == "True"


def test_a_limited_cloud_creates_vms_one_after_another(ward: Ward) -> None:
    ward.suffer(Effect.RATE_LIMITED, latency_s=10.0)
    began = ward.clock()
    for name in ("w2", "w3", "w4"):
        ward.cluster.ensure_machine(quick(name))
    ward.later(25)
    ups = [ward.cluster.machines[name].done.get(Phase.VM, 0.0) - began for name in NEW]
    assert ups == [0.0, 10.0, 20.0]
    ward.cluster.ensure_machine(quick("w5"))
    ward.settle()
    assert Phase.VM not in ward.cluster.machines["w5"].done
    ward.heal()
    assert Phase.VM in ward.cluster.machines["w5"].done


def test_machines_do_not_join_until_the_fault_ends(ward: Ward) -> None:
    ward.suffer(Effect.NEVER_JOINS)
    ward.cluster.ensure_machine(quick("w2"))
    ward.later(30)
    assert Phase.VM in ward.cluster.machines["w2"].done
    assert "w2" not in ward.objects(NODES)
    ward.heal()
    assert ward.condition("w2", "Ready") == "True"


# --- for all its life ---


def broken(name: str, effect: Effect, **fields: Any) -> MachineSpec:
    return quick(name, failures=(Failure(effect, **fields),))


def test_a_machine_may_be_broken_for_all_its_life(ward: Ward) -> None:
    ward.cluster.ensure_machine(broken("w2", Effect.WITHOUT_PROVIDER_ID))
    ward.cluster.ensure_machine(broken("w3", Effect.VERSION_SKEW, detail="v1.1.1"))
    ward.cluster.ensure_machine(broken("w4", Effect.NO_CAPACITY))
    ward.later(300)
    nodes = ward.objects(NODES)
    assert "providerID" not in nodes["w2"]["spec"]
    assert nodes["w3"]["status"]["nodeInfo"]["kubeletVersion"] == "v1.1.1"
    assert "w4" not in nodes
    assert "spec.behaviour" in ward.cluster.machines["w4"].failed[Phase.VM]


def test_a_broken_member_never_gets_healthy() -> None:
    ward = Ward("cp1", "w1")
    ward.cluster.ensure_machine(broken("cp2", Effect.MEMBER_DOWN))
    ward.settle()
    assert not ward.is_ready("etcd-cp2")
    with pytest.raises(GrpcError, match="does not run"):
        ward.etcd("cp2", "Status")
    ward.suffer(Effect.NOT_READY)
    ward.heal()
    assert not ward.is_ready("etcd-cp2")
    assert ward.cluster.remove_machine("cp2", "uid-of-cp2")
    ward.settle()
    assert ward.cluster.etcd.trouble is None


def test_chance_breaks_the_same_machines_each_time_and_survives_a_journal() -> None:
    def unlucky() -> list[str]:
        ward = Ward("cp1")
        for number in range(20):
            ward.cluster.ensure_machine(broken(f"w{number}", Effect.NOT_READY, probability=0.4))
        ward.settle()
        return [name for name in ward.objects(NODES) if ward.condition(name, "Ready") == "False"]

    one = unlucky()
    assert one == unlucky()
    assert 3 <= len(one) <= 14
    spec = broken("w1", Effect.TAINTED, probability=0.5, detail="a:NoExecute")
    record = machine_record(SimulatedMachine(replace(spec, created_at=NOW), created_at=NOW))
    assert machine_of(KEY, "w1", record).spec.failures == spec.failures


# --- who, how often, and what survives ---


def test_a_machine_that_comes_later_suffers_too(ward: Ward) -> None:
    ward.suffer(Effect.NOT_READY)
    ward.cluster.ensure_machine(quick("w2"))
    ward.settle()
    assert ward.condition("w2", "Ready") == "False"
    assert ward.cluster.remove_machine("w2", "uid-of-w2")
    ward.heal()
    assert "w2" not in ward.objects(NODES)


def test_two_faults_of_one_kind_are_one_until_both_have_ended(ward: Ward) -> None:
    short = Fault("u1", "default/a", Effect.NOT_READY, Schedule(NOW, 10.0), "7")
    long = Fault("u2", "default/b", Effect.NOT_READY, Schedule(NOW, 20.0), "7")
    ward.cluster.set_faults((short, long))
    ward.settle()
    seen = []
    for _ in range(3):
        seen.append(ward.condition("w1", "Ready"))
        ward.later(9)
    assert seen == ["False", "False", "False"]
    ward.later(0)
    assert ward.condition("w1", "Ready") == "True"


def test_stopped_and_down_heals_with_the_last_of_both(ward: Ward) -> None:
    down = Fault("u1", "default/a", Effect.MEMBER_DOWN, Schedule(NOW, 10.0), "7", machines=("cp1",))
    stopped = Fault(
        "u2", "default/b", Effect.VM_STOPPED, Schedule(NOW, 20.0), "7", machines=("cp1",)
    )
    ward.cluster.set_faults((down, stopped))
    ward.later(15)
    assert not ward.is_ready("etcd-cp1")
    ward.later(10)
    assert ward.is_ready("etcd-cp1")
    assert ward.cluster.etcd.trouble is None


def test_chance_chooses_machines_the_same_each_time() -> None:
    def unlucky() -> set[str]:
        ward = Ward("cp1", *(f"w{number}" for number in range(12)))
        ward.suffer(Effect.NOT_READY, probability=0.5)
        return {name for name in ward.objects(NODES) if ward.condition(name, "Ready") == "False"}

    one = unlucky()
    assert one == unlucky()
    assert 2 <= len(one) <= 11


def test_hits_count_machines_once_each_time(ward: Ward) -> None:
    ward.suffer(Effect.NOT_READY, period_s=20.0)
    assert ward.cluster.faults is not None
    assert ward.cluster.faults.take_hits() == (("u", 4),)
    ward.later(5)
    assert ward.cluster.faults.take_hits() == ()
    ward.later(20)
    assert ward.cluster.faults.take_hits() == (("u", 4),)


def test_what_a_journal_brings_back_heals(ward: Ward) -> None:
    """The fault was deleted while the worker was away."""
    ward.suffer(Effect.TAINTED, "w1", detail="maintenance=today:NoSchedule")
    restored = machine_of(KEY, "w1", machine_record(ward.cluster.machines["w1"]))
    assert restored.afflicted == {Effect.TAINTED: "maintenance=today:NoSchedule"}
    ward.cluster.faults = ward.cluster._afflictions = None  # what lived in the process has gone
    ward.cluster.restore_machine(restored)
    ward.settle()
    assert not ward.objects(NODES)["w1"]["spec"].get("taints")
    assert ward.cluster._afflictions is None


def test_nothing_is_kept_when_nothing_is_declared(ward: Ward) -> None:
    assert ward.cluster.faults is None
    assert ward.cluster._afflictions is None
    ward.suffer(Effect.NOT_READY)
    ward.heal()
    assert ward.cluster._afflictions is None
    assert ward.cluster.next_deadline() is None or not ward.cluster.take_turned()
