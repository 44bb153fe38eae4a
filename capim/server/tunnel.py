"""Port-forward's server side: answers the upgrade, then runs stream pairs over what was the connection.

`upgrade` decides from the request's headers alone; `TunnelSession` pumps bytes between the upgraded
transport and one `asyncio.Protocol` for each forwarded TCP connection, made by the caller's
`connect(port, transport)`. Many pairs share a session, each ends on its own, and when either side of
the session goes all of them learn it. One loop, no lock.
Departures from a kubelet: a GOAWAY ends the session at once (client-go sends it only after it reset
all streams), and 10 minutes without a byte from the client end it too (as in the original; client-go
pings every 5 s, so only a dead client is silent for so long).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import structlog

from capim.aio.spdystreams import StreamMux, StreamTransport
from capim.api.errors import APIError, bad_request
from capim.wire import portforward, spdy
from capim.wire.websocket import TUNNEL_PREFIX, Tunnel, accept_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_log = structlog.get_logger(__name__)

#: The transport of one forwarded connection, as `connect` gets it.
InnerTransport: TypeAlias = StreamTransport

IDLE_TIMEOUT_S: Final = 600.0

_SPDY: Final = "spdy/3.1"
_WEBSOCKET_VERSION: Final = "13"


@dataclass(frozen=True, slots=True)
class UpgradeReply:
    """An upgrade that is granted: what to answer, and which framing follows."""

    headers: tuple[tuple[str, str], ...]
    websocket: bool

    @property
    def response(self) -> bytes:
        """The whole 101 response."""
        lines = [f"{name}: {value}\r\n" for name, value in self.headers]
        return f"HTTP/1.1 101 Switching Protocols\r\n{''.join(lines)}\r\n".encode("latin-1")


def upgrade(request_headers: Mapping[str, str]) -> UpgradeReply | None:
    """Grant a port-forward upgrade; None: the request asks for none, or for one nobody knows.

    Args:
        request_headers: names in any case; repeated ones joined with commas.

    Raises:
        APIError: the upgrade is asked for wrongly (400), or its protocol is not ours (403).
    """
    headers = {name.lower(): value for name, value in request_headers.items()}
    if "upgrade" not in _tokens(headers.get("connection", "").lower()):
        return None
    wanted = _tokens(headers.get("upgrade", "").lower())
    if "websocket" in wanted:
        return _grant_websocket(headers)
    return _grant_spdy(headers) if _SPDY in wanted else None


def _tokens(value: str) -> list[str]:
    return [token.strip() for token in value.split(",") if token.strip()]


def _grant_spdy(headers: Mapping[str, str]) -> UpgradeReply:
    offered = _tokens(headers.get("x-stream-protocol-version", ""))
    if not offered:
        raise bad_request("unable to upgrade: header X-Stream-Protocol-Version names no protocol")
    if portforward.PROTOCOL not in offered:
        text = (
            f"unable to upgrade: client supports {offered}, server accepts {portforward.PROTOCOL}"
        )
        raise APIError("Forbidden", 403, text)
    reply = (("X-Stream-Protocol-Version", portforward.PROTOCOL),)
    return UpgradeReply((("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"), *reply), False)


def _grant_websocket(headers: Mapping[str, str]) -> UpgradeReply:
    protocol = TUNNEL_PREFIX + portforward.PROTOCOL
    if protocol not in _tokens(headers.get("sec-websocket-protocol", "")):
        # Any 4xx makes client-go fall back to SPDY.
        raise bad_request("unable to upgrade: no tunneling spdy protocols provided")
    if headers.get("sec-websocket-version") != _WEBSOCKET_VERSION:
        raise bad_request(f"unable to upgrade: Sec-WebSocket-Version is not {_WEBSOCKET_VERSION}")
    accept = accept_key(headers.get("sec-websocket-key", ""))
    if accept is None:
        raise bad_request("unable to upgrade: Sec-WebSocket-Key is not 16 bytes in base64")
    reply = (("Sec-WebSocket-Accept", accept), ("Sec-WebSocket-Protocol", protocol))
    return UpgradeReply((("Connection", "Upgrade"), ("Upgrade", "websocket"), *reply), True)


def _no_reading(reading: bool) -> None:
    """Stand in for a transport whose reading cannot be stopped."""


def _no_info(name: str, default: Any) -> Any:
    del name
    return default


class TunnelSession:
    """The pairs of one upgraded connection.

    Args:
        transport_write: sends bytes to the client.
        close: closes the connection after what was written; called at most once.
        connect: makes the protocol for a port, bound to the transport it gets; None: nobody serves
            the port, and the client reads so on its error stream.
        websocket: the bytes come in WebSocket frames (`UpgradeReply.websocket`).
        pod: `namespace/name` for error texts.
        set_reading: stops (False) and starts (True) reading from the client.
        extra_info: what the pairs' transports answer to `get_extra_info`.
    """

    def __init__(
        self,
        transport_write: Callable[[bytes], None],
        close: Callable[[], None],
        connect: Callable[[int, InnerTransport], asyncio.Protocol | None],
        *,
        websocket: bool = False,
        pod: str = "",
        set_reading: Callable[[bool], None] = _no_reading,
        extra_info: Callable[[str, Any], Any] = _no_info,
        idle_timeout_s: float = IDLE_TIMEOUT_S,
    ) -> None:
        self._close = close
        self._connect = connect
        self._pod = pod
        self._idle_timeout_s = idle_timeout_s
        self._loop = asyncio.get_running_loop()
        self._pairing = portforward.Pairing()
        self._mux = StreamMux(
            client=False,
            write=transport_write,
            on_event=self._on_event,
            set_reading=set_reading,
            extra_info=extra_info,
            tunnel=Tunnel(client=False) if websocket else None,
        )
        self._ended = False
        self._last_heard = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._arm()

    @classmethod
    def over(
        cls,
        transport: asyncio.Transport,
        connect: Callable[[int, InnerTransport], asyncio.Protocol | None],
        *,
        websocket: bool = False,
        pod: str = "",
    ) -> TunnelSession:
        """Make a session on an asyncio transport; its owner passes data, pauses and the end on."""

        def set_reading(reading: bool) -> None:
            if not transport.is_closing():
                (transport.resume_reading if reading else transport.pause_reading)()

        return cls(
            transport.write,
            transport.close,
            connect,
            websocket=websocket,
            pod=pod,
            set_reading=set_reading,
            extra_info=transport.get_extra_info,
        )

    @property
    def pairs(self) -> int:
        """How many forwarded connections are open."""
        return len(self._mux)

    # --- from the outer transport ---

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the client, in any pieces; a client that breaks the protocol is cut off."""
        if self._ended:
            return
        self._last_heard = self._loop.time()
        try:
            self._mux.receive_data(data)
        except spdy.RemoteProtocolError as error:
            _log.info("port-forward client broke the protocol", error=str(error), pod=self._pod)
            self.close()
        if self._mux.peer_closed:
            self.close()

    def pause_writing(self) -> None:
        """Stop the pairs' writing: the client does not take what it asked for."""
        self._mux.set_writing(paused=True)

    def resume_writing(self) -> None:
        """Let the pairs write again."""
        self._mux.set_writing(paused=False)

    def connection_lost(self, error: Exception | None = None) -> None:
        """Learn that the outer transport is gone: every pair ends."""
        self._end(error)

    def close(self) -> None:
        """End the session from our side: goodbye to the client, then every pair ends."""
        if self._ended:
            return
        self._mux.go_away()
        self._end(None)
        self._close()

    def _end(self, error: Exception | None) -> None:
        if self._ended:
            return
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        # Soon, not now: this may run inside a callback of one of the protocols that end.
        self._loop.call_soon(self._mux.lost, error)

    # --- from the client, by way of SPDY ---

    def _on_event(self, event: spdy.Event) -> None:
        if self._ended:
            return
        if isinstance(event, spdy.StreamOpened):
            self._opened(event)
        elif isinstance(event, spdy.StreamReset):
            self._pairing.reset(event.stream_id)
        elif isinstance(event, spdy.GoAway):
            self.close()

    def _opened(self, event: spdy.StreamOpened) -> None:
        outcome = self._pairing.opened(event.stream_id, event.headers, self._loop.time())
        if isinstance(outcome, portforward.Rejected):
            self._reject(outcome)
            return
        self._mux.connection.reply(event.stream_id)
        if outcome is None:
            self._arm()
        else:
            self._start(outcome)

    def _start(self, pair: portforward.Pair) -> None:
        transport = self._mux.attach(pair.data, partial(self._pair_closed, pair))
        reason = portforward.refused_reason(pair.port)
        try:
            protocol = self._connect(pair.port, transport)
        except Exception:
            _log.exception("port-forward target failed", pod=self._pod, port=pair.port)
            protocol, reason = None, "internal error"
        if protocol is None:
            text = portforward.failure_text(pair.port, self._pod, reason)
            self._mux.send(pair.error, text.encode(), end=True)
            transport.close()
        else:
            transport.start(protocol)

    def _pair_closed(
        self, pair: portforward.Pair, transport: StreamTransport, error: Exception | None
    ) -> None:
        self._mux.send(pair.error, b"", end=True)
        self._mux.detach(pair.data)
        self._loop.call_soon(transport.lost, error)

    def _reject(self, rejected: portforward.Rejected) -> None:
        _log.info("port-forward stream refused", reason=rejected.text, pod=self._pod)
        for stream_id in rejected.streams:
            self._mux.reset(stream_id, spdy.Status.REFUSED_STREAM)
        if rejected.error is not None:
            self._mux.send(rejected.error, rejected.text.encode(), end=True)

    # --- time ---

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self._last_heard + self._idle_timeout_s
        lone = self._pairing.next_deadline()
        self._timer = self._loop.call_at(due if lone is None else min(due, lone), self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        for rejected in self._pairing.expire(now):
            self._reject(rejected)
        if now - self._last_heard >= self._idle_timeout_s:
            _log.info("port-forward client is silent", pod=self._pod, pairs=self.pairs)
            self.close()
        else:
            self._arm()


class TunnelProtocol(asyncio.Protocol):
    """Takes over a transport after the 101: `set_protocol`, `connection_made`, then any data left over."""

    def __init__(
        self,
        connect: Callable[[int, InnerTransport], asyncio.Protocol | None],
        *,
        websocket: bool = False,
        pod: str = "",
    ) -> None:
        self._make = partial(TunnelSession.over, connect=connect, websocket=websocket, pod=pod)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the session on the transport."""
        self.session = self._make(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        """Pass data on."""
        self.session.receive_data(data)

    def pause_writing(self) -> None:
        """Pass the client's slowness on."""
        self.session.pause_writing()

    def resume_writing(self) -> None:
        """Pass the end of the client's slowness on."""
        self.session.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """End every pair."""
        self.session.connection_lost(exc)
