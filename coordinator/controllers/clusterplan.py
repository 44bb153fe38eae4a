"""What to do about one InMemoryCluster: from the objects and what its worker reported to a plan. Pure.

The order: not ours -> no owner -> paused -> deletion -> finalizer and annotations -> port lease and
worker -> endpoint and ready, once the worker has bound the port. A plan is one step; `again` says that
the next can follow at once on what the step wrote.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from capim.api import infrastructure as infra
from capim.api.gvk import NamespacedName
from capim.api.meta import JsonObject
from capim.api.workload import ClusterSpec, ListenerState, ListenerStatus
from coordinator.controllers import gates
from coordinator.controllers.conditions import (
    PORT_OCCUPIED_REASON,
    PORTS_EXHAUSTED_REASON,
    Severity,
    State,
    apply,
    with_journal,
    with_paused,
)
from coordinator.controllers.patches import (
    difference,
    status_difference,
    with_finalizer,
    without_finalizer,
)
from coordinator.controllers.secrets import CA, ETCD_CA, SERVICE_ACCOUNT, Authorities
from coordinator.placement import ENDPOINT_ANNOTATION, PLACEMENT_ANNOTATION, Placement, Placements
from coordinator.ports import PortLeases, PortRange, PortsExhaustedError, PortTakenError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A port may come free without a word to us: one that another process held.
_EXHAUSTED_RETRY_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class ClusterView:
    """All that a plan for one InMemoryCluster is made from."""

    infra: JsonObject  #: the InMemoryCluster
    key: NamespacedName | None  #: the Cluster that owns it
    cluster: JsonObject | None  #: that Cluster, if it still exists
    now: float
    listener: ListenerStatus | None = None
    gone: bool = False  #: no worker holds it any more
    authorities: Authorities = field(default_factory=Authorities)
    damage: str = ""  #: why its contents are not what its worker wrote down; empty: they are
    moved: bool = False  #: the worker it goes to has it, and waits to hear that this is noted
    refusal: str = ""  #: why it cannot leave its worker; empty: nothing is known against it


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """One step; empty fields ask for nothing."""

    patch: JsonObject = field(default_factory=dict)  #: on metadata and spec
    status: JsonObject = field(default_factory=dict)  #: on the status subresource, after `patch`
    ensure: tuple[str, ClusterSpec] | None = None  #: worker and spec
    settled: bool = True  #: that it is on this worker is noted
    remove: tuple[NamespacedName, str] | None = None  #: cluster and uid
    new_server: str = ""  #: what the kubeconfig must name before `patch` is written
    release: NamespacedName | None = None  #: nothing is left of this cluster
    requeue_after_s: float = 0.0
    waiting_for: str = ""  #: for the log
    again: bool = False


class ClusterPlanner:
    """Plans for all InMemoryClusters; holds their placements and ports, which are pure state too."""

    def __init__(
        self,
        *,
        host: str,
        ports: PortRange,
        placements: Placements,
        watch_filter: str = "",
        remote_hosts: Mapping[str, str] | None = None,
        ports_by_host: Mapping[str, PortRange] | None = None,
    ) -> None:
        """Plan with `host` for the endpoints of local workers and those given for the others.

        Likewise with `ports`, and those of hosts that have their own.
        """
        self.placements = placements
        self.ports = PortLeases(ports, ports_by_host)
        self._host = host
        self._remote_hosts = dict(remote_hosts or {})
        self._watch_filter = watch_filter

    def plan(self, view: ClusterView) -> ClusterPlan:
        """Return the next step."""
        obj = view.infra
        if not gates.watched(obj, self._watch_filter):
            return ClusterPlan()
        if view.key is None:
            return _plan_ownerless(obj)
        if reasons := gates.pauses(view.cluster, obj):
            after = with_paused(obj, reasons, view.now)
            return ClusterPlan(
                status=status_difference(obj, {"conditions": after}), waiting_for="unpausing"
            )
        if gates.deleting(obj):
            return _plan_delete(obj, view.key, view.gone)
        if view.cluster is None:
            return ClusterPlan(waiting_for="its Cluster")
        return self._plan_normal(view, view.key)

    def restore(self, view: ClusterView) -> tuple[str, ClusterSpec] | None:
        """Return where and what a cluster was before a restart, or None; whatever its gates say now.

        What another installation placed was never here, and what is being deleted needs no serving.
        """
        obj, key = view.infra, view.key
        if key is None or gates.deleting(obj) or not gates.watched(obj, self._watch_filter):
            return None
        if not gates.has_finalizer(obj, infra.CLUSTER_FINALIZER):
            return None
        placement = Placement.parse(_placement_annotation(obj))
        if placement is not None and placement.installation != self.placements.installation:
            return None
        try:
            return self._desired(view, key)
        except (PortsExhaustedError, PortTakenError):
            return None

    def forget(self, key: NamespacedName, now: float) -> bool:
        """Give back what a cluster held; say whether that was a port."""
        self.placements.release(key)
        return self.ports.release(key, now)

    # --- the living ---

    def _plan_normal(self, view: ClusterView, key: NamespacedName) -> ClusterPlan:
        obj = view.infra
        self._follow_move(view, key)
        if marks := self._marks(obj, key):
            return ClusterPlan(patch=marks, again=True)
        occupied = self._return_failed(view, key)
        try:
            worker, spec = self._desired(view, key)
        except PortsExhaustedError as error:
            return _without_port(view, PORTS_EXHAUSTED_REASON, str(error))
        except PortTakenError as error:
            return _without_port(view, PORT_OCCUPIED_REASON, str(error))
        moves = self.placements.target(key) is not None
        step = ClusterPlan(
            ensure=(worker, spec), settled=not moves, waiting_for="its worker to bind the port"
        )
        if occupied is not None:
            status = status_difference(obj, {"conditions": _ready(obj, occupied, view.now)})
            return replace(step, status=status, waiting_for="another port")
        if moves or view.listener is None or view.listener.port != spec.port:
            return step
        return self._plan_bound(view, worker, spec)

    def _follow_move(self, view: ClusterView, key: NamespacedName) -> None:
        """Note that a move has ended: the annotation follows before anybody opens the cluster."""
        if self.placements.target(key) is None:
            return
        if view.moved:
            self.placements.arrived(key)
        elif view.refusal:
            self.placements.refused(key)

    def _plan_bound(self, view: ClusterView, worker: str, spec: ClusterSpec) -> ClusterPlan:
        """The listener's port is ours: the endpoint is true and may be told."""
        obj = view.infra
        advertised = join_host_port(spec.host, spec.port)
        after: JsonObject = {"metadata": {"annotations": {ENDPOINT_ANNOTATION: advertised}}}
        stale = ""
        if spec.endpoint == advertised:
            after["spec"] = {"controlPlaneEndpoint": {"host": spec.host, "port": spec.port}}
            stale = _endpoint(obj)
        conditions = with_journal(
            _ready(obj, State(infra.READY_REASON), view.now), view.damage, view.now
        )
        ready = {
            "ready": True,
            "initialization": {"provisioned": True},
            "conditions": conditions,
        }
        return ClusterPlan(
            ensure=(worker, spec),
            patch=difference(obj, after),
            status=status_difference(obj, ready),
            new_server=f"https://{advertised}" if stale and stale != advertised else "",
        )

    def _marks(self, obj: JsonObject, key: NamespacedName) -> JsonObject:
        """Return the patch of what must be written before anything is made for the cluster."""
        worker = self.placements.place(key, _placement_annotation(obj))
        return difference(
            obj,
            {
                "metadata": {
                    "finalizers": with_finalizer(obj, infra.CLUSTER_FINALIZER),
                    "annotations": {
                        infra.LISTENER_ANNOTATION: str(key),
                        PLACEMENT_ANNOTATION: str(Placement(self.placements.installation, worker)),
                    },
                }
            },
        )

    def _return_failed(self, view: ClusterView, key: NamespacedName) -> State | None:
        """Give a port back that could not be bound, and say so."""
        listener = view.listener
        if listener is None or listener.state is not ListenerState.FAILED:
            return None
        self.ports.failed(key, listener.port, view.now)
        return State(PORT_OCCUPIED_REASON, listener.message, Severity.WARNING)

    def _desired(self, view: ClusterView, key: NamespacedName) -> tuple[str, ClusterSpec]:
        """Place the cluster, lease its port and describe it.

        Raises:
            PortsExhaustedError: there is no port for it.
            PortTakenError: the port its user chose is not to be had.
        """
        obj = view.infra
        here = self.placements.place(key, _placement_annotation(obj))
        worker = self.placements.target(key) or here
        host = self._remote_hosts.get(worker, self._host)
        if (chosen := self._chosen_port(obj, host)) is not None:
            self.ports.check(host, key, chosen, view.now)
        port = self.ports.lease(host, key, view.now, preferred=_former_port(obj, host))
        advertised = join_host_port(host, port)
        network = ((view.cluster or {}).get("spec") or {}).get("clusterNetwork") or {}
        spec = ClusterSpec(
            key=key,
            uid=obj["metadata"]["uid"],
            host=host,
            port=port,
            endpoint=advertised if self._is_ours(obj) else _endpoint(obj),
            ca=view.authorities.pairs.get(CA),
            etcd_ca=view.authorities.pairs.get(ETCD_CA),
            service_account=view.authorities.pairs.get(SERVICE_ACCOUNT),
            **_network(network),
        )
        return worker, spec

    def _chosen_port(self, obj: JsonObject, host: str) -> int | None:
        """Return the port of ours that a user asks for: in the endpoint, and never told by us."""
        if gates.annotation(obj, ENDPOINT_ANNOTATION) or not self._is_ours(obj):
            return None
        return _endpoint_port(obj, host)

    def _is_ours(self, obj: JsonObject) -> bool:
        """Say whether the endpoint in the spec is ours to set: unset, noted by us, or plainly ours."""
        written = _endpoint(obj)
        if not written or written == gates.annotation(obj, ENDPOINT_ANNOTATION):
            return True
        endpoint = obj["spec"]["controlPlaneEndpoint"]
        hosts = (self._host, *self._remote_hosts.values())
        host = endpoint["host"]
        return host in hosts and endpoint["port"] in self.ports.range_of(host)


