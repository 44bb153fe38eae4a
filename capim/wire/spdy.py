"""SPDY/3.1 connection, sans-IO, both roles: bytes in, events out; calls in, bytes out.

Only what Kubernetes streams need. Invariants: frames are handled one by one as `receive_data`'s
iterator is consumed, so what the caller does about one event holds for the next; a stream is known
from SYN_STREAM until both sides ended it or one reset it, and frames for unknown streams are ignored
(they crossed a reset on the way). Ids: clients odd, servers even, rising.

Flow control: none, on purpose. github.com/moby/spdystream, which is the other end of every connection
we meet, never waits for a window, ignores WINDOW_UPDATE and sends none; waiting for a window from it
would stop after 64 KiB. Back-pressure is TCP's: stop reading, stop handing on.
Source: SPDY Protocol Draft 3.1; moby/spdystream v0.5.1 for what is done in practice.
Departure: no server push, no priorities, no credentials; HEADERS frames count only for their FIN.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from capim.wire.spdyevents import (
    DataReceived,
    Event,
    GoAway,
    PingReceived,
    Settings,
    StreamOpened,
    StreamReplied,
    StreamReset,
    WindowUpdated,
)
from capim.wire.spdyframes import (
    FLAG_FIN,
    MAX_STREAM_ID,
    ControlFrame,
    DataFrame,
    FrameReader,
    FrameType,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    encode_control,
    encode_data,
)
from capim.wire.spdyheaders import HeaderDecoder, HeaderEncoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = [
    "Connection",
    "DataReceived",
    "Event",
    "GoAway",
    "GoAwayStatus",
    "LocalProtocolError",
    "PingReceived",
    "ProtocolError",
    "RemoteProtocolError",
    "Settings",
    "Status",
    "StreamOpened",
    "StreamReplied",
    "StreamReset",
    "WindowUpdated",
]

#: Streams a peer may have open at once: kubectl needs two a forwarded TCP connection, and behind each
#: pair stands a TLS connection that costs us 50 KiB.
MAX_STREAMS: Final = 256

_WORD: Final = struct.Struct("!I")
_TWO_WORDS: Final = struct.Struct("!II")
_SYN_STREAM_HEAD_BYTES: Final = 10  # id, associated id, priority, slot


class Status(enum.IntEnum):
    """Why a stream was reset (RST_STREAM), as far as we send it."""

    PROTOCOL_ERROR = 1
    REFUSED_STREAM = 3
    CANCEL = 5


class GoAwayStatus(enum.IntEnum):
    """Why a connection ends (GOAWAY)."""

    OK = 0
    PROTOCOL_ERROR = 1


@dataclass(slots=True)
class _Stream:
    local_open: bool = True  # we may still send
    remote_open: bool = True  # the peer may still send
    replied: bool = False


class Connection:
    """One end of a SPDY/3.1 connection. One caller at a time, no lock.

    After `RemoteProtocolError` the connection is dead: `data_to_send` holds a GOAWAY that says so,
    and nothing more is read.
    """

    def __init__(self, *, client: bool) -> None:
        self._next_id = 1 if client else 2
        self._peer_parity = 0 if client else 1
        self._last_peer_id = 0
        self._streams: dict[int, _Stream] = {}
        self._reader = FrameReader()
        self._decoder = HeaderDecoder()
        self._encoder = HeaderEncoder()
        self._out: list[bytes] = []
        self._gone_away = False  # either side: no new streams
        self._broken = False
        self._handlers: dict[int, Callable[[ControlFrame], Event | None]] = {
            FrameType.SYN_STREAM: self._syn_stream,
            FrameType.SYN_REPLY: self._syn_reply,
            FrameType.RST_STREAM: self._rst_stream,
            FrameType.SETTINGS: self._settings,
            FrameType.PING: self._ping,
            FrameType.GOAWAY: self._goaway,
            FrameType.HEADERS: self._headers,
            FrameType.WINDOW_UPDATE: self._window_update,
        }

    # --- what the peer sends ---

    def receive_data(self, data: bytes) -> Iterator[Event]:
        """Take bytes from the peer and return what they mean; consume the iterator to its end.

        Raises:
            RemoteProtocolError: while iterating, after the events that came before the violation.
        """
        if not self._broken:
            self._reader.feed(data)
        return self._events()

    def _events(self) -> Iterator[Event]:
        if self._broken:
            return
        try:
            for frame in self._reader.frames():
                event = self._data(frame) if isinstance(frame, DataFrame) else self._control(frame)
                if event is not None:
                    yield event
        except RemoteProtocolError:
            self._broken = True
            self.go_away(GoAwayStatus.PROTOCOL_ERROR)
            raise

    def _data(self, frame: DataFrame) -> Event | None:
        stream = self._streams.get(frame.stream_id)
        if stream is None or not stream.remote_open or not (frame.data or frame.end):
            return None
        if frame.end:
            self._end_remote(frame.stream_id, stream)
        return DataReceived(frame.stream_id, frame.data, frame.end)

    def _control(self, frame: ControlFrame) -> Event | None:
        handler = self._handlers.get(frame.kind)
        if handler is None:
            return None
        try:
            return handler(frame)
        except struct.error as error:
            name = FrameType(frame.kind).name
            raise RemoteProtocolError(f"{name} of {len(frame.payload)} bytes") from error

    def _syn_stream(self, frame: ControlFrame) -> Event | None:
        (stream_id,) = _WORD.unpack_from(frame.payload)
        stream_id &= MAX_STREAM_ID
        headers = self._decoder.decode(frame.payload[_SYN_STREAM_HEAD_BYTES:])
        if stream_id % 2 != self._peer_parity or stream_id <= self._last_peer_id:
            raise RemoteProtocolError(f"stream {stream_id} opened after {self._last_peer_id}")
        self._last_peer_id = stream_id
        if self._gone_away:
            return None
        if len(self._streams) >= MAX_STREAMS:
            self._send_reset(stream_id, Status.REFUSED_STREAM)
            return None
        end = bool(frame.flags & FLAG_FIN)
        self._streams[stream_id] = _Stream(remote_open=not end)
        return StreamOpened(stream_id, headers, end)

    def _syn_reply(self, frame: ControlFrame) -> Event | None:
        (stream_id,) = _WORD.unpack_from(frame.payload)
        headers = self._decoder.decode(frame.payload[_WORD.size :])
        stream = self._streams.get(stream_id)
        if stream is None or stream.replied or stream_id % 2 == self._peer_parity:
            return None
        stream.replied = True
        if frame.flags & FLAG_FIN:
            self._end_remote(stream_id, stream)
        return StreamReplied(stream_id, headers)

    def _rst_stream(self, frame: ControlFrame) -> Event | None:
        stream_id, status = _TWO_WORDS.unpack(frame.payload)
        if self._streams.pop(stream_id, None) is None:
            return None
        return StreamReset(stream_id, status)

    def _settings(self, frame: ControlFrame) -> Event:
        (count,) = _WORD.unpack_from(frame.payload)
        if len(frame.payload) != _WORD.size + count * _TWO_WORDS.size:
            raise RemoteProtocolError(f"{count} settings in {len(frame.payload)} bytes")
        pairs = _TWO_WORDS.iter_unpack(frame.payload[_WORD.size :])
        return Settings({flags_and_id & 0xFF_FFFF: value for flags_and_id, value in pairs})

    def _ping(self, frame: ControlFrame) -> Event | None:
        (ping_id,) = _WORD.unpack(frame.payload)
        if ping_id % 2 != self._peer_parity:
            return None
        self._out.append(encode_control(FrameType.PING, frame.payload))
        return PingReceived(ping_id)

    def _goaway(self, frame: ControlFrame) -> Event:
        last_stream_id, status = _TWO_WORDS.unpack(frame.payload)
        self._gone_away = True
        return GoAway(last_stream_id, status)

    def _headers(self, frame: ControlFrame) -> Event | None:
        (stream_id,) = _WORD.unpack_from(frame.payload)
        self._decoder.decode(frame.payload[_WORD.size :])
        return self._data(DataFrame(stream_id, b"", bool(frame.flags & FLAG_FIN)))

    def _window_update(self, frame: ControlFrame) -> Event:
        stream_id, delta = _TWO_WORDS.unpack(frame.payload)
        return WindowUpdated(stream_id, delta & MAX_STREAM_ID)

    # --- what we send ---

    def data_to_send(self) -> bytes:
        """Return the bytes for the peer, each once; empty when there are none."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def open_stream(self, headers: Mapping[str, str], *, end: bool = False) -> int:
        """Open a stream and return its id; `StreamReplied` or `StreamReset` follows.

        Raises:
            LocalProtocolError: after GOAWAY of either side, without ids left, or for bad headers.
        """
        if self._gone_away or self._next_id > MAX_STREAM_ID:
            raise LocalProtocolError("no streams can be opened on this connection any more")
        stream_id = self._next_id
        block = self._encoder.encode(headers)
        self._next_id += 2
        self._streams[stream_id] = _Stream(local_open=not end)
        head = _TWO_WORDS.pack(stream_id, 0) + b"\x00\x00"  # no associated stream, priority, slot
        flags = FLAG_FIN if end else 0
        self._out.append(encode_control(FrameType.SYN_STREAM, head + block, flags=flags))
        return stream_id

    def reply(self, stream_id: int, headers: Mapping[str, str] | None = None) -> None:
        """Accept a stream the peer opened, once, before data is sent on it.

        Raises:
            LocalProtocolError: not open, not the peer's, or replied to already.
        """
        stream = self._streams.get(stream_id)
        if stream is None or stream.replied or stream_id % 2 != self._peer_parity:
            raise LocalProtocolError(f"stream {stream_id} does not wait for a reply")
        stream.replied = True
        payload = _WORD.pack(stream_id) + self._encoder.encode(headers or {})
        self._out.append(encode_control(FrameType.SYN_REPLY, payload))

    def writable(self, stream_id: int) -> bool:
        """Return whether `send_data` would take data for this stream."""
        stream = self._streams.get(stream_id)
        return stream is not None and stream.local_open

    def send_data(self, stream_id: int, data: bytes, *, end: bool = False) -> None:
        """Send data on a stream; `end`: and no more after it.

        Raises:
            LocalProtocolError: the stream was never opened, is reset, or was ended by us.
        """
        stream = self._streams.get(stream_id)
        if stream is None or not stream.local_open:
            raise LocalProtocolError(f"stream {stream_id} is not open for sending")
        self._out.append(encode_data(stream_id, data, end=end))
        if end:
            stream.local_open = False
            self._forget_ended(stream_id, stream)

    def reset(self, stream_id: int, status: Status = Status.CANCEL) -> None:
        """Give up a stream in both directions; one that is closed already stays as it is."""
        if self._streams.pop(stream_id, None) is not None:
            self._send_reset(stream_id, status)

    def go_away(self, status: GoAwayStatus = GoAwayStatus.OK) -> None:
        """Say that no more streams are taken; those that are open live on."""
        self._gone_away = True
        payload = _TWO_WORDS.pack(self._last_peer_id, status)
        self._out.append(encode_control(FrameType.GOAWAY, payload))

    def _send_reset(self, stream_id: int, status: Status) -> None:
        payload = _TWO_WORDS.pack(stream_id, status)
        self._out.append(encode_control(FrameType.RST_STREAM, payload))

    def _end_remote(self, stream_id: int, stream: _Stream) -> None:
        stream.remote_open = False
        self._forget_ended(stream_id, stream)

    def _forget_ended(self, stream_id: int, stream: _Stream) -> None:
        if not (stream.local_open or stream.remote_open):
            self._streams.pop(stream_id, None)
