"""Clients of workload clusters that read all the time, and note whatever a client should not see.

A writer counts in a ConfigMap. One client watches it, from the last version it saw whenever a watch ends:
no number may be left out or come twice. One gets and lists, and may see nothing older than it saw before.
One comes and goes: each time a new connection, and every second time it breaks off in a watch.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import ssl
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import orjson

from capim.aio.tasks import TaskScope

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from typing import TypeAlias

    from tests.e2e.kube import JsonObject

    _Work: TypeAlias = Callable[[aiohttp.ClientSession], Awaitable[None]]

_COUNTER: Final = "/api/v1/namespaces/default/configmaps"
_BEAT_S: Final = 1.0
_WATCH_S: Final = 20
_VISIT_S: Final = 7.0
_CATCH_UP_S: Final = 5.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=_WATCH_S + 30)
_MERGE: Final = "application/merge-patch+json"


@dataclass(slots=True)
class Told:
    """What all clients were told."""

    requests: int = 0
    events: int = 0
    resumed: int = 0  #: watches that went on from the version before
    errors: list[str] = field(default_factory=list)


class Reader:
    """The clients of one cluster. One loop, no lock."""

    def __init__(self, name: str, kubeconfig: JsonObject, told: Told) -> None:
        self._name = name
        self._told = told
        self._server = kubeconfig["clusters"][0]["cluster"]["server"]
        self._context = _context(kubeconfig)
        self._written = 0
        self._watched = 0
        self._seen = asyncio.Event()  #: the watch told of something
        self._scope = TaskScope()

    async def start(self) -> None:
        """Begin to count, and to read."""
        made = await self._counter_made()
        self._spawn("read", self._read)
        self._spawn("watch", lambda session: self._watch(session, made))
        self._writer = self._spawn("write", self._write)
        self._scope.spawn(self._noting(self._visit), name=f"visit {self._name}")

    async def stop(self) -> None:
        """Count no further, wait until the watch has told of all, and end all connections."""
        self._writer.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CATCH_UP_S):
                while self._watched < self._written:
                    self._seen.clear()
                    await self._seen.wait()
        if self._watched < self._written:
            told = f"the watch told of {self._watched}, {self._written} was acknowledged"
            self._told.errors.append(f"{self._name}: {told}")
        await self._scope.close()

    def _spawn(self, job: str, work: _Work) -> asyncio.Task[None]:
        async def kept() -> None:
            async with self._session() as session:
                await work(session)

        return self._scope.spawn(self._noting(kept), name=f"{job} {self._name}")

    async def _counter_made(self) -> int:
        async with self._session() as session:
            body = {"metadata": {"name": "counter"}, "data": {"n": "0"}}
            made = await self._ask(session, "POST", _COUNTER, body)
            return int(made["metadata"]["resourceVersion"])

    async def _noting(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something until it fails; one failure is enough to fail the run."""
        try:
            await work()
        except (aiohttp.ClientError, OSError, TimeoutError, AssertionError, ValueError) as error:
            self._told.errors.append(f"{self._name}: {error!r}")

    async def _write(self, session: aiohttp.ClientSession) -> None:
        while True:
            body = {"data": {"n": str(self._written + 1)}}
            await self._ask(session, "PATCH", f"{_COUNTER}/counter", body)
            self._written += 1
            await asyncio.sleep(_BEAT_S)

    async def _read(self, session: aiohttp.ClientSession) -> None:
        seen = 0
        while True:
            written = self._written
            counter = await self._ask(session, "GET", f"{_COUNTER}/counter")
            number = int(counter["data"]["n"])
            assert number >= written, f"{number} is read, {written} was acknowledged"
            for path in ("/api/v1/nodes", "/api/v1/namespaces/kube-system/pods"):
                found = await self._ask(session, "GET", path)
                version = int(found["metadata"]["resourceVersion"])
                assert version >= seen, f"{path} is listed at {version} after {seen}"
                assert found["items"], f"{path} is empty"
                seen = version
            await asyncio.sleep(_BEAT_S)

    async def _watch(self, session: aiohttp.ClientSession, version: int) -> None:
        while True:
            async for event in self._events(session, version):
                metadata = event["object"]["metadata"]
                assert int(metadata["resourceVersion"]) >= version, f"{event} after {version}"
                version = int(metadata["resourceVersion"])
                if event["type"] == "BOOKMARK":
                    continue
                number, before = int(event["object"]["data"]["n"]), self._watched
                assert number == before + 1, f"the watch told of {number} after {before}"
                self._watched = number
                self._seen.set()
            self._told.resumed += 1

    async def _events(
        self, session: aiohttp.ClientSession, version: int
    ) -> AsyncGenerator[JsonObject, None]:
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_S),
            "resourceVersion": str(version),
            "fieldSelector": "metadata.name=counter",
        }
        self._told.requests += 1
        async with session.get(self._server + _COUNTER, params=query) as answer:
            assert answer.status == 200, await answer.text()
            async for line in answer.content:
                event = orjson.loads(line)
                assert event["type"] != "ERROR", event
                self._told.events += 1
                yield event

    async def _visit(self) -> None:
        for number in itertools.count():
            async with self._session() as session:
                found = await self._ask(session, "GET", "/api/v1/nodes")
                if number % 2:
                    version = int(found["metadata"]["resourceVersion"])
                    async with contextlib.aclosing(self._events(session, version)) as events:
                        await anext(events)
            await asyncio.sleep(_VISIT_S)

    async def _ask(
        self, session: aiohttp.ClientSession, method: str, path: str, body: object = None
    ) -> JsonObject:
        headers = {"Content-Type": _MERGE if method == "PATCH" else "application/json"}
        data = None if body is None else orjson.dumps(body)
        self._told.requests += 1
        async with session.request(
            method, self._server + path, data=data, headers=headers
        ) as answer:
            text = await answer.read()
            assert answer.status < 300, f"{method} {path}: {answer.status} {text[:200]!r}"
        found: JsonObject = orjson.loads(text)
        return found

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=self._context)
        return aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)


def _context(kubeconfig: JsonObject) -> ssl.SSLContext:
    """Make the TLS context of the kubeconfig's only user."""
    cluster: dict[str, Any] = kubeconfig["clusters"][0]["cluster"]
    user: dict[str, Any] = kubeconfig["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with tempfile.NamedTemporaryFile(prefix="capim-soak-") as file:
        for part in ("client-certificate-data", "client-key-data"):
            file.write(base64.b64decode(user[part]) + b"\n")
        file.flush()
        context.load_cert_chain(file.name)
    return context
