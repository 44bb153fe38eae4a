"""The embedded management API: the workload clusters' API machinery with Cluster API's kinds in it."""

from __future__ import annotations

import secrets
import uuid
from typing import TYPE_CHECKING

from capim.api.workload import KeyPair
from capim.certs.issue import client_certificate, new_key, self_signed_ca
from capim.certs.pem import dump_private_key
from capim.embedded.admission import InfrastructureAdmission
from capim.embedded.kinds import MANAGEMENT_RESOURCES
from capim.embedded.standin.authorities import kubeconfig
from capim.runtime.etcdmembers import EtcdCluster
from capim.runtime.resourcegroup import ResourceGroup
from capim.server.listener import Listener
from capim.server.metrics import Metrics
from capim.server.served import Authorities, Served

if TYPE_CHECKING:
    from capim.aio.clock import Clock
    from capim.aio.tasks import TaskScope
    from capim.api.meta import JsonObject

_VERSION = "v1.35.4"

_UNSERVED = (
    "this embedded management API serves the kinds that fake clusters need, `kubectl api-resources`"
    " lists them; for others run `capim manager` against a management cluster of your own"
)

#: Informers of a thousand clusters start over cheaply rather than hold much history.
_HISTORY_EVENTS = 100_000
_HISTORY_BYTES = 64 << 20


class EmbeddedApi:
    """One management API on loopback. One loop, no lock."""

    def __init__(self, *, clock: Clock, scope: TaskScope) -> None:
        self._clock = clock
        self._ca = self_signed_ca("capim-embedded", clock())
        self.group = ResourceGroup(
            MANAGEMENT_RESOURCES,
            clock=clock,
            new_uid=lambda: str(uuid.UUID(bytes=secrets.token_bytes(16), version=4)),
            first_version=1,
            history_events=_HISTORY_EVENTS,
            history_bytes=_HISTORY_BYTES,
            admission=InfrastructureAdmission(),
        )
        served = Served(
            name="embedded/management",
            bind_host="127.0.0.1",
            port=0,
            advertised_host="127.0.0.1",
            group=self.group,
            etcd=EtcdCluster(1),
            kubernetes_version=lambda: _VERSION,
            authorities=Authorities(self._ca, self._ca),
            unserved=_UNSERVED,
        )
        self._listener = Listener(served, scope=scope, metrics=Metrics())

    async def start(self) -> None:
        """Serve on a free port; namespaces a user expects are there."""
        for name in ("default", "kube-system", "capim-system"):
            namespaces = next(one for one in self.group.resources if one.plural == "namespaces")
            self.group.create(namespaces, "", {"metadata": {"name": name}})
        self._listener.bind()
        await self._listener.open()

    async def stop(self) -> None:
        """Close the port and every connection."""
        await self._listener.close()

    def kubeconfig(self, extensions: JsonObject | None = None) -> bytes:
        """Write an administrator's kubeconfig; `extensions` go into its context."""
        key = new_key()
        certificate = client_certificate(
            self._ca,
            key,
            common_name="kubernetes-admin",
            organizations=["system:masters"],
            now=self._clock(),
        )
        server = f"https://127.0.0.1:{self._listener.port}"
        client = KeyPair(certificate, dump_private_key(key))
        return kubeconfig("capim", server, self._ca.certificate, client, extensions)
