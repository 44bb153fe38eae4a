"""A client of one workload cluster that writes and watches all the time, and remembers what it was told."""

from __future__ import annotations

import asyncio
import base64
import random
import tempfile
from typing import TYPE_CHECKING, Final

from capim.aio.clock import wall_clock
from capim.api.errors import APIError
from capim.api.gvk import GVR
from coordinator.kube import config
from coordinator.kube.client import KubeClient

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

CONFIG_MAPS: Final = GVR("", "v1", "configmaps")
NODES: Final = GVR("", "v1", "nodes")
_NAMESPACE: Final = "default"
_AGAIN_S: Final = 0.05
_WATCH_S: Final = 5
#: looks, until a watch must have told of everything
_CATCH_UP: Final = 400


async def connect(kubeconfig: bytes, name: str) -> KubeClient:
    """Return a client that waits for nobody's quota."""
    with tempfile.NamedTemporaryFile(prefix="capim-chaos-") as file:
        file.write(kubeconfig)
        file.flush()
        access = await config.load(file.name)
    rng = random.Random(0)  # noqa: S311 - backoff
    return KubeClient(
        access.configuration, user_agent=name, qps=1e5, burst=100_000, clock=wall_clock, rng=rng
    )


def kubeconfig_of(secret: JsonObject) -> bytes:
    """Return what Cluster API's Secret holds."""
    return base64.b64decode(secret["data"]["value"])


class Client:
    """Writes ConfigMaps, and watches them as an informer does. One loop, no lock."""

    def __init__(self, kube: KubeClient) -> None:
        self.kube = kube
        #: name -> (uid, resource version), of every write that was acknowledged
        self.acknowledged: dict[str, tuple[str, int]] = {}
        self.broken: list[str] = []  #: promises that were not kept
        self.relists = 0
        self._mirror: dict[str, int] = {}
        self._version = 0

    async def write(self) -> None:
        """Make one object after the other until cancelled; a write without an answer is nobody's."""
        number = 0
        while True:
            number += 1
            name = f"w-{number}"
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
            try:
                made = (await self.kube.create(CONFIG_MAPS, _NAMESPACE, body))["metadata"]
            except APIError:
                await asyncio.sleep(_AGAIN_S)
                continue
            self.acknowledged[name] = (made["uid"], int(made["resourceVersion"]))
            await asyncio.sleep(_AGAIN_S)

    async def watch(self) -> None:
        """Follow the objects until cancelled."""
        while True:
            try:
                await self._list()
                while True:
                    await self._follow()
            except APIError:
                await asyncio.sleep(_AGAIN_S)

    async def _list(self) -> None:
        found = await self.kube.list(CONFIG_MAPS, _NAMESPACE)
        version = int(found.resource_version)
        if version < self._version:
            self.broken.append(f"a list at {version} after {self._version} was seen")
        self._mirror = {
            item["metadata"]["name"]: int(item["metadata"]["resourceVersion"])
            for item in found.items
        }
        self._version = version
        self.relists += 1

    async def _follow(self) -> None:
        """Watch from the last version seen; a connection that is lost is made again from there."""
        try:
            async for event in self.kube.watch(
                CONFIG_MAPS, _NAMESPACE, labels="", since=str(self._version), timeout_s=_WATCH_S
            ):
                self._take(event)
        except APIError as error:
            if error.code == 410:
                raise
            await asyncio.sleep(_AGAIN_S)

    def _take(self, event: JsonObject) -> None:
        metadata = event["object"]["metadata"]
        version = int(metadata["resourceVersion"])
        if version < self._version or (version == self._version and event["type"] != "BOOKMARK"):
            self.broken.append(f"{event['type']} at {version} after {self._version} was seen")
        self._version = version
        if event["type"] == "DELETED":
            self._mirror.pop(metadata["name"], None)
        elif event["type"] != "BOOKMARK":
            self._mirror[metadata["name"]] = version

    async def faults(self) -> list[str]:
        """Compare what was told with what there is, when nothing is written any more."""
        found = await self.kube.list(CONFIG_MAPS, _NAMESPACE)
        there = {
            item["metadata"]["name"]: (
                item["metadata"]["uid"],
                int(item["metadata"]["resourceVersion"]),
            )
            for item in found.items
        }
        lost = [name for name, told in self.acknowledged.items() if there.get(name) != told]
        wrong = [
            f"{name} was acknowledged as {self.acknowledged[name]}, is {there.get(name)}"
            for name in lost
        ]
        versions = {name: version for name, (_, version) in there.items()}
        for _ in range(_CATCH_UP):
            if self._mirror == versions:
                break
            await asyncio.sleep(_AGAIN_S)
        else:
            wrong.append("what the watch told is not what a list shows")
        return self.broken + wrong
