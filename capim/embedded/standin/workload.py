"""What the stand-in sees of workload clusters through their own APIs: nodes, and etcd's health.

One task watches a cluster's nodes while machines wait for theirs, and one asks each new etcd member
once; both end by themselves or when the cluster goes. Errors are what a cluster that is coming up gives:
they are tried again after a second.
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import orjson
import structlog

from capim.api.errors import APIError
from capim.dialer import ApiServer
from capim.embedded.standin.authorities import key_pair
from capim.embedded.standin.etcd import check_member
from capim.embedded.standin.snapshot import WorkloadFacts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from capim.aio.tasks import TaskScope
    from capim.api.gvk import NamespacedName
    from capim.api.meta import JsonObject

_log = structlog.get_logger(__name__)

_RETRY_S: Final = 1.0
_WATCH_TIMEOUT_S: Final = 300


@dataclass(slots=True)
class _Workload:
    facts: WorkloadFacts = field(default_factory=WorkloadFacts)
    tasks: dict[str, asyncio.Task[Any]] = field(default_factory=dict)


class Workloads:
    """The facts of every workload cluster and the tasks that gather them. One loop, no lock."""

    def __init__(self, scope: TaskScope, *, on_change: Callable[[NamespacedName], None]) -> None:
        self._scope = scope
        self._on_change = on_change
        self._workloads: dict[NamespacedName, _Workload] = {}

    def facts(self, key: NamespacedName) -> WorkloadFacts:
        """Return what is known of a cluster."""
        return self._workloads.setdefault(key, _Workload()).facts

    def watch_nodes(self, key: NamespacedName, kubeconfig: JsonObject) -> None:
        """Watch the nodes of a cluster until `rest`."""
        self._run(key, "nodes", lambda: self._watch(key, _api_server(kubeconfig)))

    def check_etcd(
        self, key: NamespacedName, node: str, kubeconfig: JsonObject, etcd_ca: JsonObject
    ) -> None:
        """Ask the etcd member on a node, until it answers well once."""

        async def check() -> None:
            await check_member(_api_server(kubeconfig), key_pair(etcd_ca), node)
            self.facts(key).healthy_members.add(node)
            self._on_change(key)

        self._run(key, f"etcd {node}", check)

    def rest(self, key: NamespacedName) -> None:
        """Stop watching the nodes of a cluster: every machine has its own."""
        if task := self._workloads[key].tasks.pop("nodes", None):
            task.cancel()

    def forget(self, key: NamespacedName) -> None:
        """Drop a cluster that is gone."""
        workload = self._workloads.pop(key, None)
        for task in workload.tasks.values() if workload else ():
            task.cancel()

    def _run(self, key: NamespacedName, name: str, work: Callable[[], Awaitable[None]]) -> None:
        tasks = self._workloads[key].tasks
        if name not in tasks:
            task = self._scope.spawn(_until_done(key, name, work), name=f"{key}: {name}")
            tasks[name] = task
            task.add_done_callback(lambda _: tasks.pop(name, None))

    async def _watch(self, key: NamespacedName, server: ApiServer) -> None:
        url = f"https://{server.host}:{server.port}/api/v1/nodes"
        async with aiohttp.ClientSession(json_serialize=str) as session:
            async with session.get(url, ssl=server.ssl_context or True) as response:
                response.raise_for_status()
                body = orjson.loads(await response.read())
            for node in body["items"]:
                self._saw(key, node)
            query = {
                "watch": "true",
                "resourceVersion": body["metadata"]["resourceVersion"],
                "timeoutSeconds": str(_WATCH_TIMEOUT_S),
            }
            timeout = aiohttp.ClientTimeout(total=_WATCH_TIMEOUT_S + 30)
            async with session.get(
                url, params=query, ssl=server.ssl_context or True, timeout=timeout
            ) as response:
                response.raise_for_status()
                async for line in response.content:
                    self._event(key, orjson.loads(line))
        raise APIError("Timeout", 504, "the watch ended; machines still wait for nodes")

    def _event(self, key: NamespacedName, event: JsonObject) -> None:
        if event["type"] == "DELETED":
            provider_id = event["object"]["spec"].get("providerID", "")
            if self.facts(key).nodes.pop(provider_id, None) is not None:
                self._on_change(key)
        elif event["type"] != "ERROR":
            self._saw(key, event["object"])

    def _saw(self, key: NamespacedName, node: JsonObject) -> None:
        nodes, name = self.facts(key).nodes, node["metadata"]["name"]
        provider_id = node["spec"].get("providerID", "")
        if provider_id and nodes.get(provider_id) != name:
            nodes[provider_id] = name
            self._on_change(key)


def _api_server(kubeconfig: JsonObject) -> ApiServer:
    return ApiServer.from_kubeconfig(base64.b64decode(kubeconfig["data"]["value"]))


async def _until_done(key: NamespacedName, name: str, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            return await work()
        except (OSError, TimeoutError, aiohttp.ClientError, APIError) as error:
            _log.debug("workload not reached", cluster=str(key), what=name, error=str(error))
            await asyncio.sleep(_RETRY_S)
