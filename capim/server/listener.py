"""One cluster's port: held at once, open when the cluster is whole, with all that comes in by it.

A connection is a TLS handshake, then by what the handshake chose the API server's HTTP or the fake
etcd's gRPC; a port-forward is the same once more inside an API connection.
"""

from __future__ import annotations

import asyncio
import random
import socket
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from capim.aio.clock import wall_clock
from capim.api.workload import ListenerState
from capim.server.apiserver import ApiServer
from capim.server.auth import of_certificate
from capim.server.etcd import EtcdProtocol
from capim.server.forwarding import Forwarder
from capim.server.http import HttpConnection
from capim.server.outlet import outlet
from capim.server.ports import PortOccupied, allow_listen, bind_port
from capim.server.served import Authorities, Served
from capim.server.tls import Contexts, ServingKey

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from capim.aio.tasks import TaskScope
    from capim.server.metrics import Metrics
    from capim.server.requestlog import RequestLog

_log = structlog.get_logger(__name__)

_SWEEP_S: Final = 5.0
#: a kube-apiserver gives a head 32 s and a whole request 60 s
_HEAD_SWEEPS: Final = 6
_BODY_SWEEPS: Final = 12
#: 200 s: more than the 90 s after which Go's clients close idle connections themselves
_IDLE_SWEEPS: Final = 40
_HANDSHAKE_S: Final = 10.0
#: how long a client has to take the end of its watch before it is cut off
_CLOSE_S: Final = 2.0
_BACKLOG: Final = 512


