"""A small management API on loopback: a resource group behind aiohttp, with faults on request.

Real enough for clients: versions, conflicts, watches that end, 410. No TLS, no authentication,
no discovery beyond what the coordinator asks for.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web
from kubernetes.aio.client import Configuration

from capim.aio.clock import wall_clock
from capim.api.errors import APIError
from capim.api.gvk import GVR
from capim.api.resources import WORKLOAD_RESOURCES, Resource, ResourceTable, Subresource
from capim.runtime.resourcegroup import PatchType, ResourceGroup
from coordinator.kube.client import KubeClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from capim.api.meta import JsonObject
    from capim.runtime.resourcegroup import WatchEvent

_STATUS = (Subresource("status", "", ("get", "patch", "update")),)


def _custom(group: str, version: str, kind: str) -> Resource:
    singular = kind.lower()
    return Resource(
        group, version, f"{singular}s", kind, True, singular, subresources=_STATUS, custom=True
    )


TABLE = WORKLOAD_RESOURCES.adding(
    _custom("cluster.x-k8s.io", "v1beta1", "Cluster"),
    _custom("cluster.x-k8s.io", "v1beta1", "Machine"),
    _custom("infrastructure.cluster.x-k8s.io", "v1alpha1", "InMemoryCluster"),
    _custom("infrastructure.cluster.x-k8s.io", "v1alpha1", "InMemoryMachine"),
    _custom("cluster.x-k8s.io", "v1beta1", "MachinePool"),
    _custom("infrastructure.cluster.x-k8s.io", "v1alpha1", "InMemoryMachinePool"),
    _custom("infrastructure.cluster.x-k8s.io", "v1alpha1", "InMemoryMachineTemplate"),
    _custom("infrastructure.cluster.x-k8s.io", "v1alpha1", "InMemoryFault"),
)


class Calm(random.Random):
    """Chance without jitter: what waits a random time does not wait."""

    def random(self) -> float:
        return 0.0


class KubeApi:
    """The API, its contents for tests to change, and what it should do wrong."""

    def __init__(self, table: ResourceTable = TABLE) -> None:
        uids = itertools.count(1)
        self.group = ResourceGroup(
            table,
            clock=wall_clock,
            new_uid=lambda: f"uid-{next(uids)}",
            first_version=100,
        )
        namespaces = self.resource(GVR("", "v1", "namespaces"))
        self.group.create(namespaces, "", {"metadata": {"name": "default"}})
        #: status codes to answer with, before requests are looked at
        self.faults: list[int] = []
        #: ask clients that are refused to wait; None: do not say
        self.retry_after: str | None = None
        self.requests: list[tuple[str, str]] = []
        self.url = ""
        self._watches: set[asyncio.Event] = set()

    def resource(self, gvr: GVR) -> Resource:
        """Return a served kind."""
        found = self.group.resources.by_gvr(gvr)
        if found is None:
            raise APIError("NotFound", 404, "the server could not find the requested resource")
        return found

    def create(self, gvr: GVR, body: JsonObject) -> JsonObject:
        """Put an object in, with the uid it has and status and all; owners come first, as for real."""
        resource = self.resource(gvr)
        metadata = dict(body["metadata"])
        uid = metadata.pop("uid", "")
        metadata.pop("resourceVersion", None)
        namespace = metadata.get("namespace", "")
        body = {**body, "metadata": metadata}
        return self.group.create(resource, namespace, body, uid=uid, keep_status=True).json()

    def merge(self, gvr: GVR, obj: JsonObject, patch: JsonObject) -> JsonObject:
        """Patch an object, or its status if the patch is on that."""
        metadata = obj["metadata"]
        subresource = "status" if "status" in patch else ""
        return self.group.patch(
            self.resource(gvr),
            metadata.get("namespace", ""),
            metadata["name"],
            patch,
            PatchType.MERGE,
            subresource=subresource,
        ).json()

    def read(self, gvr: GVR, name: str, namespace: str = "default") -> JsonObject:
        """Return an object."""
        return self.group.get(self.resource(gvr), namespace, name).json()

    def end_watches(self) -> None:
        """End every watch that is open, cleanly."""
        for ended in self._watches:
            ended.set()

    # --- HTTP ---

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self.requests.append((request.method, request.path_qs))
        if self.faults:
            headers = {"Retry-After": self.retry_after} if self.retry_after is not None else {}
            return web.Response(status=self.faults.pop(0), text="a fault", headers=headers)
        try:
            return await self._answer(request)
        except APIError as error:
            return _json(error.status(), error.code)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        if len(parts) == 2:
            return _json(self._versions(parts[1]))
        group, parts = ("", parts[1:]) if parts[0] == "api" else (parts[1], parts[2:])
        version, parts = parts[0], parts[1:]
        namespace = ""
        if parts[0] == "namespaces" and len(parts) > 2:
            namespace, parts = parts[1], parts[2:]
        resource = self.resource(GVR(group, version, parts[0]))
        name, subresource = [*parts[1:], "", ""][:2]
        if request.method == "GET" and not name:
            if request.query.get("watch"):
                return await self._watch(request, resource, namespace)
            return self._list(resource, namespace)
        body = orjson.loads(await request.read() or b"null")
        return self._write(request, resource, namespace, name, subresource, body)

    def _versions(self, group: str) -> JsonObject:
        versions = self.group.resources.groups().get(group)
        if not versions:
            raise APIError("NotFound", 404, "no such group")
        return {"kind": "APIGroup", "versions": [{"version": version} for version in versions]}

    def _list(self, resource: Resource, namespace: str) -> web.Response:
        page = self.group.list(resource, namespace or None)
        items = [stored.json() for stored in page.items]
        for item in items:  # as a real server lists: the kind once, in the list
            del item["kind"], item["apiVersion"]
        body = {
            "kind": resource.list_kind,
            "apiVersion": resource.api_version,
            "metadata": {"resourceVersion": str(page.resource_version)},
            "items": items,
        }
        return _json(body)

    def _write(
        self,
        request: web.Request,
        resource: Resource,
        namespace: str,
        name: str,
        subresource: str,
        body: Any,
    ) -> web.Response:
        match request.method:
            case "GET":
                return _json(self.group.get(resource, namespace, name).json())
            case "POST":
                return _json(self.group.create(resource, namespace, body).json(), 201)
            case "PUT":
                return _json(self.group.update(resource, namespace, name, body).json())
            case "PATCH":
                patched = self.group.patch(
                    resource,
                    namespace,
                    name,
                    body,
                    PatchType(request.content_type),
                    subresource=subresource,
                )
                return _json(patched.json())
            case "DELETE":
                return _json(self.group.delete(resource, namespace, name)[0].json())
        raise web.HTTPMethodNotAllowed(request.method, ["GET", "POST", "PUT", "PATCH", "DELETE"])

    async def _watch(
        self, request: web.Request, resource: Resource, namespace: str
    ) -> web.StreamResponse:
        lines: asyncio.Queue[bytes] = asyncio.Queue()

        def forward(event: WatchEvent) -> None:
            lines.put_nowait(event.line)

        since = int(request.query["resourceVersion"])
        watch = self.group.watch(resource, namespace or None, forward, since=since)
        response = web.StreamResponse()
        await response.prepare(request)
        ended = asyncio.Event()
        self._watches.add(ended)
        try:
            await _stream(response, lines, ended)
        finally:
            self._watches.discard(ended)
            watch.close()
        return response


async def _stream(
    response: web.StreamResponse, lines: asyncio.Queue[bytes], ended: asyncio.Event
) -> None:
    async with asyncio.TaskGroup() as tasks:
        end = tasks.create_task(ended.wait())
        while not end.done():
            line = tasks.create_task(lines.get())
            await asyncio.wait({line, end}, return_when=asyncio.FIRST_COMPLETED)
            if line.done():
                await response.write(line.result())
            else:
                line.cancel()


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


@contextlib.asynccontextmanager
async def serve(api: KubeApi) -> AsyncIterator[KubeClient]:
    """Serve the API on a free port and hand out a client of it; watches end with the block."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    client = make_client(api.url)
    try:
        yield client
    finally:
        api.end_watches()
        await client.close()
        await runner.cleanup()


def make_client(url: str) -> KubeClient:
    """Make a client without limits, whose retries come at once."""
    return KubeClient(
        Configuration(host=url),
        user_agent="test",
        qps=0,
        burst=1,
        clock=wall_clock,
        rng=Calm(),
    )


async def until(condition: Callable[[], object]) -> None:
    """Wait, at most ten seconds, until what goes on in tasks and sockets has made a condition true."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.002)
