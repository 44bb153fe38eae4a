"""What to do about one InMemoryMachinePool: which machines to make and which to let go. Pure.

By the contract with machines: a pool makes an InMemoryMachine for each replica, Cluster API makes a Machine
for each of those, and what is to go goes by its Machine, so that its Node is drained. Machines that differ
from what the pool says now are replaced: new ones first, an old one goes for each that is ready. Those that
a MachineHealthCheck condemned go at once, since nobody else answers for them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from capim.api import infrastructure as infra
from capim.api.meta import JsonObject, get_condition
from coordinator.controllers import gates
from coordinator.controllers.conditions import Severity, State, apply, summary, with_paused
from coordinator.controllers.patches import (
    difference,
    status_difference,
    with_finalizer,
    without_finalizer,
)
from coordinator.controllers.templates import size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from capim.api.gvk import NamespacedName

_LABEL_VALUE: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
#: what leaves room for a suffix in a name that is also a Node's
_LONGEST_STEM: Final = 56
_OWNER_REMEDIATED: Final = "OwnerRemediated"


@dataclass(frozen=True, slots=True)
class Replica:
    """One machine of a pool."""

    infra: JsonObject  #: the InMemoryMachine
    machine: JsonObject | None  #: the Machine that Cluster API made for it
    let_go: bool = False  #: its deletion was asked for

    @property
    def name(self) -> str:
        """The InMemoryMachine's name."""
        return str(self.infra["metadata"]["name"])

    @property
    def leaving(self) -> bool:
        """Whether it is being deleted."""
        return self.let_go or any(gates.deleting(obj) for obj in self._objects())

    @property
    def ready(self) -> bool:
        """Whether its VM runs."""
        return bool((self.infra.get("status") or {}).get("ready"))

    @property
    def condemned(self) -> bool:
        """Whether a MachineHealthCheck waits for it to be replaced."""
        condition = get_condition(self.machine or {}, _OWNER_REMEDIATED)
        return condition is not None and condition.get("status") == "False"

    @property
    def chosen(self) -> bool:
        """Whether a person or an autoscaler wants it to be the first to go."""
        name = infra.DELETE_MACHINE_ANNOTATION
        return any(gates.annotation(obj, name) is not None for obj in self._objects())

    def _objects(self) -> list[JsonObject]:
        return [self.infra] if self.machine is None else [self.infra, self.machine]


@dataclass(frozen=True, slots=True)
class PoolView:
    """All that a plan for one InMemoryMachinePool is made from."""

    infra: JsonObject  #: the InMemoryMachinePool
    pool: JsonObject | None  #: the MachinePool that owns it, if it still exists
    cluster: JsonObject | None
    now: float
    replicas: Sequence[Replica] = ()
    expected: int = 0  #: machines that were made and are not among `replicas` yet
    watch_filter: str = ""


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """One step; empty fields ask for nothing."""

    patch: JsonObject = field(default_factory=dict)  #: on metadata and spec
    status: JsonObject = field(default_factory=dict)  #: on the status subresource, after `patch`
    create: tuple[JsonObject, ...] = ()  #: InMemoryMachines
    let_go: tuple[Replica, ...] = ()
    waiting_for: str = ""  #: for the log
    again: bool = False


def plan_pool(view: PoolView, suffix: Callable[[], str]) -> PoolPlan:
    """Return the next step; `suffix` draws the end of a new machine's name."""
    for stage in _STAGES:
        if (plan := stage(view)) is not None:
            return plan
    return _plan_replicas(view, suffix)


def cluster_key(view: PoolView) -> NamespacedName | None:
    """Return the Cluster that a pool belongs to, whether it still exists or not."""
    return (gates.cluster_of(view.pool) if view.pool else None) or gates.cluster_of(view.infra)


def infrastructure_name(pool: JsonObject) -> NamespacedName | None:
    """Return the InMemoryMachinePool that a MachinePool's template names, if it is one."""
    template = (pool.get("spec") or {}).get("template") or {}
    return gates.infrastructure_name(
        {"metadata": pool["metadata"], "spec": template.get("spec")}, infra.MACHINE_POOL_KIND
    )


