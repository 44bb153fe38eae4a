"""What a workload cluster and its machines should be, and how far they have come.

These values travel from the coordinator to a worker (specs) and back (progress). They are the whole
of what a worker needs to build a cluster, and to build it again after a restart.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from capim.api.faults import Effect
from capim.api.gvk import NamespacedName
from capim.api.nodeform import NodeForm


class Phase(enum.StrEnum):
    """The phases of a machine that take time of their own, in the order they may end."""

    VM = "vm"
    NODE = "node"
    ETCD = "etcd"
    API_SERVER = "apiServer"


class Simulation(enum.StrEnum):
    """How much of what a control plane and kubelets do is simulated for workloads."""

    OFF = "off"  #: nothing but what every namespace is given
    STATUS = "status"  #: statuses say what specs ask for; there are neither pods nor events of them
    PODS = "pods"  #: pods are made, bound to nodes and run


class Authorization(enum.StrEnum):
    """What decides whether somebody who is known may do something in a workload cluster."""

    ALWAYS_ALLOW = "AlwaysAllow"  #: everybody may do everything
    RBAC = "RBAC"  #: the cluster's own roles and bindings


@dataclass(frozen=True, slots=True)
class Startup:
    """How long a phase takes: `duration_s` plus up to `jitter` times as much, drawn once."""

    duration_s: float = 0.0
    jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """What is wrong with a machine for all its life, if chance will have it."""

    effect: Effect
    probability: float = 1.0
    detail: str = ""  #: as of a fault


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """A machine that should exist: all gates before the cloud machine are passed."""

    cluster: NamespacedName  #: the workload cluster: namespace and name of the Cluster
    name: str  #: of the InMemoryMachine; also the name of its Node
    uid: str  #: of the InMemoryMachine; tells two machines of one name apart
    control_plane: bool
    version: str  #: Kubernetes version of the Machine, `v1.29.0`
    provider_id: str  #: `in-memory://<name>`
    failure_domain: str = ""
    startup: dict[Phase, Startup] = field(default_factory=dict)  #: absent phase: no delay
    #: when the cloud machine was created, seconds since the epoch; None: now, at the worker
    created_at: float | None = None
    #: phases that had ended before, with their times: a rebuild does not wait for them again
    done: dict[Phase, float] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    node: NodeForm | None = None  #: what its Node looks like; None: as all do


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM. Empty key: verify only."""

    certificate: bytes
    key: bytes = field(repr=False)  #: no traceback may show it


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """A workload cluster that should exist on a worker."""

    key: NamespacedName  #: namespace and name of the Cluster; also the resource group's and listener's name
    uid: str  #: of the InMemoryCluster; another uid is another life of the cluster
    host: str  #: advertised: goes into serving certificates and kubeadm-config
    port: int  #: the leased port the worker binds
    endpoint: str  #: `host:port` of spec.controlPlaneEndpoint, which a user may have set to another address
    service_cidr: str = "10.128.0.0/12"
    pod_cidr: str = "192.168.0.0/16"
    service_domain: str = "cluster.local"
    #: None until Cluster API's Secrets exist; API servers and etcd members wait for them
    ca: KeyPair | None = None
    etcd_ca: KeyPair | None = None
    service_account: KeyPair | None = None  #: public key as `certificate`


@dataclass(frozen=True, slots=True)
class MachineProgress:
    """How far a machine has come, as its worker reports it."""

    cluster: NamespacedName
    name: str
    uid: str
    created_at: float  #: when the cloud machine was created
    done: dict[Phase, float] = field(default_factory=dict)  #: phase -> when it ended
    failed: dict[Phase, str] = field(
        default_factory=dict
    )  #: phase -> why it cannot go on, for a person
    addresses: tuple[tuple[str, str], ...] = ()  #: (type, address), as status.addresses wants them
    terminal: bool = False  #: it failed for good: only another machine can take its place


class ListenerState(enum.StrEnum):
    """The life of a listener's port."""

    BOUND = "bound"  #: the port is ours; connections are refused until the first API server is up
    OPEN = "open"
    FAILED = "failed"  #: the port could not be bound: another process has it


@dataclass(frozen=True, slots=True)
class ListenerStatus:
    """A listener as its worker reports it."""

    cluster: NamespacedName
    uid: str
    port: int
    state: ListenerState
    message: str = ""  #: for a person, when FAILED
