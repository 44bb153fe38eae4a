"""Makes machines suffer what is declared, and heals them: each effect as two things to do. Pure.

Levels, not edges: what a machine suffers is kept with it (`SimulatedMachine.afflicted`, with what is
needed to undo it) and compared with what it should suffer. It survives in the journal, so that a worker
that was killed meanwhile heals what it finds; what lives in this process alone is done again there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from capim.api.faults import Effect, Fault, Schedule, Window
from capim.api.meta import format_time, get_condition
from capim.api.workload import Phase
from capim.runtime.controllers.manager import ControllerManager
from capim.runtime.etcdmembers import AlarmType, EtcdCluster, EtcdTrouble
from capim.runtime.faults import Affliction, draw
from capim.runtime.inhabitants import Inhabitants
from capim.runtime.machines import SimulatedMachine
from capim.runtime.manifests import nodes, pods

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.runtime.faults import FaultBook


#: of what a machine's own spec says is wrong with it
_ALWAYS: Final = Schedule(-math.inf, math.inf)
_WINDOW: Final = Window(0, -math.inf, math.inf)


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
class _Cure:
    """How an effect begins and how it ends; `begin` returns what `end` needs to know."""

    begin: Callable[[Hands, SimulatedMachine, Fault], str]
    end: Callable[[Hands, SimulatedMachine, str], None]
    after: Phase | None = Phase.NODE  #: befalls machines that have come so far
    repeats: bool = False  #: done again with each time the fault acts


class Afflictions:
    """What the machines of one cluster suffer. One loop, no lock."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        #: what was done in this process; a machine of a journal has suffered before
        self._done: set[tuple[str, Effect]] = set()
        self._noted: dict[
            Effect, int
        ] = {}  #: of what befalls the cluster: the window it was noted in

    def follow(self, faults: FaultBook | None, machine: SimulatedMachine) -> bool:
        """Let a machine suffer what it should and no more; tell whether that changed anything."""
        wanted = dict(_of_its_own(machine))
        if faults is not None:
            wanted |= faults.of_machine(machine.spec.name)
        possible = {
            effect: one
            for effect, one in wanted.items()
            if CURES[effect].after is None or CURES[effect].after in machine.done
        }
        before = dict(machine.afflicted)
        for effect in machine.afflicted.keys() - possible.keys():
            self._end(machine, effect)
        for effect, one in possible.items():
            self._begin(machine, effect, one, faults)
        return machine.afflicted != before

    def follow_cluster(self, faults: FaultBook | None) -> None:
        """Let the cluster's etcd as a whole suffer what it should."""
        etcd = self._hands.etcd
        for effect in (*AT_THE_PORT, Effect.NO_LEADER):
            self._note(faults, effect)
        lost = faults is not None and faults.of_cluster(Effect.NO_LEADER) is not None
        if etcd.trouble is not None or lost:
            _trouble(etcd).no_leader = lost
        if self._note(faults, Effect.LEADER_CHANGES):
            leader = next((it for it in etcd.members() if it.id == etcd.leader_id), None)
            if leader is not None:
                etcd.step_down(leader.name)
        if etcd.trouble == EtcdTrouble():
            etcd.trouble = None

    def forget(self, name: str) -> None:
        """A machine has gone, with all it suffered."""
        self._done = {one for one in self._done if one[0] != name}
        self._hands.api_servers_down.discard(name)
        trouble = self._hands.etcd.trouble
        if trouble is not None:
            for names in (trouble.down, trouble.other_cluster, trouble.missing, trouble.learners):
                names.discard(name)
            trouble.alarms.pop(name, None)
            trouble.slow.pop(name, None)

    def _note(self, faults: FaultBook | None, effect: Effect) -> bool:
        """Count what befalls the cluster, once each time; tell whether this is a new time."""
        one = faults.of_cluster(effect) if faults is not None else None
        if one is None or faults is None or self._noted.get(effect) == one.window.index:
            return False
        self._noted[effect] = one.window.index
        faults.count(one.fault)
        return True

    def _begin(
        self,
        machine: SimulatedMachine,
        effect: Effect,
        one: Affliction,
        faults: FaultBook | None,
    ) -> None:
        cure, key = CURES[effect], (machine.spec.name, effect)
        mark = f"{one.fault.uid}/{one.window.index}" if cure.repeats else ""
        suffers = effect in machine.afflicted
        if suffers and key in self._done and (not mark or machine.afflicted[effect] == mark):
            return
        if suffers and mark and machine.afflicted[effect] == mark:
            return  # done before this process began, and not to be done twice
        detail = cure.begin(self._hands, machine, one.fault)
        self._done.add(key)
        if not suffers or mark:
            machine.afflicted[effect] = mark or detail
            if faults is not None and one.fault.uid:
                faults.count(one.fault)

    def _end(self, machine: SimulatedMachine, effect: Effect) -> None:
        detail = machine.afflicted.pop(effect)
        self._done.discard((machine.spec.name, effect))
        CURES[effect].end(self._hands, machine, detail)


def _of_its_own(machine: SimulatedMachine) -> Iterator[tuple[Effect, Affliction]]:
    """Yield what is wrong with a machine for all its life, drawn from its uid."""
    for failure in machine.spec.failures:
        if draw(f"{machine.spec.uid}/{failure.effect}") < failure.probability:
            fault = Fault("", "spec.behaviour", failure.effect, _ALWAYS, "", detail=failure.detail)
            yield failure.effect, Affliction(fault, _WINDOW)


def _trouble(etcd: EtcdCluster) -> EtcdTrouble:
    if etcd.trouble is None:
        etcd.trouble = EtcdTrouble()
    return etcd.trouble