def pool_label(name: str) -> str:
    """Return the label's value for a MachinePool's name: the name, or its hash where it is none."""
    if _LABEL_VALUE.fullmatch(name):
        return name
    digest = 0x811C9DC5  # 32 bit FNV-1a, by which Cluster API looks for the label
    for byte in name.encode():
        digest = (digest ^ byte) * 0x01000193 % (1 << 32)
    text = base64.urlsafe_b64encode(digest.to_bytes(4, "big")).decode().rstrip("=")
    return f"hash_{text}_z"


# --- stages before the replicas; None: the next stage decides ---


def _unwatched(view: PoolView) -> PoolPlan | None:
    return None if gates.watched(view.infra, view.watch_filter) else PoolPlan()


def _unowned(view: PoolView) -> PoolPlan | None:
    if gates.owner(view.infra, "MachinePool") is not None or gates.deleting(view.infra):
        return None
    return PoolPlan(waiting_for="an owner reference to its MachinePool")


def _paused(view: PoolView) -> PoolPlan | None:
    reasons = gates.pauses(view.cluster, view.infra)
    if not reasons:
        return None
    conditions = with_paused(view.infra, reasons, view.now)
    status = status_difference(view.infra, {"conditions": conditions})
    return PoolPlan(status=status, waiting_for="unpausing")


def _deleted(view: PoolView) -> PoolPlan | None:
    if not gates.deleting(view.infra):
        return None
    if not view.replicas and not view.expected:
        return PoolPlan(patch=without_finalizer(view.infra, infra.MACHINE_POOL_FINALIZER))
    remaining = tuple(replica for replica in view.replicas if not replica.leaving)
    return PoolPlan(let_go=remaining, waiting_for="its machines to go")


def _alone(view: PoolView) -> PoolPlan | None:
    related = {"its MachinePool": view.pool, "its Cluster": view.cluster}
    missing = next((what for what, obj in related.items() if obj is None), None)
    return PoolPlan(waiting_for=missing) if missing else None


def _unmarked(view: PoolView) -> PoolPlan | None:
    finalizers = with_finalizer(view.infra, infra.MACHINE_POOL_FINALIZER)
    marks = difference(view.infra, {"metadata": {"finalizers": finalizers}})
    return PoolPlan(patch=marks, again=True) if marks else None


def _gated(view: PoolView) -> PoolPlan | None:
    """A pool that was ready once has these gates behind it."""
    if view.pool is None or view.cluster is None or (view.infra.get("status") or {}).get("ready"):
        return None
    gate = gates.provisioning_gate(view.cluster, {**view.pool, "spec": _machine_spec(view.pool)})
    if gate is None:
        return None
    state = State(gate.reason, gate.message, Severity.INFO)
    return PoolPlan(status=_status(view, state), waiting_for=gate.message)


_STAGES: Final = (_unwatched, _unowned, _paused, _deleted, _alone, _unmarked, _gated)


# --- the replicas ---


def _plan_replicas(view: PoolView, suffix: Callable[[], str]) -> PoolPlan:
    pool = view.pool or {}
    wanted = _replicas(pool)
    staying = [replica for replica in view.replicas if not replica.leaving]
    condemned = [replica for replica in staying if replica.condemned]
    current = [it for it in staying if not it.condemned and _is_current(view, it)]
    outdated = [it for it in staying if not it.condemned and it not in current]
    stand_ins = max(0, wanted - sum(replica.ready for replica in current))
    missing = max(0, wanted - len(current) - view.expected)
    return PoolPlan(
        patch=difference(view.infra, {"spec": {"providerIDList": _identities(view)}}),
        status=_status(view, _replicas_state(view, wanted)),
        create=tuple(_new_machines(view, current, missing, suffix)),
        let_go=(
            *condemned,
            *_first_to_go(outdated, len(outdated) - stand_ins),
            *_first_to_go(current, len(current) - wanted),
        ),
    )


def _machine_spec(pool: JsonObject) -> JsonObject:
    """Return what a MachinePool says of each of its Machines."""
    template = (pool.get("spec") or {}).get("template") or {}
    spec: JsonObject = template.get("spec") or {}
    return spec


