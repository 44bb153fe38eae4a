"""A port-forward server in a few lines: TLS, one request, then a `TunnelProtocol` with an echo in the pod."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, cast

import orjson

from capim.aio.clock import wall_clock
from capim.api.errors import APIError
from capim.certs.contexts import server_context
from capim.certs.issue import new_key, self_signed_ca, serving_certificate
from capim.certs.pem import dump_private_key
from capim.server.tunnel import InnerTransport, TunnelProtocol, UpgradeReply, upgrade

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

ECHO_PORT = 2379
SILENT_PORT = 5000


class Echo(asyncio.Protocol):
    """Sends back what it gets and records what happened to it."""

    def __init__(self) -> None:
        self.received = b""
        self.events: list[str] = []
        self.transport: asyncio.Transport | None = None
        self.lost_with: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.received += data
        assert self.transport is not None
        self.transport.write(data)

    def eof_received(self) -> bool:
        self.events.append("eof")
        return False

    def pause_writing(self) -> None:
        self.events.append("paused")

    def resume_writing(self) -> None:
        self.events.append("resumed")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost")
        self.lost_with = exc


class Pod:
    """What listens in the pod: an echo; remembers every connection."""

    def __init__(self) -> None:
        self.connections: list[Echo] = []

    def connect(self, port: int, transport: InnerTransport) -> asyncio.Protocol | None:
        del transport
        if port != ECHO_PORT:
            return None
        self.connections.append(Echo())
        return self.connections[-1]


class UpgradeServer(asyncio.Protocol):
    """Reads one request's head and hands the transport to a tunnel, or answers the refusal.

    `answer` is asked for the JSON, or bytes, at the path of a request that wants no upgrade; None: 404.
    """

    def __init__(
        self,
        connect: Callable[[int, InnerTransport], asyncio.Protocol | None],
        answer: Callable[[str], object] = lambda path: None,
    ) -> None:
        self._connect = connect
        self._answer = answer
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._head += data
        head, separator, rest = self._head.partition(b"\r\n\r\n")
        if not separator:
            return
        request, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name: value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        try:
            reply = upgrade(headers)
        except APIError as error:
            self._refuse(error)
            return
        if reply is None:
            self._plain(request.split(" ")[1])
        else:
            self._take_over(reply, rest)

    def _plain(self, path: str) -> None:
        if (body := self._answer(path)) is None:
            self._refuse(APIError("NotFound", 404, f"nothing at {path}"))
        else:
            self._send(200, body if isinstance(body, bytes) else orjson.dumps(body))

    def _refuse(self, error: APIError) -> None:
        self._send(error.code, orjson.dumps(error.status()))

    def _send(self, code: int, body: bytes) -> None:
        lines = (f"HTTP/1.1 {code} Said", f"Content-Length: {len(body)}", "Connection: close")
        head = "".join(f"{line}\r\n" for line in (*lines, ""))
        self._transport.write(head.encode() + body)
        self._transport.close()

    def _take_over(self, reply: UpgradeReply, rest: bytes) -> None:
        protocol = TunnelProtocol(self._connect, websocket=reply.websocket, pod="default/echo")
        self._transport.write(reply.response)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        if rest:
            protocol.data_received(rest)


def tls_contexts() -> tuple[ssl.SSLContext, bytes]:
    """Make a server's context for 127.0.0.1 and etcd-node, and the authority's PEM to trust."""
    ca = self_signed_ca("test-ca", wall_clock())
    key = new_key()
    hosts = ["127.0.0.1", "localhost", "etcd-node"]
    certificate = serving_certificate(ca, key, common_name="test", hosts=hosts, now=wall_clock())
    return server_context(certificate, dump_private_key(key), None, ["h2"]), ca.certificate


@contextlib.asynccontextmanager
async def serving(
    connect: Callable[[int, InnerTransport], asyncio.Protocol | None],
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve port-forward on a loopback port while the block runs."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: UpgradeServer(connect), "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
