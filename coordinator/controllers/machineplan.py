"""What to do about one InMemoryMachine: from the objects and what its worker reported to a plan. Pure.

The order, as in the original: owner Machine -> Cluster by label -> paused -> deletion -> InMemoryCluster
-> finalizer -> infrastructure ready -> bootstrap data -> the machine at its worker -> its phases. One
departure: the original looks for the InMemoryCluster before it deletes, and so never deletes a machine
whose InMemoryCluster has gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from capim.api import infrastructure as infra
from capim.api.gvk import NamespacedName
from capim.api.kubernetes_versions import lookup
from capim.api.meta import JsonObject, get_condition, parse_time
from capim.api.workload import MachineProgress, MachineSpec, Phase
from coordinator.controllers import gates
from coordinator.controllers.conditions import Severity, State, apply, summary, with_paused
from coordinator.controllers.patches import (
    difference,
    status_difference,
    with_finalizer,
    without_finalizer,
)
from coordinator.controllers.secrets import Authorities

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONDITION_OF: Final = {
    Phase.VM: infra.VM_PROVISIONED_CONDITION,
    Phase.NODE: infra.NODE_PROVISIONED_CONDITION,
    Phase.ETCD: infra.ETCD_PROVISIONED_CONDITION,
    Phase.API_SERVER: infra.API_SERVER_PROVISIONED_CONDITION,
}
_WORKER_PHASES: Final = (Phase.VM, Phase.NODE)


@dataclass(frozen=True, slots=True)
class MachineView:
    """All that a plan for one InMemoryMachine is made from."""

    infra: JsonObject  #: the InMemoryMachine
    machine: JsonObject | None  #: the Machine that owns it, if it still exists
    cluster: JsonObject | None  #: the Cluster of its label, if it still exists
    now: float
    infra_cluster: JsonObject | None = None
    progress: MachineProgress | None = None  #: of this uid
    gone: bool = False  #: no worker holds it any more
    authorities: Authorities = field(default_factory=Authorities)
    watch_filter: str = ""

    @property
    def key(self) -> NamespacedName | None:
        """The Cluster by label, whether it still exists or not."""
        return (gates.cluster_of(self.machine) if self.machine else None) or gates.cluster_of(
            self.infra
        )

    @property
    def control_plane(self) -> bool:
        """Whether it belongs to the control plane."""
        return gates.is_control_plane(self.machine or self.infra)


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """One step; empty fields ask for nothing."""

    patch: JsonObject = field(default_factory=dict)  #: on metadata and spec
    status: JsonObject = field(default_factory=dict)  #: on the status subresource, after `patch`
    ensure: MachineSpec | None = None
    remove: tuple[NamespacedName, str, str] | None = None  #: cluster, name and uid
    waiting_for: str = ""  #: for the log
    again: bool = False
    requeue_after_s: float = 0.0


def plan_machine(view: MachineView) -> MachinePlan:
    """Return the next step: of the first stage that has something to say."""
    for stage in _STAGES:
        if (plan := stage(view)) is not None:
            return plan
    return _plan_phases(view)


def restored_machine(view: MachineView) -> MachineSpec | None:
    """Return what a machine was before a restart, or None; whatever its gates say now."""
    obj = view.infra
    if gates.deleting(obj) or not gates.watched(obj, view.watch_filter):
        return None
    started = _created_at(obj) is not None
    return _desired(view) if started or Phase.VM in _done(obj) else None


# --- stages before the machine itself; None: the next stage decides ---


def _unwatched(view: MachineView) -> MachinePlan | None:
    return None if gates.watched(view.infra, view.watch_filter) else MachinePlan()


def _unowned(view: MachineView) -> MachinePlan | None:
    if gates.owner(view.infra, "Machine") is not None or gates.deleting(view.infra):
        return None
    return MachinePlan(waiting_for="an owner reference to its Machine")


def _paused(view: MachineView) -> MachinePlan | None:
    obj = view.infra
    reasons = gates.pauses(view.cluster, obj)
    if not reasons:
        return None
    conditions = with_paused(obj, reasons, view.now)
    return MachinePlan(
        status=status_difference(obj, {"conditions": conditions}), waiting_for="unpausing"
    )


def _deleted(view: MachineView) -> MachinePlan | None:
    if not gates.deleting(view.infra):
        return None
    if view.gone or view.key is None:
        return MachinePlan(patch=without_finalizer(view.infra, infra.MACHINE_FINALIZER))
    metadata = view.infra["metadata"]
    takes_s = infra.deletion_s(view.infra) / infra.time_scale_of(view.infra_cluster)
    left_s = parse_time(metadata["deletionTimestamp"]) + takes_s - view.now
    if takes_s and left_s > 0:
        return MachinePlan(waiting_for="its VM to go", requeue_after_s=left_s)
    removal = (view.key, metadata["name"], metadata["uid"])
    return MachinePlan(remove=removal, waiting_for="its worker to let go")


def _alone(view: MachineView) -> MachinePlan | None:
    related = {
        "its Machine": view.machine,
        f"its Cluster, by label {infra.CLUSTER_NAME_LABEL}": view.cluster,
        "its InMemoryCluster": view.infra_cluster,
    }
    missing = next((what for what, obj in related.items() if obj is None), None)
    return MachinePlan(waiting_for=missing) if missing else None


def _unmarked(view: MachineView) -> MachinePlan | None:
    finalizers = with_finalizer(view.infra, infra.MACHINE_FINALIZER)
    marks = difference(view.infra, {"metadata": {"finalizers": finalizers}})
    return MachinePlan(patch=marks, again=True) if marks else None


def _gated(view: MachineView) -> MachinePlan | None:
    """A machine that was provisioned once has these gates behind it."""
    if view.cluster is None or view.machine is None or Phase.VM in _done(view.infra):
        return None
    gate = gates.provisioning_gate(view.cluster, view.machine, bootstrapped=_is_of_pool(view.infra))
    if gate is None:
        return None
    state = State(gate.reason, gate.message, Severity.INFO)
    return MachinePlan(status=_conditions(view, {Phase.VM: state}), waiting_for=gate.message)


_STAGES: Final = (_unwatched, _unowned, _paused, _deleted, _alone, _unmarked, _gated)


# --- the living ---


def _plan_phases(view: MachineView) -> MachinePlan:
    try:
        spec = _desired(view)
    except ValueError as error:
        state = State(infra.INTERNAL_ERROR_REASON, str(error), Severity.ERROR)
        return MachinePlan(status=_conditions(view, {Phase.VM: state}))
    if spec is None or view.progress is None:
        return MachinePlan(ensure=spec, waiting_for="its worker's first report")
    progress = view.progress
    status = _conditions(view, _phase_states(view, progress), progress)
    patch: JsonObject = {}
    if Phase.VM in progress.done:
        identity = {"providerID": spec.provider_id, "failureDomain": spec.failure_domain}
        after = {name: value for name, value in identity.items() if value}
        patch = difference(view.infra, {"spec": after})
    return MachinePlan(ensure=spec, patch=patch, status=status)


def _desired(view: MachineView) -> MachineSpec | None:
    """Describe the machine for its worker, with all that is known of its past.

    Raises:
        ValueError: a duration or jitter of its behaviour cannot be read; the message names the field.
    """
    obj, key = view.infra, view.key
    if key is None:
        return None
    metadata = obj["metadata"]
    machine_spec = (view.machine or {}).get("spec") or {}
    done = _done(obj)
    created_at = _created_at(obj)
    if view.progress is not None:
        done = {**done, **view.progress.done}
        created_at = view.progress.created_at
    return MachineSpec(
        cluster=key,
        name=metadata["name"],
        uid=metadata["uid"],
        control_plane=view.control_plane,
        version=_version(obj, machine_spec),
        provider_id=infra.provider_id(metadata["name"]),
        failure_domain=_failure_domain(obj, machine_spec),
        startup=infra.startup_of(obj, infra.time_scale_of(view.infra_cluster)),
        created_at=created_at,
        done=done,
        failures=infra.failures_of(obj),
        node=infra.node_form_of(obj.get("spec") or {}),
    )


def _is_of_pool(obj: JsonObject) -> bool:
    """A pool waits for bootstrap data itself; in Cluster API 1.7 its Machines have none."""
    return gates.annotation(obj, infra.POOL_VERSION_ANNOTATION) is not None


def _version(obj: JsonObject, machine_spec: JsonObject) -> str:
    """A pool says it to its InMemoryMachines; their Machines repeat what the Node says."""
    of_pool = gates.annotation(obj, infra.POOL_VERSION_ANNOTATION)
    return of_pool or machine_spec.get("version") or ""


def _failure_domain(obj: JsonObject, machine_spec: JsonObject) -> str:
    own = (obj.get("spec") or {}).get("failureDomain")
    return own or machine_spec.get("failureDomain") or ""


def _done(obj: JsonObject) -> dict[Phase, float]:
    """Return the phases that had ended, with their times, from the conditions."""
    conditions = {phase: get_condition(obj, kind) for phase, kind in _CONDITION_OF.items()}
    if _moved(obj, conditions.values()):
        return dict.fromkeys(conditions, parse_time(obj["metadata"]["creationTimestamp"]))
    return {
        phase: parse_time(condition["lastTransitionTime"])
        for phase, condition in conditions.items()
        if condition is not None and condition["status"] == "True"
    }


def _moved(obj: JsonObject, conditions: Iterable[JsonObject | None]) -> bool:
    """Say whether a machine ran in another management cluster: clusterctl moves spec without status.

    Its delays are not played again, or clients would find a cluster without its nodes.
    """
    return bool((obj.get("spec") or {}).get("providerID")) and not any(conditions)


def _created_at(obj: JsonObject) -> float | None:
    """Return when the VM was created, as far as the object remembers."""
    condition = get_condition(obj, infra.VM_PROVISIONED_CONDITION)
    if condition is None:
        moved = Phase.VM in _done(obj)
        return parse_time(obj["metadata"]["creationTimestamp"]) if moved else None
    if condition["status"] == "True":
        return parse_time(obj["metadata"]["creationTimestamp"])
    if condition.get("reason") == infra.WAITING_FOR_STARTUP_TIMEOUT_REASON:
        return parse_time(condition["lastTransitionTime"])
    return None


# --- conditions ---


def _phase_states(view: MachineView, progress: MachineProgress) -> dict[Phase, State]:
    states = {phase: _phase_state(view, progress, phase) for phase in _phases(view)}
    if Phase.VM in progress.failed:  # though it was up once
        states[Phase.VM] = State(infra.VM_FAILED_REASON, progress.failed[Phase.VM], Severity.ERROR)
    return states


def _phase_state(view: MachineView, progress: MachineProgress, phase: Phase) -> State:
    if phase in progress.done:
        return State(infra.PROVISIONED_REASON, _remark(view) if phase is Phase.NODE else "")
    if phase in progress.failed:
        return State(infra.INTERNAL_ERROR_REASON, progress.failed[phase], Severity.ERROR)
    if phase is not Phase.VM and Phase.VM not in progress.done:
        return State(infra.WAITING_FOR_VM_PROVISIONED_REASON, severity=Severity.INFO)
    if phase in {Phase.ETCD, Phase.API_SERVER}:
        if Phase.NODE not in progress.done:
            return State(infra.WAITING_FOR_NODE_PROVISIONED_REASON, severity=Severity.INFO)
        if problem := view.authorities.problem_of(phase):
            return problem
    return State(infra.WAITING_FOR_STARTUP_TIMEOUT_REASON, severity=Severity.INFO)


def _remark(view: MachineView) -> str:
    """Return what a person should know of the Node, though it runs: its version may be strange to us."""
    version = _version(view.infra, (view.machine or {}).get("spec") or {})
    try:
        return lookup(version).warning if version else ""
    except ValueError:  # the worker reported what is wrong with it, or will
        return ""


def _phases(view: MachineView) -> tuple[Phase, ...]:
    return tuple(Phase) if view.control_plane else _WORKER_PHASES


def _conditions(
    view: MachineView, states: dict[Phase, State], progress: MachineProgress | None = None
) -> JsonObject:
    """Return the status patch for these states of phases; those not given wait for the VM."""
    obj, now = view.infra, view.now
    waiting = State(infra.WAITING_FOR_VM_PROVISIONED_REASON, severity=Severity.INFO)
    conditions = with_paused(obj, (), now)
    for phase in _phases(view):
        at = now
        if progress is not None:
            # the VM's wait began with the machine; what has ended, when its worker says it did
            at = progress.done.get(phase, progress.created_at if phase is Phase.VM else now)
        conditions = apply(conditions, _CONDITION_OF[phase], states.get(phase, waiting), at)
    provisioned = progress is not None and Phase.VM in progress.done
    kinds = [_CONDITION_OF[phase] for phase in _phases(view)]
    if ready := summary(conditions, kinds, counted=not provisioned):
        conditions = apply(conditions, infra.READY_CONDITION, ready, now)
    after: JsonObject = {"conditions": conditions}
    if provisioned and progress is not None:
        after |= _provisioned(view, progress)
    return status_difference(obj, after | _final(obj, progress))


def _final(obj: JsonObject, progress: MachineProgress | None) -> JsonObject:
    """Return the status fields of a machine that failed for good, or that take back that it did."""
    if progress is not None and progress.terminal:
        reason = "UpdateError" if Phase.VM in progress.done else "CreateError"
        return {"failureReason": reason, "failureMessage": progress.failed.get(Phase.VM, "")}
    stale = (obj.get("status") or {}).keys() & {"failureReason", "failureMessage"}
    return dict.fromkeys(stale)


def _provisioned(view: MachineView, progress: MachineProgress) -> JsonObject:
    """Return the status fields of a machine whose VM is up."""
    addresses = [{"type": kind, "address": address} for kind, address in progress.addresses]
    domain = _failure_domain(view.infra, (view.machine or {}).get("spec") or {})
    fields: JsonObject = {"ready": True, "initialization": {"provisioned": True}}
    if addresses:
        fields["addresses"] = addresses
    if domain:
        fields["failureDomain"] = domain
    return fields
