"""Reach a port of a pod through its API server, as `kubectl port-forward` does, from asyncio.

`Dialer.connect` gives a reader and a writer, one SPDY connection each; `forwarded_port` gives a port
on the loopback for libraries that dial by themselves, such as grpcio:

    async with forwarded_port(Dialer(server, "kube-system", "etcd-node-1", 2379)) as port:
        channel = grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=[
            ("grpc.ssl_target_name_override", "etcd-node-1")])

Works against CAPIM's listeners and against real API servers. SPDY only: every server speaks it, the
WebSocket tunnel carries the same bytes in one more envelope.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote, urlsplit

import httptools
import orjson
import structlog
import yaml

from capim.aio.spdystreams import StreamMux, StreamTransport
from capim.aio.tasks import TaskScope
from capim.api.errors import APIError
from capim.certs.contexts import load_chain
from capim.wire import portforward, spdy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from capim.api.meta import JsonObject

_log = structlog.get_logger(__name__)

#: Seconds to reach the API server, upgrade and open the streams; the original's default.
TIMEOUT_S: Final = 10.0

_COPY_BYTES: Final = 64 * 1024
_REQUEST_ID: Final = "0"  # one pair a connection


class PortForwardError(ConnectionError):
    """The API server took the connection, but nothing in the pod can be reached; says why."""


@dataclass(frozen=True, slots=True)
class ApiServer:
    """Where an API server is and how to speak to it. No `ssl_context`: plain HTTP."""

    host: str
    port: int
    ssl_context: ssl.SSLContext | None
    server_name: str | None = None  #: what its certificate must say; None: `host`
    token: str = field(default="", repr=False)
    path: str = ""  #: before `/api`, where a proxy adds one

    @classmethod
    def from_kubeconfig(cls, kubeconfig: str | bytes) -> ApiServer:
        """Read the current context of a kubeconfig (its text). Loads certificate files it names.

        Raises:
            ValueError: incomplete, or its user needs a login plugin.
        """
        config = yaml.safe_load(kubeconfig)
        try:
            context = _named(config, "context", config["current-context"])
            cluster = _named(config, "cluster", context["cluster"])
            user = _named(config, "user", context["user"])
            address = urlsplit(cluster["server"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"kubeconfig is incomplete: {error} is missing") from error
        if "exec" in user or "auth-provider" in user:
            raise ValueError("kubeconfig's user logs in by a plugin: use a certificate or a token")
        secure = address.scheme == "https"
        return cls(
            address.hostname or "",
            address.port or (443 if secure else 80),
            _client_context(cluster, user) if secure else None,
            cluster.get("tls-server-name"),
            user.get("token", ""),
            address.path.rstrip("/"),
        )


def _named(config: JsonObject, kind: str, name: str) -> JsonObject:
    for entry in config[f"{kind}s"]:
        if entry["name"] == name:
            return cast("JsonObject", entry[kind])
    raise KeyError(f"{kind} {name}")


def _pem(section: JsonObject, key: str) -> bytes:
    """Return what `<key>-data` holds or the file `<key>` names; empty without both."""
    if data := section.get(f"{key}-data"):
        return base64.b64decode(data)
    if path := section.get(key):
        with open(path, "rb") as file:
            return file.read()
    return b""


def _client_context(cluster: JsonObject, user: JsonObject) -> ssl.SSLContext:
    ca = _pem(cluster, "certificate-authority")
    context = ssl.create_default_context(cadata=ca.decode("ascii") or None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate = _pem(user, "client-certificate")
    if certificate:
        load_chain(context, certificate, _pem(user, "client-key"))
    return context


class Dialer:
    """Opens connections to one port of one pod.

    Args:
        server: the API server, or the text of a kubeconfig.
        timeout_s: for everything `connect` does.
    """

    def __init__(
        self,
        server: ApiServer | str | bytes,
        namespace: str,
        pod: str,
        port: int,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._server = (
            server if isinstance(server, ApiServer) else ApiServer.from_kubeconfig(server)
        )
        self._pod = (namespace, pod)
        self._port = port
        self._timeout_s = timeout_s

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection to the port; closing the writer closes all of it.

        Reading raises `PortForwardError` with the server's words when the pod cannot be reached.

        Raises:
            APIError: the API server refused.
            OSError: it cannot be reached, does not answer in time, or broke off.
        """
        server = self._server
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        tunnel = _Tunnel(self._request(), self._port, protocol)
        name = (server.server_name or server.host) if server.ssl_context else None
        try:
            async with asyncio.timeout(self._timeout_s):
                await asyncio.get_running_loop().create_connection(
                    lambda: tunnel,
                    server.host,
                    server.port,
                    ssl=server.ssl_context,
                    server_hostname=name,
                )
                stream = await tunnel.ready
        except BaseException:
            tunnel.abort()
            raise
        return reader, asyncio.StreamWriter(stream, protocol, reader, asyncio.get_running_loop())

    def _request(self) -> bytes:
        namespace, pod = (quote(part, safe="") for part in self._pod)
        path = f"{self._server.path}/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
        host = f"[{self._server.host}]" if ":" in self._server.host else self._server.host
        lines = [
            f"POST {path} HTTP/1.1",
            f"Host: {host}:{self._server.port}",
            "Connection: Upgrade",
            "Upgrade: SPDY/3.1",
            f"X-Stream-Protocol-Version: {portforward.PROTOCOL}",
            "Content-Length: 0",
        ]
        if self._server.token:
            lines.append(f"Authorization: Bearer {self._server.token}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


class _Tunnel(asyncio.Protocol):
    """One connection to the API server: the upgrade, then SPDY with one pair of streams."""

    def __init__(self, request: bytes, port: int, protocol: asyncio.StreamReaderProtocol) -> None:
        self.ready: asyncio.Future[StreamTransport] = asyncio.get_running_loop().create_future()
        self._request = request
        self._port = port
        self._protocol = protocol
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""
        self._outer: asyncio.Transport | None = None
        self._mux: StreamMux | None = None
        self._stream: StreamTransport | None = None
        self._error_stream = 0
        self._error_text = b""
        self._unanswered: set[int] = set()  # streams without a reply yet
        self._closing = False
        self._error: Exception | None = None  # why we close; None: because our side wants to

    def abort(self) -> None:
        """Cut the connection off."""
        if self._outer is not None:
            self._outer.abort()
        if not self.ready.cancel() and not self.ready.cancelled():
            self.ready.exception()  # whoever aborts knows already

    # --- asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._outer = cast(asyncio.Transport, transport)
        self._outer.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Read the answer, then SPDY."""
        if self._mux is None:
            self._read_answer(data)
            return
        try:
            self._mux.receive_data(data)
        except spdy.RemoteProtocolError as error:
            self._fail(ConnectionError(f"the API server broke the protocol: {error}"))

    def pause_writing(self) -> None:
        """Pass back-pressure on."""
        if self._mux is not None:
            self._mux.set_writing(paused=True)

    def resume_writing(self) -> None:
        """Pass the end of back-pressure on."""
        if self._mux is not None:
            self._mux.set_writing(paused=False)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits or reads."""
        # What the socket says after our own goodbye (data that crossed it, mostly) is no news.
        error = self._error if self._closing else (self._told() or exc or self._cut_off())
        if not self.ready.done():
            self.ready.set_exception(
                error or ConnectionError("the API server closed the connection")
            )
        if self._stream is not None:
            self._stream.lost(error)

    # --- the upgrade ---

    def _read_answer(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._parser.get_status_code() == 101:
                self._start()
                self.data_received(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"the API server does not speak HTTP: {error}"))

    def on_body(self, body: bytes) -> None:
        """Collect a refusal's Status."""
        self._body += body

    def on_message_complete(self) -> None:
        """Turn a refusal into its error."""
        code = self._parser.get_status_code()
        if code == 101:
            return
        try:
            status = orjson.loads(self._body)
        except ValueError:
            status = {"message": self._body.decode("utf-8", "replace").strip()}
        self._fail(APIError.from_status(status if isinstance(status, dict) else {}, code))

    def _start(self) -> None:
        outer = self._outer
        assert outer is not None  # noqa: S101 - data came from it
        self._mux = StreamMux(
            client=True,
            write=outer.write,
            on_event=self._on_event,
            set_reading=partial(_set_reading, outer),
            extra_info=outer.get_extra_info,
        )
        error_headers, data_headers = portforward.pair_headers(self._port, _REQUEST_ID)
        self._error_stream = self._mux.connection.open_stream(error_headers)
        data_stream = self._mux.connection.open_stream(data_headers)
        self._unanswered = {self._error_stream, data_stream}
        self._stream = self._mux.attach(data_stream, self._stream_closed)
        self._stream.start(self._protocol)
        self._mux.flush()

    # --- the streams ---

    def _on_event(self, event: spdy.Event) -> None:
        if isinstance(event, spdy.StreamReplied):
            self._replied(event.stream_id)
        elif isinstance(event, spdy.DataReceived) and event.stream_id == self._error_stream:
            self._error_told(event)
        elif isinstance(event, (spdy.GoAway, spdy.StreamReset)):
            self._fail(self._told() or self._cut_off())

    def _error_told(self, event: spdy.DataReceived) -> None:
        self._error_text += event.data
        if self._error_text and self._mux is not None and self._stream is not None:
            # An end of the data stream that comes before the whole text would hide it.
            self._mux.detach(self._stream.stream_id)
        if self._error_text and event.end:
            self._fail(self._told())

    def _told(self) -> PortForwardError | None:
        text = self._error_text.decode("utf-8", "replace")
        return PortForwardError(text) if text else None

    def _cut_off(self) -> ConnectionResetError | None:
        """Return what an end from the other side means: nothing, once all data is here."""
        if self._stream is not None and self._stream.ended:
            return None
        return ConnectionResetError("the API server closed the connection")

    def _replied(self, stream_id: int) -> None:
        self._unanswered.discard(stream_id)
        if stream_id == self._error_stream and self._mux is not None:
            self._mux.send(stream_id, b"", end=True)  # we have nothing to say there
        if not self._unanswered and self._stream is not None and not self.ready.done():
            self.ready.set_result(self._stream)

    def _stream_closed(self, stream: StreamTransport, error: Exception | None) -> None:
        del stream  # told by connection_lost, so that wait_closed waits for the whole connection
        self._fail(error)

    def _fail(self, error: Exception | None) -> None:
        """End the connection, once: the first error is the one that is told."""
        if self._closing:
            return
        self._closing, self._error = True, error
        if self._mux is not None and self._stream is not None:
            self._mux.go_away()
            self._mux.detach(self._stream.stream_id)
        if self._outer is not None:
            self._outer.close()


def _set_reading(transport: asyncio.Transport, reading: bool) -> None:
    if not transport.is_closing():
        (transport.resume_reading if reading else transport.pause_reading)()


@contextlib.asynccontextmanager
async def forwarded_port(
    dialer: Dialer, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[int]:
    """Listen on a local port, any free one by default; each connection to it goes to the pod.

    A connection the pod does not take is closed; the reason is logged.

    Raises:
        OSError: the port cannot be had.
    """
    async with TaskScope() as scope:

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            scope.spawn(_forward(dialer, reader, writer), name="forwarded connection")

        server = await asyncio.start_server(accepted, host, port)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await scope.close()
            await server.wait_closed()


async def _forward(
    dialer: Dialer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(_closed, writer)
        try:
            pod_reader, pod_writer = await dialer.connect()
            stack.push_async_callback(_closed, pod_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, pod_writer))
                group.create_task(_copy(pod_reader, writer))
        except* (OSError, APIError) as errors:
            reasons = [str(error) for error in _leaves(errors)]
            _log.info("forwarded connection failed", reasons=reasons)


def _leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end of input, and pass the end on."""
    while data := await reader.read(_COPY_BYTES):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
