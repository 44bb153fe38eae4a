"""What can be done to a machine and taken back: each effect as two things to do. Pure.

`afflictions` decides when; what is done here is a level, and done again where a process begins anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from capim.api.faults import Effect, Fault
from capim.api.meta import format_time, get_condition
from capim.api.nodeform import parse_taint
from capim.api.workload import Phase
from capim.runtime.controllers.manager import ControllerManager
from capim.runtime.etcdmembers import AlarmType, EtcdCluster, EtcdTrouble
from capim.runtime.inhabitants import Inhabitants
from capim.runtime.machines import SimulatedMachine
from capim.runtime.manifests import nodes, pods

if TYPE_CHECKING:
    from capim.api.meta import JsonObject


@dataclass(frozen=True, slots=True)
class Hands:
    """What of a cluster afflictions may touch."""

    inhabitants: Inhabitants
    controllers: ControllerManager
    etcd: EtcdCluster
    api_servers_down: set[str]  #: names of machines
    clock: Callable[[], float]
    #: when a limited cloud creates the next VM; one item
    next_vm: list[float] = field(default_factory=lambda: [-math.inf])


@dataclass(frozen=True, slots=True)
class Cure:
    """How an effect begins and how it ends; `begin` returns what `end` needs to know."""

    begin: Callable[[Hands, SimulatedMachine, Fault], str]
    end: Callable[[Hands, SimulatedMachine, str], None]
    after: Phase | None = Phase.NODE  #: befalls machines that have come so far
    repeats: bool = False  #: done again with each time the fault acts


def trouble_of(etcd: EtcdCluster) -> EtcdTrouble:
    """Return what is wrong with a cluster's etcd, to be changed; nothing is, at first."""
    if etcd.trouble is None:
        etcd.trouble = EtcdTrouble()
    return etcd.trouble


# --- nodes -------------------------------------------------------------------------------------------


def _condition(kind: str, status: str, reason: str, text: str) -> Cure:
    """A condition of the Node that its kubelet posts."""

    def post(hands: Hands, name: str, made: JsonObject) -> None:
        time = format_time(hands.clock())

        def posted(node: JsonObject) -> JsonObject:
            conditions = node["status"].get("conditions") or []
            old = get_condition(node, kind) or {}
            since = time if old.get("status") != made["status"] else old["lastTransitionTime"]
            times = {"lastHeartbeatTime": time, "lastTransitionTime": since}
            others = [one for one in conditions if one["type"] != kind]
            node["status"]["conditions"] = [*others, made | times]
            return node

        hands.inhabitants.change_node(name, posted)

    def begin(hands: Hands, machine: SimulatedMachine, fault: Fault) -> str:
        message = f"{text}: fault {fault.name}"
        made = {"type": kind, "status": status, "reason": reason, "message": message}
        post(hands, machine.spec.name, made)
        return ""

    def end(hands: Hands, machine: SimulatedMachine, _: str) -> None:
        well = next(one for one in nodes.conditions(hands.clock()) if one["type"] == kind)
        post(hands, machine.spec.name, well)

    return Cure(begin, end)


def _silence(hands: Hands, machine: SimulatedMachine, _: Fault) -> str:
    hands.controllers.silence(machine.spec.name)
    return ""


def _hear(hands: Hands, machine: SimulatedMachine, _: str) -> None:
    if not machine.afflicted.keys() & _SILENCING:
        hands.controllers.hear(machine.spec.name)


def _delete_node(hands: Hands, machine: SimulatedMachine, _: Fault) -> str:
    hands.inhabitants.remove_node(machine.spec.name)
    return ""


def _nothing(_hands: Hands, _machine: SimulatedMachine, _detail: str) -> None:
    """There is nothing to undo."""


def _taint(hands: Hands, machine: SimulatedMachine, fault: Fault) -> str:
    taint = parse_taint(fault.detail)

    def tainted(node: JsonObject) -> JsonObject:
        taints = _without(node, taint)
        node["spec"]["taints"] = [*taints, taint | {"timeAdded": format_time(hands.clock())}]
        return node

    hands.inhabitants.change_node(machine.spec.name, tainted)
    return fault.detail