def _without_port(view: ClusterView, reason: str, message: str) -> ClusterPlan:
    """Say why there is no port, and look again in a while."""
    state = State(reason, message, Severity.WARNING)
    status = status_difference(view.infra, {"conditions": _ready(view.infra, state, view.now)})
    return ClusterPlan(status=status, requeue_after_s=_EXHAUSTED_RETRY_S)


def join_host_port(host: str, port: int) -> str:
    """Write `host:port`, with brackets round an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _plan_ownerless(obj: JsonObject) -> ClusterPlan:
    """Nothing was ever made for it: deletion must not wait for anybody."""
    if gates.deleting(obj):
        return ClusterPlan(patch=without_finalizer(obj, infra.CLUSTER_FINALIZER))
    return ClusterPlan(waiting_for="an owner reference to its Cluster")


def _plan_delete(obj: JsonObject, key: NamespacedName, gone: bool) -> ClusterPlan:
    if not gone:
        return ClusterPlan(remove=(key, obj["metadata"]["uid"]), waiting_for="its worker")
    return ClusterPlan(patch=without_finalizer(obj, infra.CLUSTER_FINALIZER), release=key)


def _placement_annotation(obj: JsonObject) -> str:
    return gates.annotation(obj, PLACEMENT_ANNOTATION) or ""


def _endpoint(obj: JsonObject) -> str:
    """Return the endpoint in the spec as `host:port`; empty when it is not set."""
    endpoint = (obj.get("spec") or {}).get("controlPlaneEndpoint") or {}
    host = endpoint.get("host") or ""
    return join_host_port(host, endpoint.get("port") or 0) if host else ""


def _former_port(obj: JsonObject, host: str) -> int | None:
    """Return the port a cluster had: what we noted, else what its endpoint on its host says."""
    noted = gates.annotation(obj, ENDPOINT_ANNOTATION)
    port = (noted or "").rpartition(":")[2]
    return int(port) if port.isdigit() else _endpoint_port(obj, host)


def _endpoint_port(obj: JsonObject, host: str) -> int | None:
    """Return the port in the spec's endpoint, if that is on this host."""
    endpoint = (obj.get("spec") or {}).get("controlPlaneEndpoint") or {}
    return endpoint.get("port") if endpoint.get("host") == host else None


def _network(network: JsonObject) -> dict[str, str]:
    """Return the ClusterSpec fields that `Cluster.spec.clusterNetwork` sets; the rest keep defaults."""
    fields = {
        "service_cidr": ",".join((network.get("services") or {}).get("cidrBlocks") or []),
        "pod_cidr": ",".join((network.get("pods") or {}).get("cidrBlocks") or []),
        "service_domain": network.get("serviceDomain") or "",
    }
    return {name: value for name, value in fields.items() if value}


def _ready(obj: JsonObject, state: State, now: float) -> list[JsonObject]:
    """Return the conditions of an object that is not paused, with Ready as given."""
    conditions = with_paused(obj, (), now)
    return apply(conditions, infra.READY_CONDITION, state, now)
