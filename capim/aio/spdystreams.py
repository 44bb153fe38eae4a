"""SPDY streams as asyncio transports: any `asyncio.Protocol` can talk over one stream of a connection.

Both ends of port-forward use it: the server binds its API server and etcd to streams, the dialer a
StreamReader. Invariants: bytes of one `receive_data` are answered in one write; a protocol is told
`connection_lost` exactly once, by the owner, never from inside its own callback; an error in one
protocol ends its stream alone. One loop, no lock.

Back-pressure. Out: the outer transport's pause is every stream's pause. In: SPDY has no windows here
(see `capim.wire.spdy`), so what arrives for a stream that does not read is kept, and beyond
`HELD_BYTES` the outer transport stops reading: one slow stream then stops its neighbours, as it does
in moby/spdystream.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from capim.wire import spdy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from capim.wire.websocket import Tunnel

#: Bytes kept for streams that do not read; asyncio's own transports use the same as high water.
HELD_BYTES: Final = 64 * 1024

_OUTER_TLS: Final = frozenset({"cipher", "compression", "peercert", "ssl_object", "sslcontext"})


class StreamTransport(asyncio.Transport):
    """One stream. Closing ends our side at once and tells the owner, who later calls `lost`."""

    def __init__(self, mux: StreamMux, stream_id: int, on_closed: OnClosed) -> None:
        super().__init__()
        self.stream_id = stream_id
        self.ended = False  #: the peer sends nothing more
        self._mux = mux
        self._on_closed = on_closed
        self._protocol: asyncio.BaseProtocol | None = None
        self._held: list[bytes] = []
        self._held_end = False
        self._reading = True
        self._closing = False
        self._lost = False

    def start(self, protocol: asyncio.BaseProtocol) -> None:
        """Bind the protocol that talks on this stream and tell it so."""
        self._protocol = protocol
        self._call(protocol.connection_made, self)
        if self._mux.writing_paused:
            self.set_writing(paused=True)

    # --- asyncio.Transport ---

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send data; what comes after close or write_eof goes nowhere."""
        if data and not self._closing:
            self._mux.send(self.stream_id, bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send pieces as one write."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Return True: SPDY closes each direction on its own."""
        return True

    def write_eof(self) -> None:
        """End our direction; the peer may go on sending."""
        self._mux.send(self.stream_id, b"", end=True)

    def close(self) -> None:
        """End our direction and read no more."""
        if not self._closing:
            self._mux.send(self.stream_id, b"", end=True)
            self._close(None)

    def abort(self) -> None:
        """Reset the stream: the peer drops what it has not read."""
        if not self._closing:
            self._mux.reset(self.stream_id)
            self._close(None)

    def is_closing(self) -> bool:
        """Return whether the stream is closed or about to be."""
        return self._closing

    def pause_reading(self) -> None:
        """Keep back what arrives from now on."""
        self._reading = False

    def resume_reading(self) -> None:
        """Hand on what was kept back, soon, and what follows."""
        if not self._reading:
            self._reading = True
            asyncio.get_running_loop().call_soon(self._drain)

    def is_reading(self) -> bool:
        """Return whether arriving data is handed on."""
        return self._reading and not self._closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Answer as the outer transport does, but for its TLS.

        The stream is not that TLS connection: whoever speaks on it must not pass for the outer
        client's certificate, and asyncio would deny it half-closing.
        """
        if name in _OUTER_TLS:
            return default
        return self._mux.extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give the stream to another protocol, as after an upgrade inside it."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the bound protocol; only a started transport has one."""
        assert self._protocol is not None  # noqa: S101 - the owner starts it before anybody sees it
        return self._protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Change nothing: the buffer is the outer transport's, and so are its limits."""

    def get_write_buffer_size(self) -> int:
        """Return 0: nothing waits here."""
        return 0

    # --- for the mux and its owner ---

    def receive(self, data: bytes, *, end: bool) -> None:
        """Hand data to the protocol, or keep it while that does not read."""
        self.ended = self.ended or end
        if self._closing:
            return
        if not self._reading or self._held:
            self._hold(data)
            self._held_end = self._held_end or end
            return
        self._deliver(data, end=end)

    def receive_reset(self) -> None:
        """Take note that the peer gave up the stream."""
        if not self._closing:
            self._close(ConnectionResetError("the peer reset the stream"))

    def set_writing(self, *, paused: bool) -> None:
        """Tell the protocol that the outer transport's buffer is full, or no longer."""
        if self._protocol is not None and not self._lost:
            self._call(self._protocol.pause_writing if paused else self._protocol.resume_writing)

    def lost(self, error: Exception | None) -> None:
        """Tell the protocol, once, that the stream is gone."""
        self._closing = True
        self._release()
        if self._lost:
            return
        self._lost = True
        if self._protocol is not None:
            self._call(self._protocol.connection_lost, error)

    def _close(self, error: Exception | None) -> None:
        self._closing = True
        self._release()
        self._on_closed(self, error)

    def _deliver(self, data: bytes, *, end: bool) -> None:
        protocol = self._protocol
        if not isinstance(protocol, asyncio.Protocol):
            return
        if data:
            self._call(protocol.data_received, data)
        if end and not self._closing and not self._call(protocol.eof_received):
            self.close()

    def _drain(self) -> None:
        while self._held and self._reading and not self._closing:
            data = self._held.pop(0)
            self._mux.held(-len(data))
            self._deliver(data, end=self._held_end and not self._held)

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self._mux.held(len(data))

    def _release(self) -> None:
        self._mux.held(-sum(map(len, self._held)))
        self._held.clear()

    def _call(self, callback: Callable[..., Any], *args: object) -> Any:
        """Run a protocol's callback; its error is reported and ends this stream only."""
        try:
            return callback(*args)
        except Exception as error:  # as asyncio's own transports do
            context = {"message": "protocol on a stream failed", "exception": error}
            context |= {"transport": self, "protocol": self._protocol}
            asyncio.get_running_loop().call_exception_handler(context)
            self.abort()
            return True


class StreamMux:
    """Runs a SPDY connection over callables of an outer transport and feeds its streams."""

    def __init__(
        self,
        *,
        client: bool,
        write: Callable[[bytes], None],
        on_event: Callable[[spdy.Event], None],
        set_reading: Callable[[bool], None],
        extra_info: Callable[[str, Any], Any],
        tunnel: Tunnel | None = None,
    ) -> None:
        self.connection = spdy.Connection(client=client)
        self.extra_info = extra_info
        self.writing_paused = False
        self._write = write
        self._on_event = on_event
        self._set_reading = set_reading
        self._tunnel = tunnel
        self._streams: dict[int, StreamTransport] = {}
        self._receiving = False
        self._held_bytes = 0

    @property
    def peer_closed(self) -> bool:
        """Whether the WebSocket around the streams, if there is one, has been closed."""
        return self._tunnel is not None and self._tunnel.closed

    def __len__(self) -> int:
        """Return how many streams have a transport."""
        return len(self._streams)

    def attach(self, stream_id: int, on_closed: OnClosed) -> StreamTransport:
        """Make a transport of an open stream; the caller starts it."""
        transport = self._streams[stream_id] = StreamTransport(self, stream_id, on_closed)
        return transport

    def detach(self, stream_id: int) -> None:
        """Forget a closed stream's transport."""
        self._streams.pop(stream_id, None)

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the outer transport.

        Raises:
            spdy.RemoteProtocolError: the connection is dead; what says so to the peer was written.
        """
        if self._tunnel is not None:
            data = self._tunnel.receive_data(data)
        self._receiving = True
        try:
            for event in self.connection.receive_data(data):
                self._dispatch(event)
        finally:
            self._receiving = False
            self.flush()

    def _dispatch(self, event: spdy.Event) -> None:
        transport = self._streams.get(getattr(event, "stream_id", 0))
        if transport is not None and isinstance(event, spdy.DataReceived):
            transport.receive(event.data, end=event.end)
        elif transport is not None and isinstance(event, spdy.StreamReset):
            transport.receive_reset()
        else:
            self._on_event(event)

    def send(self, stream_id: int, data: bytes, *, end: bool = False) -> None:
        """Send on a stream; nothing happens where it no longer takes data."""
        if self.connection.writable(stream_id):
            self.connection.send_data(stream_id, data, end=end)
            self.flush()

    def reset(self, stream_id: int, status: spdy.Status = spdy.Status.CANCEL) -> None:
        """Reset a stream in both directions."""
        self.connection.reset(stream_id, status)
        self.flush()

    def flush(self) -> None:
        """Write what waits, unless more is about to join it."""
        if self._receiving:
            return
        data = self.connection.data_to_send()
        if self._tunnel is not None:
            self._tunnel.send_data(data)
            data = self._tunnel.data_to_send()
        if data:
            self._write(data)

    def go_away(self) -> None:
        """Say goodbye to the peer, in SPDY and around it."""
        self.connection.go_away()
        self._receiving = False
        self.flush()
        if self._tunnel is not None:
            self._tunnel.close()
            self.flush()

    def set_writing(self, *, paused: bool) -> None:
        """Pass the outer transport's back-pressure on to every stream."""
        self.writing_paused = paused
        for transport in list(self._streams.values()):
            transport.set_writing(paused=paused)

    def held(self, delta_bytes: int) -> None:
        """Count what streams keep back; stop and start the outer transport's reading by it."""
        before, self._held_bytes = self._held_bytes, self._held_bytes + delta_bytes
        if before <= HELD_BYTES < self._held_bytes:
            self._set_reading(False)
        elif self._held_bytes <= HELD_BYTES < before:
            self._set_reading(True)

    def lost(self, error: Exception | None) -> None:
        """Tell every stream's protocol that the connection is gone."""
        transports = list(self._streams.values())
        self._streams.clear()
        for transport in transports:
            transport.lost(error)
        self._on_event = (
            _nobody_listens  # the owner knows us, and is not to wait for the garbage collector
        )


def _nobody_listens(event: spdy.Event) -> None:
    """Stand in for the owner of a connection that is gone."""


if TYPE_CHECKING:
    OnClosed = Callable[[StreamTransport, Exception | None], None]
