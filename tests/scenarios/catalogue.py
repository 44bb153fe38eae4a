"""The scenarios: a fault, whom it befalls, who watches, and what the controllers should do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tests.scenarios.outcomes import Blocked, Kept, Outcome, Remediated, Says, Scaled

_ETCD: Final = ("EtcdClusterHealthy", "EtcdClusterHealthy")
#: 1.14 asks one member, whichever answers first, and so learns of another that is down by its pod
_ETCD_POD: Final = ("EtcdClusterHealthy", "ControlPlaneComponentsHealthy")
_MEMBER: Final = ("EtcdMemberHealthy", "EtcdMemberHealthy")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row."""

    name: str  #: a DNS label
    spec: dict[str, Any]  #: of the InMemoryFault
    outcome: Outcome
    on: str = (
        ""  #: `worker`, `control-plane`: one machine of these; empty: whatever the spec chooses
    )
    watched: str = ""  #: whom a MachineHealthCheck watches: `workers`, `control-plane`, nobody
    control_planes: int = 1


def _node(effect: str, **parameters: str) -> dict[str, Any]:
    return {"nodes": {"effect": effect, **parameters}}


def _cloud(effect: str) -> dict[str, Any]:
    return {"cloud": {"effect": effect}}


def _etcd(effect: str, **parameters: str) -> dict[str, Any]:
    return {"etcd": {"effect": effect, **parameters}}


def _api(effect: str, probability: str = "", period: str = "", **parameters: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"apiServer": {"effect": effect, **parameters}}
    if probability:
        spec["probability"] = probability
    if period:
        spec["schedule"] = {"duration": "15m", "period": period}
    return spec


def _worker(name: str, spec: dict[str, Any], outcome: Outcome) -> Scenario:
    """A worker suffers under the eyes of a health check."""
    return Scenario(name, spec, outcome, on="worker", watched="workers")


def _member(name: str, spec: dict[str, Any], outcome: Outcome) -> Scenario:
    """One of three control plane machines suffers, and nobody checks it."""
    return Scenario(name, spec, outcome, on="control-plane", control_planes=3)


def _scaling(name: str, spec: dict[str, Any]) -> Scenario:
    """A cluster scales while its API is in trouble."""
    return Scenario(name, spec, Scaled())


_FLAPPING: Final = {**_node("NotReady"), "schedule": {"duration": "15m", "period": "10s"}}

SCENARIOS: Final = (
    _worker("node-not-ready", _node("NotReady"), Remediated()),
    _worker("node-silent", _node("Silent"), Remediated()),
    _worker("node-deleted", _node("Deleted"), Remediated()),
    _worker("node-flapping", _FLAPPING, Kept()),
    _worker("node-memory-pressure", _node("MemoryPressure"), Kept()),
    _worker("node-tainted", _node("Tainted", taint="maintenance=today:NoSchedule"), Kept()),
    _worker("node-version-skew", _node("VersionSkew", kubeletVersion="v1.20.0"), Kept()),
    _worker("vm-stopped", _cloud("VMStopped"), Remediated()),
    _worker("vm-deleted", _cloud("VMDeleted"), Remediated()),
    Scenario("node-not-ready-unwatched", _node("NotReady"), Kept(), on="worker"),
    Scenario("node-never-joins", _node("NeverJoins"), Blocked()),
    Scenario("no-capacity", _cloud("NoCapacity"), Blocked()),
    Scenario(
        "control-plane-not-ready",
        _node("NotReady"),
        Remediated(within_s=300),
        on="control-plane",
        watched="control-plane",
        control_planes=3,
    ),
    Scenario(
        "the-only-control-plane-not-ready",
        _node("NotReady"),
        Kept(),
        on="control-plane",
        watched="control-plane",
    ),
    _member("member-down", _etcd("MemberDown"), Says("KubeadmControlPlane", _ETCD_POD)),
    _member("no-space", _etcd("NoSpace"), Says("Machine", _MEMBER)),
    _member("corrupt", _etcd("Corrupt"), Says("Machine", _MEMBER)),
    _member(
        "cluster-id",
        _etcd("ClusterIDMismatch"),
        # 1.14 compares no IDs
        Says("KubeadmControlPlane", ("EtcdClusterHealthy", ""), overlooked="EtcdClusterHealthy"),
    ),
    _member("member-missing", _etcd("MemberMissing"), Says("KubeadmControlPlane", _ETCD)),
    Scenario("no-leader", _etcd("NoLeader"), Says("KubeadmControlPlane", _ETCD), control_planes=3),
    _member(
        "replica-down",
        _api("ReplicaDown"),
        Says("Machine", ("APIServerPodHealthy", "APIServerPodHealthy")),
    ),
    Scenario("listener-down", _api("ListenerDown"), Kept(), watched="workers"),
    Scenario("unreachable", _api("Unreachable"), Kept(), watched="workers"),
    Scenario("certificate-expired", _api("CertificateExpired"), Kept(), watched="workers"),
    _scaling("slow-requests", _api("Latency", latency="300ms", jitter="300ms")),
    _scaling("too-many-requests", _api("TooManyRequests", "0.3")),
    _scaling("internal-errors", _api("InternalError", "0.3")),
    _scaling("unavailable", _api("ServiceUnavailable", "0.3")),
    _scaling("conflicts", _api("Conflict", "0.5")),
    _scaling("resets", _api("ConnectionReset", "0.2")),
    _scaling("watches-cut", _api("WatchesCut", period="4s")),
    _scaling("storm-of-410", _api("Expired", "0.5")),
)
