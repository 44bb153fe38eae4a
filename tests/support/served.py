"""A served cluster for tests: authorities, a resource group and a listener on a free loopback port."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from capim.aio.clock import wall_clock
from capim.aio.tasks import TaskScope
from capim.api.gvk import GVR
from capim.api.resources import WORKLOAD_RESOURCES
from capim.certs.issue import client_certificate, new_key, self_signed_ca
from capim.certs.pem import dump_private_key
from capim.runtime.etcdmembers import EtcdCluster
from capim.runtime.resourcegroup import ResourceGroup
from capim.server.listener import Listener
from capim.server.metrics import Metrics
from capim.server.served import Authorities, Served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.api.workload import KeyPair


def resource(plural: str, group: str = "", version: str = "v1") -> Resource:
    """Return a row of the table of served kinds."""
    found = WORKLOAD_RESOURCES.by_gvr(GVR(group, version, plural))
    assert found is not None, plural
    return found


def make_group(clock: Callable[[], float] = wall_clock) -> ResourceGroup:
    """Make a resource group with the namespaces every cluster has; versions start above 1000."""
    uids = itertools.count(1)
    group = ResourceGroup(
        WORKLOAD_RESOURCES, clock=clock, new_uid=lambda: f"uid-{next(uids)}", first_version=1000
    )
    for name in ("default", "kube-system", "kube-public"):
        group.create(resource("namespaces"), "", {"metadata": {"name": name}})
    return group


def make_authorities(now: float, key: Any = None) -> Authorities:
    """Make the authorities of a cluster; `key` signs for both, P-256 keys where it is None."""
    return Authorities(self_signed_ca("kubernetes", now, key), self_signed_ca("etcd-ca", now, key))


def make_served(
    *, authorities: Authorities | None = None, clock: Callable[[], float] = wall_clock
) -> Served:
    """Describe a cluster `default/demo` on a free port of 127.0.0.1."""
    return Served(
        name="default/demo",
        bind_host="127.0.0.1",
        port=0,
        advertised_host="127.0.0.1",
        group=make_group(clock),
        etcd=EtcdCluster(1),
        kubernetes_version=lambda: "v1.32.1",
        authorities=authorities or make_authorities(clock()),
    )


@dataclass(frozen=True, slots=True)
class Running:
    """An open listener and how to reach it."""

    served: Served
    listener: Listener
    metrics: Metrics

    @property
    def url(self) -> str:
        """Where the API server is."""
        return f"https://127.0.0.1:{self.listener.port}"

    @property
    def authorities(self) -> Authorities:
        """The cluster's authorities."""
        assert self.served.authorities is not None
        return self.served.authorities

    def client_context(
        self,
        ca: KeyPair | None = None,
        *,
        user: str = "kubernetes-admin",
        groups: tuple[str, ...] = (),
    ) -> ssl.SSLContext:
        """Make a client's context that trusts the cluster and is `user` by a certificate of `ca`.

        An empty user has no certificate.
        """
        context = ssl.create_default_context(cadata=self.authorities.ca.certificate.decode())
        if user:
            load_client(context, ca or self.authorities.ca, user, groups)
        return context


def load_client(
    context: ssl.SSLContext, ca: KeyPair, user: str, groups: tuple[str, ...] = ("system:masters",)
) -> None:
    """Give a client's context a certificate of `ca`."""
    key = new_key()
    pem = client_certificate(ca, key, common_name=user, organizations=groups, now=wall_clock())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "client.pem")
        path.write_bytes(pem + dump_private_key(key))
        context.load_cert_chain(path)


@contextlib.asynccontextmanager
async def running(served: Served | None = None, **options: Any) -> AsyncIterator[Running]:
    """Open a listener for the time of an `async with` block."""
    metrics = Metrics()
    async with TaskScope() as scope:
        served = served or make_served()
        listener = Listener(served, scope=scope, metrics=metrics, **options)
        await listener.open()
        try:
            yield Running(served, listener, metrics)
        finally:
            await listener.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> JsonObject:
        """Decode the body."""
        decoded: JsonObject = orjson.loads(self.body)
        return decoded


@contextlib.contextmanager
def connected(port: int, context: ssl.SSLContext) -> Iterator[http.client.HTTPSConnection]:
    """Open a blocking client connection: for use in a thread."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=5)
    try:
        yield connection
    finally:
        connection.close()


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: object = None,
    **headers: str,
) -> Answer:
    """Send one request and read the answer; a body that is not bytes is sent as JSON."""
    data = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, data, named)
    response = connection.getresponse()
    return Answer(response.status, dict(response.headers), response.read())