def _untaint(hands: Hands, machine: SimulatedMachine, detail: str) -> None:
    def clean(node: JsonObject) -> JsonObject:
        node["spec"]["taints"] = _without(node, parse_taint(detail))
        return node

    hands.inhabitants.change_node(machine.spec.name, clean)


def _without(node: JsonObject, taint: JsonObject) -> list[JsonObject]:
    taints = (node.get("spec") or {}).get("taints") or []
    same = ("key", "effect")
    return [one for one in taints if any(one.get(name) != taint[name] for name in same)]


def _skew(hands: Hands, machine: SimulatedMachine, fault: Fault) -> str:
    _set_version(hands, machine, fault.detail)
    return ""


def _unskew(hands: Hands, machine: SimulatedMachine, _: str) -> None:
    _set_version(hands, machine, machine.spec.version)


def _set_version(hands: Hands, machine: SimulatedMachine, version: str) -> None:
    def of_version(node: JsonObject) -> JsonObject:
        node["status"]["nodeInfo"]["kubeletVersion"] = version
        return node

    hands.inhabitants.change_node(machine.spec.name, of_version)


def _hold_node(_: Hands, machine: SimulatedMachine, _fault: Fault) -> str:
    machine.held[Phase.NODE] = math.inf
    return ""


def _release_node(hands: Hands, machine: SimulatedMachine, _: str) -> None:
    machine.held[Phase.NODE] = hands.clock()


def _disown(hands: Hands, machine: SimulatedMachine, _: Fault) -> str:
    _set_provider_id(hands, machine, "")
    return ""


def _own(hands: Hands, machine: SimulatedMachine, _: str) -> None:
    _set_provider_id(hands, machine, machine.spec.provider_id)


def _set_provider_id(hands: Hands, machine: SimulatedMachine, provider_id: str) -> None:
    def identified(node: JsonObject) -> JsonObject:
        node["spec"].pop("providerID", None)
        if provider_id:
            node["spec"]["providerID"] = provider_id
        return node

    hands.inhabitants.change_node(machine.spec.name, identified)


def _hold_pods(hands: Hands, machine: SimulatedMachine, _: Fault) -> str:
    hands.controllers.hold_pods(machine.spec.name, held=True)
    return ""


def _let_pods_go(hands: Hands, machine: SimulatedMachine, _: str) -> None:
    hands.controllers.hold_pods(machine.spec.name, held=False)


def _forbid_evictions(hands: Hands, machine: SimulatedMachine, fault: Fault) -> str:
    hands.inhabitants.forbid_evictions(machine.spec.name, fault.name.rpartition("/")[2])
    return ""


def _allow_evictions(hands: Hands, machine: SimulatedMachine, _: str) -> None:
    hands.inhabitants.allow_evictions(machine.spec.name)


# --- the control plane -------------------------------------------------------------------------------


def _stop_member(hands: Hands, machine: SimulatedMachine, _: Fault) -> str:
    name = machine.spec.name
    trouble_of(hands.etcd).down.add(name)
    hands.etcd.step_down(name)
    hands.inhabitants.set_ready(pods.ETCD, name, ready=False)
    return ""


def _start_member(hands: Hands, machine: SimulatedMachine, _: str) -> None:
    if not machine.afflicted.keys() & _STOPPING_ETCD:
        trouble_of(hands.etcd).down.discard(machine.spec.name)
        hands.inhabitants.set_ready(pods.ETCD, machine.spec.name, ready=True)


def _stop_api_server(hands: Hands, machine: SimulatedMachine, _: Fault) -> str:
    hands.api_servers_down.add(machine.spec.name)
    hands.inhabitants.set_ready(pods.API_SERVER, machine.spec.name, ready=False)
    return ""


def _start_api_server(hands: Hands, machine: SimulatedMachine, _: str) -> None:
    if not machine.afflicted.keys() & _STOPPING_API:
        hands.api_servers_down.discard(machine.spec.name)
        hands.inhabitants.set_ready(pods.API_SERVER, machine.spec.name, ready=True)


