"""What stands between the coordinator and the management API: it refuses, hangs, is slow, answers errors."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import web
from yarl import URL

if TYPE_CHECKING:
    import random
    import ssl

#: what a management API in trouble answers; the last only to what writes
_ERRORS: Final = (
    (500, "InternalError"),
    (503, "ServiceUnavailable"),
    (429, "TooManyRequests"),
    (409, "Conflict"),
)
_ERROR_SHARE: Final = 0.4
_EXPIRED: Final = {
    "type": "ERROR",
    "object": {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": "Expired",
        "message": "too old resource version",
        "code": 410,
    },
}
_OF_CONNECTION: Final = {"host", "transfer-encoding", "content-length", "connection"}


class Gateway:
    """Passes requests on to the management API, with what goes wrong on the way. One loop, no lock."""

    def __init__(self, target: str, tls: ssl.SSLContext, rng: random.Random) -> None:
        self._target = URL(target)
        self._tls = tls
        self._rng = rng
        self._open = asyncio.Event()  #: cleared: what is sent waits
        self._open.set()
        self._transports: set[asyncio.Transport] = set()
        self._watches: set[asyncio.Task[None]] = set()
        self.refusing = self.failing = self.expiring = False
        self.delay_s = 0.0

    async def start(self) -> None:
        """Listen on a free port."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=0), auto_decompress=False
        )
        self._runner = web.ServerRunner(web.Server(self._pass_on))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, shutdown_timeout=0.1).start()

    async def stop(self) -> None:
        """End every connection and give the port back."""
        self.go_on()
        self.cut()
        await self._runner.cleanup()
        await self._session.close()

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    # --- trouble ---

    def cut(self) -> None:
        """End every connection at once."""
        for transport in tuple(self._transports):
            transport.abort()

    def refuse(self) -> None:
        """Cut, and let nobody in until `go_on`."""
        self.refusing = True
        self.cut()

    def hang(self) -> None:
        """Let nothing through until `go_on`."""
        self._open.clear()

    def fail(self) -> None:
        """Answer many requests with errors, some of which were carried out, until `go_on`."""
        self.failing = True

    def expire(self) -> None:
        """End every watch with 410, and let none begin, until `go_on`."""
        self.expiring = True
        for watch in tuple(self._watches):
            watch.cancel()

    def go_on(self) -> None:
        """Let everything through again."""
        self._open.set()
        self.refusing = self.failing = self.expiring = False
        self.delay_s = 0.0

    # --- requests ---

    async def _pass_on(self, request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        if self.refusing:
            transport.abort()
            return web.Response()
        self._transports.add(transport)
        await self._trouble()
        try:
            body = await request.read()
        except ConnectionError:  # cut meanwhile
            return web.Response()
        failure = self._failure(request.method)
        if failure is not None and self._rng.random() < 0.5:
            return failure
        url = self._target.join(request.rel_url)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _OF_CONNECTION}
        async with self._session.request(request.method, url, headers=headers, data=body) as answer:
            if failure is not None and answer.status < 300 and "watch" not in request.query:
                return failure
            return await self._answer(request, answer)

    async def _trouble(self) -> None:
        await self._open.wait()
        if self.delay_s:
            await asyncio.sleep(self.delay_s)

    def _failure(self, method: str) -> web.Response | None:
        """Return what goes wrong with a request, whether it was carried out or not."""
        if not self.failing or self._rng.random() > _ERROR_SHARE:
            return None
        code, reason = self._rng.choice(_ERRORS[: -1 if method == "GET" else None])
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "reason": reason,
            "message": "chaos",
            "code": code,
        }
        headers = {"Retry-After": "1"} if code == 429 else {}
        return web.json_response(status, status=code, headers=headers)

    async def _answer(
        self, request: web.BaseRequest, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        headers = {k: v for k, v in answer.headers.items() if k.lower() not in _OF_CONNECTION}
        response = web.StreamResponse(status=answer.status, headers=headers)
        with contextlib.suppress(ConnectionError):  # cut meanwhile
            await response.prepare(request)
            if "watch" not in request.query:
                await self._copy(answer, response)
            elif not await self._watched(answer, response):
                await response.write(json.dumps(_EXPIRED).encode() + b"\n")
            await response.write_eof()
        return response

    async def _watched(self, answer: aiohttp.ClientResponse, response: web.StreamResponse) -> bool:
        """Pass a watch on to its end; False: it expired before."""
        if self.expiring:
            return False
        watch = asyncio.get_running_loop().create_task(self._copy(answer, response))
        self._watches.add(watch)
        try:
            await asyncio.wait({watch})
        finally:
            watch.cancel()
            self._watches.discard(watch)
        return not watch.cancelled()

    async def _copy(self, answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            async for data in answer.content.iter_any():
                await self._trouble()
                await response.write(data)