# --- nodes -------------------------------------------------------------------------------------------


def _condition(kind: str, status: str, reason: str, text: str) -> _Cure:
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

    return _Cure(begin, end)


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


def parse_taint(text: str) -> JsonObject:
    """Read `key=value:Effect` or `key:Effect`, as kubectl does."""
    named, _, effect = text.rpartition(":")
    key, _, value = named.partition("=")
    return {"key": key, "effect": effect} | ({"value": value} if value else {})


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


# --- the control plane -------------------------------------------------------------------------------


def _stop_member(hands: Hands, machine: SimulatedMachine, _: Fault) -> str:
    name = machine.spec.name
    _trouble(hands.etcd).down.add(name)
    hands.etcd.step_down(name)
    hands.inhabitants.set_ready(pods.ETCD, name, ready=False)
    return ""


def _start_member(hands: Hands, machine: SimulatedMachine, _: str) -> None:
    if not machine.afflicted.keys() & _STOPPING_ETCD:
        _trouble(hands.etcd).down.discard(machine.spec.name)
        hands.inhabitants.set_ready(pods.ETCD, machine.spec.name, ready=True)


def _stop_api_server(hands: Hands, machine: SimulatedMachine, _: Fault) -> str:
    hands.api_servers_down.add(machine.spec.name)
    hands.inhabitants.set_ready(pods.API_SERVER, machine.spec.name, ready=False)
    return ""


def _start_api_server(hands: Hands, machine: SimulatedMachine, _: str) -> None:
    if not machine.afflicted.keys() & _STOPPING_API:
        hands.api_servers_down.discard(machine.spec.name)
        hands.inhabitants.set_ready(pods.API_SERVER, machine.spec.name, ready=True)


def _alarm(kind: AlarmType) -> _Cure:
    def begin(hands: Hands, machine: SimulatedMachine, _: Fault) -> str:
        _trouble(hands.etcd).alarms.setdefault(machine.spec.name, set()).add(kind)
        return ""

    def end(hands: Hands, machine: SimulatedMachine, _: str) -> None:
        alarms = _trouble(hands.etcd).alarms
        alarms.get(machine.spec.name, set()).discard(kind)
        if not alarms.get(machine.spec.name):
            alarms.pop(machine.spec.name, None)

    return _Cure(begin, end, after=Phase.ETCD)


def _marked(names: Callable[[EtcdTrouble], set[str]]) -> _Cure:
    """A member of which something is wrong in what etcd says."""

    def begin(hands: Hands, machine: SimulatedMachine, _: Fault) -> str:
        names(_trouble(hands.etcd)).add(machine.spec.name)
        return ""

    def end(hands: Hands, machine: SimulatedMachine, _: str) -> None:
        names(_trouble(hands.etcd)).discard(machine.spec.name)

    return _Cure(begin, end, after=Phase.ETCD)


def _slow_down(hands: Hands, machine: SimulatedMachine, fault: Fault) -> str:
    _trouble(hands.etcd).slow[machine.spec.name] = fault.latency_s
    return ""


def _speed_up(hands: Hands, machine: SimulatedMachine, _: str) -> None:
    _trouble(hands.etcd).slow.pop(machine.spec.name, None)


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


#: what befalls all of a cluster's connections, done by its listener
AT_THE_PORT: Final = (
    Effect.WATCHES_CUT,
    Effect.WATCHES_STALLED,
    Effect.LISTENER_DOWN,
    Effect.UNREACHABLE,
    Effect.HANDSHAKE_FAILURE,
    Effect.CERTIFICATE_EXPIRED,
)


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

CURES: Final[dict[Effect, _Cure]] = {
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
    Effect.NEVER_JOINS: _Cure(_hold_node, _release_node, after=None),
    Effect.WITHOUT_PROVIDER_ID: _Cure(_disown, _own),
    Effect.SILENT: _Cure(_silence, _hear),
    Effect.DELETED: _Cure(_delete_node, _nothing, repeats=True),
    Effect.TAINTED: _Cure(_taint, _untaint),
    Effect.VERSION_SKEW: _Cure(_skew, _unskew),
    Effect.PODS_STUCK: _Cure(_hold_pods, _let_pods_go),
    Effect.VOLUMES_STUCK: _Cure(_attach, _detach),
    Effect.RATE_LIMITED: _Cure(_queue_vm, _hurry_vm, after=None),
    Effect.REPLICA_DOWN: _Cure(_stop_api_server, _start_api_server, after=Phase.API_SERVER),
    Effect.MEMBER_DOWN: _Cure(_stop_member, _start_member, after=Phase.ETCD),
    Effect.NO_SPACE: _alarm(AlarmType.NOSPACE),
    Effect.CORRUPT: _alarm(AlarmType.CORRUPT),
    Effect.SLOW: _Cure(_slow_down, _speed_up, after=Phase.ETCD),
    Effect.CLUSTER_ID_MISMATCH: _marked(lambda trouble: trouble.other_cluster),
    Effect.MEMBER_MISSING: _marked(lambda trouble: trouble.missing),
    Effect.LEARNER: _marked(lambda trouble: trouble.learners),
    Effect.VM_STOPPED: _Cure(_stop_vm, _start_vm),
    Effect.VM_DELETED: _Cure(_delete_vm, _undelete_vm),
    Effect.VM_FAILED: _Cure(_fail_vm, _unfail_vm, after=None),
    Effect.NO_CAPACITY: _Cure(_hold_vm, _release_vm, after=None),
    Effect.OUTAGE: _Cure(_hold_vm, _release_vm, after=None),
}