def _alarm(kind: AlarmType) -> Cure:
    def begin(hands: Hands, machine: SimulatedMachine, _: Fault) -> str:
        trouble_of(hands.etcd).alarms.setdefault(machine.spec.name, set()).add(kind)
        return ""

    def end(hands: Hands, machine: SimulatedMachine, _: str) -> None:
        alarms = trouble_of(hands.etcd).alarms
        alarms.get(machine.spec.name, set()).discard(kind)
        if not alarms.get(machine.spec.name):
            alarms.pop(machine.spec.name, None)

    return Cure(begin, end, after=Phase.ETCD)


def _marked(names: Callable[[EtcdTrouble], set[str]]) -> Cure:
    """A member of which something is wrong in what etcd says."""

    def begin(hands: Hands, machine: SimulatedMachine, _: Fault) -> str:
        names(trouble_of(hands.etcd)).add(machine.spec.name)
        return ""

    def end(hands: Hands, machine: SimulatedMachine, _: str) -> None:
        names(trouble_of(hands.etcd)).discard(machine.spec.name)

    return Cure(begin, end, after=Phase.ETCD)


def _slow_down(hands: Hands, machine: SimulatedMachine, fault: Fault) -> str:
    trouble_of(hands.etcd).slow[machine.spec.name] = fault.latency_s
    return ""


def _speed_up(hands: Hands, machine: SimulatedMachine, _: str) -> None:
    trouble_of(hands.etcd).slow.pop(machine.spec.name, None)


# --- the cloud ---------------------------------------------------------------------------------------


def _stop_vm(hands: Hands, machine: SimulatedMachine, fault: Fault) -> str:
    _silence(hands, machine, fault)
    if Phase.ETCD in machine.done:
        _stop_member(hands, machine, fault)
    if Phase.API_SERVER in machine.done:
        _stop_api_server(hands, machine, fault)
    return ""


def _start_vm(hands: Hands, machine: SimulatedMachine, detail: str) -> None:
    _hear(hands, machine, detail)
    _start_member(hands, machine, detail)
    _start_api_server(hands, machine, detail)


def _delete_vm(hands: Hands, machine: SimulatedMachine, fault: Fault) -> str:
    machine.failed[Phase.VM] = f"the VM does not exist any more: fault {fault.name}"
    return _stop_vm(hands, machine, fault)


def _undelete_vm(hands: Hands, machine: SimulatedMachine, detail: str) -> None:
    machine.failed.pop(Phase.VM, None)
    _start_vm(hands, machine, detail)


def _fail_vm(hands: Hands, machine: SimulatedMachine, fault: Fault) -> str:
    machine.terminal = True
    if Phase.VM not in machine.done:
        return _hold_vm(hands, machine, fault)
    machine.failed[Phase.VM] = f"the VM has failed for good: fault {fault.name}"
    return _stop_vm(hands, machine, fault) if Phase.NODE in machine.done else ""


def _unfail_vm(hands: Hands, machine: SimulatedMachine, detail: str) -> None:
    machine.terminal = False
    if Phase.NODE in machine.done:
        _undelete_vm(hands, machine, detail)
    else:
        _release_vm(hands, machine, detail)


def _hold_vm(_: Hands, machine: SimulatedMachine, fault: Fault) -> str:
    if Phase.VM not in machine.done:
        machine.held[Phase.VM] = math.inf
        machine.failed[Phase.VM] = f"no VM is created: fault {fault.name}"
    return ""


def _release_vm(hands: Hands, machine: SimulatedMachine, _: str) -> None:
    if not machine.afflicted.keys() & _HOLDING:
        machine.held[Phase.VM] = hands.clock()
        machine.failed.pop(Phase.VM, None)


def _queue_vm(hands: Hands, machine: SimulatedMachine, fault: Fault) -> str:
    if Phase.VM not in machine.done:
        at = max(hands.clock(), hands.next_vm[0])
        machine.held[Phase.VM] = max(at, machine.held.get(Phase.VM, at))
        hands.next_vm[0] = at + fault.latency_s
    return ""


