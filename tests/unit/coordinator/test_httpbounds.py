"""The coordinator's HTTP servers put up with so much: slow headers, bodies and readers, many connections."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from capim.aio.clock import wall_clock
from capim.certs.contexts import server_context
from capim.certs.issue import new_key, self_signed_ca, serving_certificate
from capim.certs.pem import dump_private_key
from coordinator.httpbounds import BoundedServer, Bounds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

pytestmark = pytest.mark.slow

LARGE = 32 << 20  #: more than a socket's buffers take
#: every other bound is out of reach, so that what ends a connection is the one under test
SOON = Bounds(connections=3, handshake_s=60, request_s=0.2, idle_s=60)
BRIEFLY_IDLE = Bounds(connections=3, handshake_s=60, request_s=60, idle_s=0.2)
BRIEF_HANDSHAKE = Bounds(connections=3, handshake_s=0.2, request_s=60, idle_s=60)
CROWDED = Bounds(connections=2, handshake_s=60, request_s=60, idle_s=60)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"


class Client:
    """One connection, by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, data: bytes = GET) -> bytes:
        self.writer.write(data)
        return await self.reader.readuntil(b"\r\n\r\nok")

    async def is_cut_off(self) -> bool:
        """Wait for the end."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(1 << 16):
                pass
        return True


class Clients:
    """All connections to one server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._made: list[Client] = []

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self._port))
        self._made.append(client)
        return client

    def close(self) -> None:
        for client in self._made:
            client.writer.close()


def application() -> web.Application:
    async def small(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text="ok")

    async def large(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * LARGE)

    app = web.Application()
    app.router.add_route("*", "/", small)
    app.router.add_get("/large", large)
    return app


def run(
    bounds: Bounds,
    scenario: Callable[[Clients], Awaitable[None]],
    ssl_context: ssl.SSLContext | None = None,
) -> None:
    @contextlib.asynccontextmanager
    async def serving() -> AsyncIterator[Clients]:
        server = BoundedServer(application(), grace_s=0.1, bounds=bounds)
        await server.start("127.0.0.1", 0, ssl_context)
        clients = Clients(server.port or 0)
        try:
            yield clients
        finally:
            clients.close()
            await server.stop()

    async def go() -> None:
        async with serving() as clients, asyncio.timeout(5):
            await scenario(clients)

    asyncio.run(go())


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(b"GET / HT", b"", id="headers-that-stop"),
        pytest.param(b"GET / HTTP/1.1\r\n", b"A: b\r\n", id="headers-that-drip"),
        pytest.param(POST, b"", id="body-that-stops"),
        pytest.param(POST, b"x", id="body-that-drips"),
    ],
)
def test_a_request_has_so_long_from_its_first_byte(begin: bytes, more: bytes) -> None:
    async def scenario(clients: Clients) -> None:
        slow, began = await clients.connect(), time.monotonic()
        slow.writer.write(begin)
        end = asyncio.get_running_loop().create_task(slow.is_cut_off())
        while not end.done():
            slow.writer.write(more)
            await asyncio.wait([end], timeout=0.02)
        assert time.monotonic() - began < 2

    run(SOON, scenario)


def test_a_later_request_has_its_own_time() -> None:
    async def scenario(clients: Clients) -> None:
        client, began = await clients.connect(), time.monotonic()
        while time.monotonic() - began < 2 * SOON.request_s:
            assert b"200 OK" in await client.ask()
        client.writer.write(GET[:-2])
        assert await client.is_cut_off()

    run(SOON, scenario)


def test_who_does_not_read_the_answer_is_cut_off() -> None:
    async def scenario(clients: Clients) -> None:
        slow = await clients.connect()
        slow.writer.write(GET.replace(b" / ", b" /large "))
        await slow.reader.readuntil(b"\r\n\r\n")
        later = await clients.connect()
        assert await later.is_cut_off()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await slow.reader.readexactly(LARGE)

    run(SOON, scenario)


def test_an_idle_connection_ends() -> None:
    async def scenario(clients: Clients) -> None:
        client = await clients.connect()
        assert b"200 OK" in await client.ask()
        assert await client.is_cut_off()

    run(BRIEFLY_IDLE, scenario)


def test_of_too_many_connections_the_one_that_did_nothing_for_the_longest_gives_way() -> None:
    async def scenario(clients: Clients) -> None:
        busy, silent = await clients.connect(), await clients.connect()
        await busy.ask()
        third = await clients.connect()
        assert await silent.is_cut_off()
        await busy.ask()
        await third.ask()

    run(CROWDED, scenario)


def test_a_handshake_has_so_long() -> None:
    now, key = wall_clock(), new_key()
    authority = self_signed_ca("ca", now)
    pem = serving_certificate(authority, key, common_name="x", hosts=["127.0.0.1"], now=now)

    async def scenario(clients: Clients) -> None:
        half_open = await clients.connect()
        half_open.writer.write(b"\x16\x03\x01")
        assert await half_open.is_cut_off()

    context = server_context(pem, dump_private_key(key), None, ["http/1.1"])
    run(BRIEF_HANDSHAKE, scenario, context)