class Listener:
    """The port of one workload cluster. One loop, no lock.

    `bind` holds the port and refuses connections, `open` accepts them, `close` ends them and gives the
    port back; after it `bind` may come again.
    """

    def __init__(
        self,
        served: Served,
        *,
        scope: TaskScope,
        metrics: Metrics,
        key: ServingKey | None = None,
        clock: Callable[[], float] = wall_clock,
        rng: random.Random | None = None,
        anonymous: bool = False,
        make_etcd: Callable[..., asyncio.Protocol] = EtcdProtocol,
        request_log: RequestLog | None = None,
    ) -> None:
        self._served = served
        self._scope = scope
        self._metrics = metrics
        self._make_etcd = make_etcd
        self._request_log = request_log
        self._contexts = Contexts(served, key or process_key(), clock)
        self._forwarder = Forwarder(
            served.group, self._contexts, self._protocol_for, lambda: self._served.port
        )
        self._api = ApiServer(
            served,
            metrics,
            clock=clock,
            rng=rng or random.Random(served.name),  # noqa: S311 - spreads timeouts
            connect=self._forwarder.connect,
            anonymous=anonymous,
            request_log=request_log,
        )
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._transports: dict[asyncio.Transport, asyncio.Protocol] = {}
        self.state: ListenerState | None = None  #: None: closed

    @property
    def port(self) -> int:
        """The port; the real one once bound, where any free one was asked for."""
        if self._socket is not None and self._socket.fileno() != -1:
            return int(self._socket.getsockname()[1])
        return self._served.port

    def bind(self) -> None:
        """Hold the port. Again is allowed.

        Raises:
            PortOccupied: another process has it; the state is FAILED.
        """
        if self._socket is not None:
            return
        try:
            self._socket = bind_port(self._served.bind_host, self._served.port)
        except OSError:
            self.state = ListenerState.FAILED
            raise
        self._served.port = self.port
        self.state = ListenerState.BOUND

    async def open(self) -> None:
        """Accept connections. Again is allowed.

        Raises:
            CertificateError: the cluster's authority cannot sign.
        """
        if self._server is not None:
            return
        context = self._contexts.api()
        self.bind()
        bound = cast(socket.socket, self._socket)
        allow_listen(bound)
        self._server = await asyncio.get_running_loop().create_server(
            self._accept,
            sock=bound,
            ssl=context,
            backlog=_BACKLOG,
            ssl_handshake_timeout=_HANDSHAKE_S,
            ssl_shutdown_timeout=_CLOSE_S,
        )
        self._sweeper = self._scope.spawn(self._sweep(), name=f"sweep {self._served.name}")
        self.state = ListenerState.OPEN
        _log.info("listener opened", cluster=self._served.name, port=self.port)

    async def close(self) -> None:
        """Accept nothing more and end what is there: watches get the end of their body."""
        server, self._server = self._server, None
        bound, self._socket = self._socket, None
        self.state = None
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        if server is not None:
            server.close()
        self.end_connections()
        await self._gone()
        if bound is not None:
            await _released(bound)

    def end_connections(self) -> None:
        """End what is there, watches properly; who comes back shakes hands with what is valid now."""
        for protocol in tuple(self._transports.values()):
            cast(Any, protocol).close()  # both kinds of protocol here can say goodbye

    def _accept(self) -> asyncio.Protocol:
        return _Accepted(self._started)

    def _started(self, transport: asyncio.Transport) -> None:
        """Give a connection whose handshake is done to the protocol it chose."""
        if self._server is None:
            transport.abort()
            return
        protocol = self._protocol_for(transport.get_extra_info("ssl_object"))
        if protocol is None:
            transport.abort()
            return
        self._transports[transport] = protocol
        transport.set_protocol(protocol)
        protocol.connection_made(outlet(transport, self._served.barrier))

    def _protocol_for(self, connection: ssl.SSLObject) -> asyncio.Protocol | None:
        """Make what serves a connection after its handshake; None: it is refused."""
        context = connection.context
        member = self._contexts.member_of(context)
        if member is None:
            encoded = connection.getpeercert(binary_form=True) or b""
            shown = of_certificate(connection.getpeercert(), encoded)
            return HttpConnection(self._api, peer=shown)
        if connection.getpeercert() is None:
            _log.info("etcd client has no certificate", cluster=self._served.name, member=member)
            return None
        return self._make_etcd(self._served.etcd, self._observe_etcd, member=member)

    def _observe_etcd(self, method: str, seconds: float) -> None:
        self._metrics.observe_etcd(method, seconds, self._served.name)
        if self._request_log is not None:
            self._request_log.etcd_called(self._served.name, method)

    async def _sweep(self) -> None:
        """Close connections on which nothing happens, and forget those that are gone."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            self._forget()
            for protocol in tuple(self._transports.values()):
                if isinstance(protocol, HttpConnection):
                    protocol.sweep(
                        head_sweeps=_HEAD_SWEEPS,
                        body_sweeps=_BODY_SWEEPS,
                        idle_sweeps=_IDLE_SWEEPS,
                    )

    def _forget(self) -> None:
        for transport in [it for it in self._transports if it.is_closing()]:
            del self._transports[transport]

    async def _gone(self) -> None:
        """Wait for the clients to take what was written, then cut off who does not."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _CLOSE_S
        while self._transports and loop.time() < deadline:
            self._forget()
            await asyncio.sleep(0.01)
        for transport in self._transports:
            transport.abort()
        self._transports.clear()


class _Accepted(asyncio.Protocol):
    """Stands in until the handshake is done, which is when asyncio says `connection_made`."""

    def __init__(self, started: Callable[[asyncio.Transport], None]) -> None:
        self._started = started

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._started(cast(asyncio.Transport, transport))


async def _released(bound: socket.socket) -> None:
    """Close the socket and wait until the loop has let go of it, so that the port can be bound."""
    bound.close()
    for _ in range(100):
        if bound.fileno() == -1:
            return
        await asyncio.sleep(0)


_KEYS: Final[list[ServingKey]] = []


def process_key() -> ServingKey:
    """Return the one serving key of this process, made when first asked for."""
    if not _KEYS:
        _KEYS.append(ServingKey())
    return _KEYS[0]


__all__ = ["Authorities", "Listener", "PortOccupied", "Served", "process_key"]
