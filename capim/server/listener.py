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
from capim.api.faults import Effect
from capim.api.workload import ListenerState
from capim.server.apiserver import ApiServer
from capim.server.auth import of_connection
from capim.server.doors import CLOSE_S, Doors, House
from capim.server.etcd import EtcdProtocol
from capim.server.forwarding import Forwarder
from capim.server.http import HttpConnection
from capim.server.outlet import outlet
from capim.server.ports import PortOccupied, allow_listen, bind_port
from capim.server.served import Authorities, Served
from capim.server.shares import Share
from capim.server.tls import Contexts, ServingKey

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from capim.aio.tasks import TaskScope
    from capim.runtime.faults import FaultBook
    from capim.server.doors import Door
    from capim.server.metrics import Metrics
    from capim.server.requestlog import RequestLog

_log = structlog.get_logger(__name__)

_SWEEP_S: Final = 5.0
#: a kube-apiserver gives a head 32 s and a whole request 60 s
_HEAD_SWEEPS: Final = 6
_BODY_SWEEPS: Final = 12
#: 200 s: more than the 90 s after which Go's clients close idle connections themselves
_IDLE_SWEEPS: Final = 40
#: controllers hold some ten, a person's kubectl one: more than this is a mistake or an attack
CONNECTION_LIMIT: Final = 1000
#: closed at once when there are too many
_IDLE_CLOSED: Final = 50


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
        doors: Doors | None = None,
    ) -> None:
        self._served = served
        self._scope = scope
        self._doors = doors or Doors()
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
        self._door: Door | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._connections: dict[asyncio.Protocol, asyncio.Transport] = {}
        self._share = Share(self._doors.turns)
        #: by faults: whether any was followed, and what connections that come suffer
        self._impaired = self._hanging = self._stalled = False
        self._cut_in: tuple[str, int] | None = None  #: fault and window that watches were cut in
        self._full = False  #: too many connections, and none idle, when it was last looked at
        self.state: ListenerState | None = None  #: None: closed

    @property
    def port(self) -> int:
        """The port; the real one once bound, where any free one was asked for."""
        if self._socket is not None and self._socket.fileno() != -1:
            return int(self._socket.getsockname()[1])
        return self._served.port

    @property
    def connections(self) -> int:
        """How many clients are connected, beyond their handshakes."""
        return len(self._connections)

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
        if self._door is not None:
            return
        context = self._contexts.api()
        self.bind()
        bound = cast(socket.socket, self._socket)
        allow_listen(bound)
        house = House(self._served.name, self._accept, self._has_room, self._close_idle)
        self._door = self._doors.open(bound, context, house, self._scope)
        self._sweeper = self._scope.spawn(self._sweep(), name=f"sweep {self._served.name}")
        self.follow_faults(self._served.faults)
        self.state = ListenerState.OPEN
        _log.info("listener opened", cluster=self._served.name, port=self.port)

    async def close(self) -> None:
        """Accept nothing more and end what is there: watches get the end of their body."""
        door, self._door = self._door, None
        bound, self._socket = self._socket, None
        self.state = None
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        if door is not None:
            door.close()
        self.end_connections()
        await self._gone()
        self._contexts.close()
        if bound is not None:
            await _released(bound)

    def follow_faults(self, faults: FaultBook | None) -> None:
        """Suffer these faults from now on; what others held up goes on."""
        self._served.faults = faults
        self._api.follow_faults()
        if faults is not None or self._impaired:
            self._follow_port(faults)

    def _follow_port(self, faults: FaultBook | None) -> None:
        """Let all connections suffer what befalls the port."""

        def acts(effect: Effect) -> bool:
            return faults is not None and faults.of_cluster(effect) is not None

        hanging, stalled = acts(Effect.UNREACHABLE), acts(Effect.WATCHES_STALLED)
        self._contexts.expired = acts(Effect.CERTIFICATE_EXPIRED)
        self._contexts.broken = acts(Effect.HANDSHAKE_FAILURE)
        if self._door is not None:
            self._door.hang(hanging=hanging)
        for protocol, transport in tuple(self._connections.items()):
            if hanging != self._hanging and not transport.is_closing():
                (transport.pause_reading if hanging else transport.resume_reading)()
            if isinstance(protocol, HttpConnection):
                protocol.stall_watch(stalled=hanging or stalled)
        self._hanging, self._stalled = hanging, hanging or stalled
        self._cut_watches(faults)
        self._impaired = faults is not None

    def _cut_watches(self, faults: FaultBook | None) -> None:
        """Cut all watches off, once each time that a fault says so."""
        cut = faults.of_cluster(Effect.WATCHES_CUT) if faults is not None else None
        window = None if cut is None else (cut.fault.uid, cut.window.index)
        if window is not None and window != self._cut_in:
            for protocol in tuple(self._connections):
                if isinstance(protocol, HttpConnection):
                    protocol.cut_watch()
        self._cut_in = window

    def end_connections(self) -> None:
        """End what is there, watches properly; who comes back shakes hands with what is valid now."""
        for protocol in tuple(self._connections):
            cast(Any, protocol).close()  # both kinds of protocol here can say goodbye

    def _accept(self) -> asyncio.Protocol:
        return _Accepted(self._started)

    def _started(self, transport: asyncio.Transport) -> None:
        """Give a connection whose handshake is done to the protocol it chose."""
        if self._door is None:
            transport.abort()
            return
        address = str(transport.get_extra_info("peername")[0])
        protocol = self._protocol_for(transport.get_extra_info("ssl_object"), address)
        if protocol is None:
            transport.abort()
            return
        self._connections[protocol] = transport
        transport.set_protocol(protocol)
        protocol.connection_made(outlet(transport, self._served.barrier, protocol))

    def _protocol_for(
        self, connection: ssl.SSLObject, address: str = "a tunnel"
    ) -> asyncio.Protocol | None:
        """Make what serves a connection after its handshake; None: it is refused.

        `address` stands for the client where no certificate does.
        """
        context = connection.context
        member = self._contexts.member_of(context)
        if member is None:
            shown = of_connection(connection)
            client = shown.user.name if shown else address
            return HttpConnection(
                self._api, peer=shown, share=self._share, client=client, on_lost=self._lost
            )
        if connection.getpeercert(binary_form=True) is None:
            _log.info("etcd client has no certificate", cluster=self._served.name, member=member)
            return None
        return self._make_etcd(
            self._served.etcd, self._observe_etcd, member=member, share=self._share
        )

    def _observe_etcd(self, method: str, seconds: float) -> None:
        self._metrics.observe_etcd(method, seconds, self._served.name)
        if self._request_log is not None:
            self._request_log.etcd_called(self._served.name, method)

    async def _sweep(self) -> None:
        """Close connections on which nothing happens, and forget those that are gone."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            self._forget()
            self._full = False
            if self._door is not None:
                self._door.sweep()
            for protocol in tuple(self._connections):
                if isinstance(protocol, HttpConnection):
                    protocol.sweep(
                        head_sweeps=_HEAD_SWEEPS,
                        body_sweeps=_BODY_SWEEPS,
                        idle_sweeps=_IDLE_SWEEPS,
                    )

    def _forget(self) -> None:
        for protocol in [it for it, way in self._connections.items() if way.is_closing()]:
            del self._connections[protocol]

    def _lost(self, connection: HttpConnection) -> None:
        """Forget a connection that is gone; one in a tunnel was never known here."""
        self._connections.pop(connection, None)

    def _has_room(self) -> bool:
        """Tell whether one more may come in, for whom idle ones are closed if need be."""
        if len(self._connections) < CONNECTION_LIMIT:
            return True
        if self._full:
            return False
        self._forget()
        self._close_idle()
        self._forget()
        self._full = len(self._connections) >= CONNECTION_LIMIT
        if self._full:
            _log.warning("too many connections", cluster=self._served.name, limit=CONNECTION_LIMIT)
        return not self._full

    def _close_idle(self) -> None:
        """Close the connections that have waited longest for a request, or for the rest of one."""
        waiting = [
            (it.waited, at, it)
            for at, it in enumerate(self._connections)
            if isinstance(it, HttpConnection) and it.waited
        ]
        for _, _, connection in sorted(waiting, reverse=True)[:_IDLE_CLOSED]:
            connection.close()

    async def _gone(self) -> None:
        """Wait for the clients to take what was written, then cut off who does not."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CLOSE_S
        while self._connections and loop.time() < deadline:
            self._forget()
            await asyncio.sleep(0.01)
        for transport in self._connections.values():
            transport.abort()
        self._connections.clear()


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
