"""A node that runs nothing: a kubelet's port-forward and logs for a pod whose process runs beside it.

kube-apiserver takes it for a real one; what it passes on is joined to the ports of this machine. So
`kubectl port-forward` and `kubectl logs` go their whole way, but for the kubelet itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

from tests.e2e import ports as free
from tests.support.kubelet import kubelet
from tests.support.portforward import tls_contexts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.kube import JsonObject, Kube

_NODE = "e2e-node"


@contextlib.contextmanager
def pod_of(
    kube: Kube,
    deployment: JsonObject,
    *,
    ports: Callable[[int], int],
    logs: Callable[[], bytes],
) -> Iterator[str]:
    """Let a Deployment have a running pod, and yield its name; see `tests.support.kubelet.kubelet`."""
    [port] = free.free_ports(1)
    namespace, name = deployment["metadata"]["namespace"], deployment["metadata"]["name"]
    template = deployment["spec"]["template"]
    pod = f"{name}-0"
    with _serving(port, ports, logs):
        _create(kube, _node(port), "Node", "")
        document = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": pod,
                "namespace": namespace,
                "labels": template["metadata"]["labels"],
            },
            "spec": {**template["spec"], "nodeName": _NODE},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }
        _create(kube, document, "Pod", namespace)
        try:
            yield pod
        finally:
            path = kube.path("Pod", namespace, pod)
            kube.request("DELETE", f"{path}?gracePeriodSeconds=0")
            kube.delete("Node", "", _NODE)


def _node(port: int) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": _NODE},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        },
    }


def _create(kube: Kube, document: JsonObject, kind: str, namespace: str) -> None:
    kube.create(document)
    path = kube.path(kind, namespace, document["metadata"]["name"])
    change: dict[str, Any] = {"status": document["status"]}
    kube.request("PATCH", f"{path}/status", change, content_type="application/merge-patch+json")


@contextlib.contextmanager
def _serving(port: int, ports: Callable[[int], int], logs: Callable[[], bytes]) -> Iterator[None]:
    """Serve the kubelet's port in a thread while the block runs."""
    loop = asyncio.new_event_loop()
    started = threading.Event()

    async def serve(stop: asyncio.Event) -> None:
        context, _ = tls_contexts()
        context.set_alpn_protocols(["http/1.1"])
        server = await loop.create_server(
            lambda: kubelet(ports, logs), "127.0.0.1", port, ssl=context
        )
        started.set()
        async with server:
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve(stop)), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
