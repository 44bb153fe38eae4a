"""In scope: a fault from the management API to a client of the workload cluster, through real processes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from capim.api.errors import APIError
from capim.api.gvk import GVR
from capim.embedded import kinds
from capim.embedded.up import _client
from tests.unit.embedded.test_up import SMALL, command, folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from capim.api.meta import JsonObject
    from coordinator.kube.client import KubeClient

__all__ = ["folder"]  # a fixture

pytestmark = pytest.mark.slow

CONFIG_MAPS = GVR("", "v1", "configmaps")
WORKER = "in-memory-1-md-0-0"


def fault(name: str, **spec: Any) -> JsonObject:
    return {
        "apiVersion": "infrastructure.cluster.x-k8s.io/v1alpha1",
        "kind": "InMemoryFault",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


async def until(condition: Callable[[], Any]) -> None:
    """Ask again and again, at most 20 s, until the answer is yes."""
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def workload(client: KubeClient, folder: Path) -> AsyncIterator[KubeClient]:
    secret = await client.get(kinds.SECRETS, "default", "in-memory-1-kubeconfig")
    path = folder / "workload"
    path.write_bytes(base64.b64decode(secret["data"]["value"]))
    try:
        async with _client(path) as found:
            yield found
    finally:
        path.unlink()


async def refused(cluster: KubeClient) -> str:
    """Return why a ConfigMap cannot be made, empty when it can."""
    body = {"metadata": {"generateName": "x-"}}
    try:
        await cluster.create(CONFIG_MAPS, "default", body)
    except APIError as error:
        return error.message
    return ""


async def suffer_and_heal(kubeconfig: Path, folder: Path) -> None:
    async with _client(kubeconfig) as client, workload(client, folder) as cluster:
        assert await refused(cluster) == ""
        errors = {"apiServer": {"effect": "InternalError"}, "requests": {"verbs": ["create"]}}
        await client.create(kinds.FAULTS, "default", fault("errors", **errors))
        await until(lambda: refused(cluster))
        assert "fault default/errors" in await refused(cluster)

        async def status() -> bool:
            one = await client.get(kinds.FAULTS, "default", "errors")
            status = one.get("status") or {}
            assert status.get("clusters", ["in-memory-1"]) == ["in-memory-1"]
            return status.get("phase") == "Active" and status.get("hits", 0) >= 2

        await until(status)
        kill_worker(folder)
        await until(lambda: survives(cluster))
        await client.delete(kinds.FAULTS, "default", "errors")
        await until(lambda: works(cluster))
        sick = {"nodes": {"effect": "NotReady"}, "machines": {"names": [WORKER]}}
        await client.create(kinds.FAULTS, "default", fault("sick", **sick))
        await until(lambda: is_ready(cluster, "False"))
        await client.delete(kinds.FAULTS, "default", "sick")
        await until(lambda: is_ready(cluster, "True"))


def kill_worker(folder: Path) -> None:
    (lock,) = folder.glob("capim-*/run/worker-0.lock")
    os.kill(int(lock.read_text()), signal.SIGKILL)


async def survives(cluster: KubeClient) -> bool:
    """Tell whether a new worker lets the cluster suffer as the old one did."""
    why = await refused(cluster)
    assert why, "the cluster was served without its fault"
    return "fault default/errors" in why


async def works(cluster: KubeClient) -> bool:
    return not await refused(cluster)


async def is_ready(cluster: KubeClient, status: str) -> bool:
    node = await cluster.get(kinds.NODES, "", WORKER)
    return any(c["type"] == "Ready" and c["status"] == status for c in node["status"]["conditions"])


def test_a_cluster_suffers_survives_its_worker_and_heals(folder: Path) -> None:
    with command(folder, *SMALL) as process:
        assert process.stdout is not None
        text = ""
        for line in process.stdout:
            text += line
            if "Ctrl-C ends all of it." in line:
                break
        found = re.search(r"kubectl --kubeconfig (\S+/kubeconfig) get", text)
        assert found, text
        try:
            asyncio.run(suffer_and_heal(Path(found[1]), folder))
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
