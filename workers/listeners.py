"""The listeners of a shard: one port a cluster, bound at once, open while an API server is up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from capim.api.workload import Authorization
from capim.certs.pem import CertificateError
from capim.runtime.manifests.defaults import service_ip
from capim.server.doors import Doors
from capim.server.listener import Listener
from capim.server.metrics import Metrics
from capim.server.ports import PortOccupied
from capim.server.served import Authorities, Served

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.aio.clock import Clock
    from capim.aio.descriptors import Capacity
    from capim.aio.tasks import TaskScope
    from capim.api.gvk import NamespacedName
    from capim.api.workload import ClusterSpec
    from capim.runtime.workload import WorkloadCluster
    from capim.server.outlet import Barrier
    from capim.server.requestlog import RequestLog

_log = structlog.get_logger(__name__)


class Listeners:
    """Every listener of this worker, by cluster. One loop, no lock."""

    def __init__(
        self,
        bind_host: str,
        *,
        scope: TaskScope,
        clock: Clock,
        request_log: RequestLog | None = None,
        authorization: Authorization = Authorization.ALWAYS_ALLOW,
        barrier_of: Callable[[WorkloadCluster], Barrier] | None = None,
        capacity: Capacity | None = None,
    ) -> None:
        self._capacity = capacity
        self._doors = Doors(capacity.connections if capacity else None)
        self._authorization = authorization
        self._barrier_of = barrier_of
        self._bind_host = bind_host
        self._scope = scope
        self._clock = clock
        self._request_log = request_log
        self.metrics = Metrics()
        self._listeners: dict[NamespacedName, tuple[Listener, Served]] = {}

    @property
    def connections(self) -> int:
        """How many clients of all clusters are connected."""
        return sum(listener.connections for listener, _ in self._listeners.values())

    @property
    def cluster_limit(self) -> int:
        """How many clusters the open files of this process are enough for; 0: not known."""
        return self._capacity.clusters if self._capacity is not None else 0

    def bind(self, cluster: WorkloadCluster) -> str | None:
        """Take a cluster's port; return why it could not be taken, or None."""
        served = _served(cluster, self._bind_host, self._authorization)
        if self._barrier_of is not None:
            served.barrier = self._barrier_of(cluster)
        listener = Listener(
            served,
            scope=self._scope,
            metrics=self.metrics,
            clock=self._clock,
            request_log=self._request_log,
            doors=self._doors,
        )
        self._listeners[cluster.key] = (listener, served)
        if self._capacity is not None and len(self._listeners) == self._capacity.clusters + 1:
            _log.warning(
                "this worker has as many clusters as its open files allow: raise the limit"
                " (ulimit -Hn), or run more workers",
                fits=str(self._capacity),
            )
        try:
            listener.bind()
        except PortOccupied as error:
            return str(error)
        return None

    async def open(self, cluster: WorkloadCluster) -> None:
        """Let clients in."""
        self.renew(cluster)
        listener, served = self._listeners[cluster.key]
        try:
            await listener.open()
        except CertificateError as error:
            # The coordinator checked the pair before it sent it; only a race with a rotation ends here,
            # and the next EnsureCluster brings the other half.
            _log.error("listener stays closed", cluster=served.name, error=str(error))

    async def refuse(self, key: NamespacedName) -> None:
        """Let nobody in any more, but keep the port."""
        listener, _ = self._listeners[key]
        await listener.close()
        listener.bind()

    def renew(self, cluster: WorkloadCluster) -> None:
        """Follow a cluster's host and authorities; clients of an authority that is no more are cut off."""
        listener, served = self._listeners[cluster.key]
        before = served.authorities
        served.advertised_host = cluster.spec.host
        served.authorities = after = _authorities(cluster.spec)
        served.extra_hosts = _extra_hosts(cluster.spec)
        if before and after and (before.ca, before.etcd_ca) != (after.ca, after.etcd_ca):
            _log.info("authorities changed", cluster=served.name)
            listener.end_connections()

    def follow_faults(self, cluster: WorkloadCluster) -> None:
        """Let a cluster's listener suffer its faults as they are now."""
        listener, _ = self._listeners[cluster.key]
        listener.follow_faults(cluster.faults)

    async def drop(self, key: NamespacedName) -> None:
        """Close a listener and give its port back; one that is not there is dropped already."""
        if found := self._listeners.pop(key, None):
            await found[0].close()

    async def close(self) -> None:
        """Close all listeners, at once: each waits a little for clients that are slow to take their end."""
        await asyncio.gather(*(self.drop(key) for key in list(self._listeners)))


def _served(cluster: WorkloadCluster, bind_host: str, authorization: Authorization) -> Served:
    spec = cluster.spec
    return Served(
        name=str(spec.key),
        bind_host=bind_host,
        port=spec.port,
        advertised_host=spec.host,
        group=cluster.group,
        etcd=cluster.etcd,
        kubernetes_version=lambda: cluster.kubernetes_version,
        authorities=_authorities(spec),
        service_ip=service_ip(spec.service_cidr, 1),
        service_domain=spec.service_domain,
        extra_hosts=_extra_hosts(spec),
        authorization=authorization,
        faults=cluster.faults,
    )


def _authorities(spec: ClusterSpec) -> Authorities | None:
    if spec.ca is None:
        return None
    return Authorities(spec.ca, spec.etcd_ca or spec.ca, spec.service_account)


def _extra_hosts(spec: ClusterSpec) -> tuple[str, ...]:
    """A user may have given the cluster another address than ours; clients verify that one."""
    host = spec.endpoint.rpartition(":")[0].strip("[]")
    return (host,) if host and host != spec.host else ()
