"""What a listener serves: one workload cluster, as its owner hands it over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from capim.api.workload import Authorization, KeyPair
from capim.runtime.etcdmembers import EtcdCluster
from capim.runtime.faults import FaultBook
from capim.runtime.resourcegroup import ResourceGroup
from capim.server.outlet import Barrier


@dataclass(frozen=True, slots=True)
class Authorities:
    """The keys of a cluster, from Cluster API's Secrets."""

    ca: KeyPair
    etcd_ca: KeyPair
    service_account: KeyPair | None = None


@dataclass(slots=True)
class Served:
    """One workload cluster. The owner may change host and authorities: certificates follow."""

    name: str  #: `namespace/name`, for logs and metrics
    bind_host: str  #: empty: all interfaces, IPv4 and IPv6
    port: int  #: 0: any free one
    advertised_host: str
    group: ResourceGroup
    etcd: EtcdCluster
    kubernetes_version: Callable[[], str]
    authorities: Authorities | None  #: None until the Secrets exist; needed to open
    service_ip: str = "10.128.0.1"  #: the first of the service network
    service_domain: str = "cluster.local"
    extra_hosts: tuple[str, ...] = ()  #: more names for the serving certificate
    authorization: Authorization = Authorization.ALWAYS_ALLOW  #: who is known may do what
    barrier: Barrier | None = (
        None  #: what is not behind it yet leaves no connection; None: no journal
    )
    faults: FaultBook | None = None  #: what befalls it; None: nothing is declared
    unserved: str = ""  #: what to tell a client that asks for a kind which is not here
