"""A workload cluster behind its real port, and the ways Cluster API's controllers speak to it.

The server runs in a thread of its own with its own loop; what a test sends goes over TLS from the test's
thread, as from another process.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import http.client
import random
import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from capim.aio.clock import wall_clock
from capim.api.gvk import NamespacedName
from capim.api.workload import ClusterSpec, MachineSpec, Simulation
from capim.runtime.workload import WorkloadCluster
from capim.server.served import Served
from capim.wire import kubeproto
from tests.support.served import Answer, Running, ask, connected, make_authorities, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from capim.api.meta import JsonObject

KEY = NamespacedName("default", "demo")
CONTROL_PLANE = "demo-cp-0"
WORKER = "demo-md-0"
VERSION = "v1.35.0"

#: Accept of clients for built-in kinds, of those for any kind, of discovery, and of the health probe
TYPED = "application/vnd.kubernetes.protobuf, */*"
UNSTRUCTURED = "application/json"
PROBE = "application/json, */*"
AGGREGATED = ",".join(
    [
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        "application/json",
    ]
)
#: content types
PROTOBUF = kubeproto.MEDIA_TYPE
JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


#: a definition as a ClusterResourceSet carries it
WIDGETS: JsonObject = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "names": {
            "kind": "Widget",
            "listKind": "WidgetList",
            "plural": "widgets",
            "singular": "widget",
        },
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
                "served": True,
                "storage": True,
            }
        ],
    },
}


@dataclass(frozen=True, slots=True)
class Site:
    """A served cluster as one client sees it."""

    cluster: WorkloadCluster
    running: Running
    loop: asyncio.AbstractEventLoop
    context: ssl.SSLContext
    connection: http.client.HTTPSConnection

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "",
        accept: str = TYPED,
    ) -> Answer:
        """Send one request as the controllers do; an object of content type PROTOBUF is encoded."""
        headers = {"Accept": accept, "User-Agent": "manager/v1.14.2 cluster-api-controller-manager"}
        if content_type:
            headers["Content-Type"] = content_type
        if content_type == PROTOBUF and isinstance(body, dict):
            body = kubeproto.encode(body)
        return ask(self.connection, method, path, body, **headers)

    def get(self, path: str) -> JsonObject:
        """Read an object that is there."""
        answer = self.send("GET", f"{path}?timeout=10s")
        assert answer.status == 200, answer.body
        return answer.json()

    def create(self, path: str, body: JsonObject) -> JsonObject:
        """Make an object a row needs."""
        answer = self.send("POST", path, body, content_type=JSON, accept=UNSTRUCTURED)
        assert answer.status == 201, answer.body
        return answer.json()

    @contextlib.contextmanager
    def watch(self, path: str, accept: str = TYPED) -> Iterator[Iterator[JsonObject]]:
        """Begin a watch on a connection of its own and give its events."""
        with connected(self.running.listener.port, self.context) as connection:
            connection.request("GET", path, headers={"Accept": accept})
            response = connection.getresponse()
            try:
                assert response.status == 200, response.read()
                yield map(orjson.loads, iter(response.readline, b""))
            finally:
                response.close()

    def do(self, action: Callable[[], Any]) -> Any:
        """Do something to the cluster on the server's own loop."""

        async def run() -> Any:
            return action()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(5)


def make_cluster(
    *control_planes: str, simulation: Simulation = Simulation.OFF
) -> tuple[WorkloadCluster, Served]:
    """Make a whole cluster: these control plane machines and one worker, none of which has to wait."""
    authorities = make_authorities(wall_clock())
    spec = ClusterSpec(
        KEY,
        "uid-demo",
        "127.0.0.1",
        0,
        "127.0.0.1:20000",
        ca=authorities.ca,
        etcd_ca=authorities.etcd_ca,
    )
    cluster = WorkloadCluster(
        spec,
        clock=wall_clock,
        rng=random.Random(7),  # noqa: S311 - uids of a test
        first_version=1000,
        simulation=simulation,
    )
    for name in (*control_planes, WORKER):
        cluster.ensure_machine(machine(name, control_plane=name in control_planes))
        cluster.advance()
    served = Served(
        name=str(KEY),
        bind_host="127.0.0.1",
        port=0,
        advertised_host="127.0.0.1",
        group=cluster.group,
        etcd=cluster.etcd,
        kubernetes_version=lambda: cluster.kubernetes_version,
        authorities=authorities,
    )
    return cluster, served


def machine(name: str, *, control_plane: bool) -> MachineSpec:
    """Describe a machine without delays."""
    provider_id = f"in-memory://{name}"
    return MachineSpec(KEY, name, f"uid-{name}", control_plane, VERSION, provider_id=provider_id)


@contextlib.contextmanager
def serve(*control_planes: str) -> Iterator[Site]:
    """Serve a cluster for the time of a `with` block."""
    cluster, served = make_cluster(*(control_planes or (CONTROL_PLANE,)))
    opened: concurrent.futures.Future[tuple[Running, asyncio.AbstractEventLoop, asyncio.Event]]
    opened = concurrent.futures.Future()

    async def main() -> None:
        stop = asyncio.Event()
        async with running(served) as open_listener:
            opened.set_result((open_listener, asyncio.get_running_loop(), stop))
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            if opened.done():
                raise
            opened.set_exception(error)

    thread = threading.Thread(target=run, name="served cluster")
    thread.start()
    try:
        running_cluster, loop, stop = opened.result(10)
        context = running_cluster.client_context(groups=("system:masters",))
        with connected(running_cluster.listener.port, context) as connection:
            yield Site(cluster, running_cluster, loop, context, connection)
        loop.call_soon_threadsafe(stop.set)
    finally:
        thread.join(10)