def _replicas(pool: JsonObject) -> int:
    replicas = (pool.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def _template(view: PoolView) -> JsonObject:
    template: JsonObject = (view.infra.get("spec") or {}).get("template") or {}
    return template


def _version(view: PoolView) -> str:
    return str(_machine_spec(view.pool or {}).get("version") or "")


def _is_current(view: PoolView, replica: Replica) -> bool:
    """Say whether a machine is what the pool would make now."""
    wanted = (_template(view).get("spec") or {}).get("behaviour")
    if ((replica.infra.get("spec") or {}).get("behaviour") or {}) != (wanted or {}):
        return False
    return (gates.annotation(replica.infra, infra.POOL_VERSION_ANNOTATION) or "") == _version(view)


def _first_to_go(replicas: Iterable[Replica], count: int) -> list[Replica]:
    """Return those that go first: the chosen ones, then those that do not run yet, then the youngest."""
    young = sorted(replicas, key=lambda it: it.infra["metadata"]["creationTimestamp"], reverse=True)
    return sorted(young, key=lambda it: (not it.chosen, it.ready))[: max(0, count)]


def _identities(view: PoolView) -> list[str]:
    found = ((replica.infra.get("spec") or {}).get("providerID") for replica in view.replicas)
    return sorted(filter(None, found))


# --- new machines ---


def _new_machines(
    view: PoolView, current: Sequence[Replica], count: int, suffix: Callable[[], str]
) -> Iterable[JsonObject]:
    domains = (view.pool or {}).get("spec", {}).get("failureDomains") or []
    used = [(replica.infra.get("spec") or {}).get("failureDomain") for replica in current]
    for _ in range(count):
        domain = min(domains, key=used.count) if domains else ""
        used.append(domain)
        yield _new_machine(view, suffix(), domain)


def _new_machine(view: PoolView, suffix: str, domain: str) -> JsonObject:
    metadata, template, pool = view.infra["metadata"], _template(view), view.pool or {}
    given = template.get("metadata") or {}
    cluster = cluster_key(view)
    labels = {
        infra.CLUSTER_NAME_LABEL: cluster.name if cluster else "",
        infra.POOL_NAME_LABEL: pool_label(pool["metadata"]["name"]),
    }
    if view.watch_filter:
        labels[infra.WATCH_FILTER_LABEL] = view.watch_filter
    version = {infra.POOL_VERSION_ANNOTATION: _version(view)}
    owner = {
        "apiVersion": infra.API_VERSION,
        "kind": infra.MACHINE_POOL_KIND,
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    return {
        "apiVersion": infra.API_VERSION,
        "kind": infra.MACHINE_KIND,
        "metadata": {
            "name": f"{metadata['name'][:_LONGEST_STEM].rstrip('-.')}-{suffix}",
            "namespace": metadata["namespace"],
            "labels": {**(given.get("labels") or {}), **labels},
            "annotations": {**(given.get("annotations") or {}), **version},
            "ownerReferences": [owner],
        },
        "spec": {**(template.get("spec") or {}), **({"failureDomain": domain} if domain else {})},
    }


# --- the status ---


def _replicas_state(view: PoolView, wanted: int) -> State:
    there = len(_identities(view))
    if there == wanted == len(view.replicas) and not view.expected:
        return State(infra.REPLICAS_READY_REASON)
    message = f"{there} machines have a VM, {wanted} are wanted"
    return State(infra.WAITING_FOR_REPLICAS_REASON, message, Severity.INFO)


def _status(view: PoolView, state: State) -> JsonObject:
    """Return the status patch; a pool that was ready once remains so, as the contract has it."""
    conditions = with_paused(view.infra, (), view.now)
    conditions = apply(conditions, infra.REPLICAS_READY_CONDITION, state, view.now)
    ready = summary(conditions, [infra.REPLICAS_READY_CONDITION], counted=False)
    if ready is not None:
        conditions = apply(conditions, infra.READY_CONDITION, ready, view.now)
    after: JsonObject = {
        "conditions": conditions,
        "replicas": len(view.replicas),
        "infrastructureMachineKind": infra.MACHINE_KIND,
        **size_of(_template(view).get("spec") or {}),
    }
    if state.severity is None:
        after |= {"ready": True, "initialization": {"provisioned": True}}
    return status_difference(view.infra, after)