def _hurry_vm(hands: Hands, machine: SimulatedMachine, _: str) -> None:
    if not machine.afflicted.keys() & _HOLDING:
        machine.held.pop(Phase.VM, None)
    hands.next_vm[0] = -math.inf


def _attach(hands: Hands, machine: SimulatedMachine, _: Fault) -> str:
    hands.inhabitants.attach_volume(machine.spec.name, machine.spec.uid)
    return ""


def _detach(hands: Hands, machine: SimulatedMachine, _: str) -> None:
    hands.inhabitants.detach_volume(machine.spec.name)


_OFF: Final = frozenset({Effect.VM_STOPPED, Effect.VM_DELETED, Effect.VM_FAILED})
_SILENCING: Final = _OFF | {Effect.SILENT}
_STOPPING_ETCD: Final = _OFF | {Effect.MEMBER_DOWN}
_STOPPING_API: Final = _OFF | {Effect.REPLICA_DOWN}
_HOLDING: Final = frozenset({Effect.NO_CAPACITY, Effect.OUTAGE, Effect.VM_FAILED})

CURES: Final[dict[Effect, Cure]] = {
    Effect.NOT_READY: _condition("Ready", "False", "KubeletNotReady", "container runtime is down"),
    Effect.MEMORY_PRESSURE: _condition(
        "MemoryPressure",
        "True",
        "KubeletHasInsufficientMemory",
        "kubelet has insufficient memory available",
    ),
    Effect.DISK_PRESSURE: _condition(
        "DiskPressure", "True", "KubeletHasDiskPressure", "kubelet has disk pressure"
    ),
    Effect.PID_PRESSURE: _condition(
        "PIDPressure",
        "True",
        "KubeletHasInsufficientPID",
        "kubelet has insufficient PID available",
    ),
    Effect.NETWORK_UNAVAILABLE: _condition(
        "NetworkUnavailable", "True", "NoRouteCreated", "no route is there"
    ),
    Effect.NEVER_JOINS: Cure(_hold_node, _release_node, after=None),
    Effect.WITHOUT_PROVIDER_ID: Cure(_disown, _own),
    Effect.SILENT: Cure(_silence, _hear),
    Effect.DELETED: Cure(_delete_node, _nothing, repeats=True),
    Effect.TAINTED: Cure(_taint, _untaint),
    Effect.VERSION_SKEW: Cure(_skew, _unskew),
    Effect.PODS_STUCK: Cure(_hold_pods, _let_pods_go),
    Effect.VOLUMES_STUCK: Cure(_attach, _detach),
    Effect.EVICTIONS_BLOCKED: Cure(_forbid_evictions, _allow_evictions),
    Effect.RATE_LIMITED: Cure(_queue_vm, _hurry_vm, after=None),
    Effect.REPLICA_DOWN: Cure(_stop_api_server, _start_api_server, after=Phase.API_SERVER),
    Effect.MEMBER_DOWN: Cure(_stop_member, _start_member, after=Phase.ETCD),
    Effect.NO_SPACE: _alarm(AlarmType.NOSPACE),
    Effect.CORRUPT: _alarm(AlarmType.CORRUPT),
    Effect.SLOW: Cure(_slow_down, _speed_up, after=Phase.ETCD),
    Effect.CLUSTER_ID_MISMATCH: _marked(lambda trouble: trouble.other_cluster),
    Effect.MEMBER_MISSING: _marked(lambda trouble: trouble.missing),
    Effect.LEARNER: _marked(lambda trouble: trouble.learners),
    Effect.VM_STOPPED: Cure(_stop_vm, _start_vm),
    Effect.VM_DELETED: Cure(_delete_vm, _undelete_vm),
    Effect.VM_FAILED: Cure(_fail_vm, _unfail_vm, after=None),
    Effect.NO_CAPACITY: Cure(_hold_vm, _release_vm, after=None),
    Effect.OUTAGE: Cure(_hold_vm, _release_vm, after=None),
}
