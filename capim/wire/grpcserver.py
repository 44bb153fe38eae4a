"""A unary gRPC server as bytes in, bytes out: HTTP/2 by `h2`, gRPC's framing and trailers by us.

Source: gRPC over HTTP2 (grpc/grpc doc/PROTOCOL-HTTP2.md). Departures: unary methods only, no
compression, deadlines are not enforced (every handler here answers at once).
Bounds: `MAX_MESSAGE_BYTES` a request and `MAX_STREAMS` at a time, so a connection holds at most their
product; h2 bounds header lists.
"""

from __future__ import annotations

import enum
import struct
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

if TYPE_CHECKING:
    from collections.abc import Callable, Container

#: etcd's member and maintenance requests have tens of bytes; etcd's own bound is 1.5 MiB for values
MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_STREAMS: Final = 100
#: streams that a client may give up; controllers do so when a deadline passes, once a minute at most
MAX_RESETS: Final = 1000
#: of a frame or header block that does not become whole: h2 looks at the length of a frame, 16 MiB at
#: most, when it has all of it; 16 KiB is what we allow
MAX_SILENT_BYTES: Final = 64 * 1024
_PREFIX: Final = struct.Struct(">BI")


class GrpcCode(enum.IntEnum):
    """The status codes this server uses, by gRPC's numbers."""

    OK = 0
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


class GrpcError(Exception):
    """A call that fails with a status code and a message for the client."""

    def __init__(self, code: GrpcCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True)
class _Call:
    """One stream: what has come in, and what could not go out yet."""

    authority: str
    path: str
    encoding: str
    received: bytearray = field(default_factory=bytearray)
    unsent: bytes = b""
    ended: bool = False  #: the client has sent all
    answered: bool = False
    refusal: GrpcError | None = None  #: decided before the client has sent all
    is_grpc: bool = True


class GrpcConnection:
    """One client's connection. Feed it with `receive_data`, then send `data_to_send()`.

    `handle(authority, path, message)` answers a call or raises GrpcError; anything else it raises is a
    bug and passes through. When `closed` is true, send what is left and close the transport.
    """

    def __init__(
        self,
        handle: Callable[[str, str, bytes], bytes],
        *,
        methods: Container[str]
        | None = None,  # None: `handle` knows; else refused without a message
    ) -> None:
        self._handle = handle
        self._methods = methods
        self._calls: dict[int, _Call] = {}
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        self._h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS})
        self._h2.initiate_connection()
        self._resets = 0
        self._silent_bytes = 0  #: since h2 last understood something
        self.closed = False

    def receive_data(self, data: bytes) -> None:
        """Take what came from the client, in any pieces.

        h2 has read all of a piece before it tells of any of it: a stream may have ended or been reset
        by an event further on. So all events are taken first, then the streams are answered.
        """
        if self.closed:
            return
        try:
            events = self._h2.receive_data(data)
            self._silent_bytes = 0 if events else self._silent_bytes + len(data)
            if self._silent_bytes > MAX_SILENT_BYTES:
                self._give_up(h2.errors.ErrorCodes.FRAME_SIZE_ERROR)
            for event in events:
                self._on_event(event)
            for stream_id in list(self._calls):
                self._advance(stream_id)
        except (h2.exceptions.ProtocolError, UnicodeDecodeError):
            # h2 has queued the GOAWAY that says why, unless this never was HTTP/2
            self._terminate()

    def data_to_send(self) -> bytes:
        """Return what should go to the client now; empty when there is nothing."""
        return self._h2.data_to_send()

    def close(self) -> None:
        """Say goodbye: the client takes its next call elsewhere."""
        if not self.closed:
            self._h2.close_connection()
            self._terminate()

    def _give_up(self, code: h2.errors.ErrorCodes) -> None:
        self._h2.close_connection(code)
        self._terminate()

    def _terminate(self) -> None:
        self.closed = True
        self._calls.clear()

    def _on_event(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self._on_request(event)
            case h2.events.DataReceived():
                self._on_data(event)
            case h2.events.StreamEnded():
                if call := self._calls.get(event.stream_id):
                    call.ended = True
            case h2.events.StreamReset():
                self._calls.pop(event.stream_id, None)
                self._resets += 1
                if self._resets > MAX_RESETS:
                    self._give_up(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
            case h2.events.ConnectionTerminated():
                self._terminate()
            case _:
                pass  # windows and settings count when streams advance

    def _on_request(self, event: h2.events.RequestReceived) -> None:
        headers = {str(name): str(value) for name, value in event.headers}
        call = _Call(
            headers.get(":authority", ""),
            headers.get(":path", ""),
            headers.get("grpc-encoding", "identity"),
            is_grpc=headers.get("content-type", "").startswith("application/grpc"),
        )
        if self._methods is not None and call.path not in self._methods:
            # now, not at the end: the client of a streaming method need not end its side first
            call.refusal = _unknown_method(call.path)
        self._calls[event.stream_id] = call

    def _on_data(self, event: h2.events.DataReceived) -> None:
        self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        call = self._calls.get(event.stream_id)
        if call is None or call.refusal is not None:
            return
        call.received += event.data
        if len(call.received) > MAX_MESSAGE_BYTES + _PREFIX.size:
            message = f"grpc: received message larger than max ({MAX_MESSAGE_BYTES} bytes)"
            call.refusal = GrpcError(GrpcCode.RESOURCE_EXHAUSTED, message)

    def _advance(self, stream_id: int) -> None:
        """Do for a stream what can be done now."""
        call = self._calls[stream_id]
        if not call.is_grpc:
            # as grpc-go answers somebody who does not speak gRPC
            self._finish(stream_id, [(":status", "415"), ("content-type", "text/plain")])
        elif call.refusal is not None:
            self._fail(stream_id, call.refusal)
        elif call.answered:
            self._flush(stream_id)
        elif call.ended:
            self._answer(stream_id, call)

    def _answer(self, stream_id: int, call: _Call) -> None:
        try:
            message = _read_message(call)
            self._reply(stream_id, self._handle(call.authority, call.path, message))
        except GrpcError as error:
            self._fail(stream_id, error)

    def _reply(self, stream_id: int, message: bytes) -> None:
        call = self._calls[stream_id]
        call.answered = True
        call.unsent = _PREFIX.pack(0, len(message)) + message
        self._h2.send_headers(stream_id, [(":status", "200"), ("content-type", "application/grpc")])
        self._flush(stream_id)

    def _flush(self, stream_id: int) -> None:
        """Send as much of the answer as the client's windows take, and the trailers behind its end."""
        call = self._calls[stream_id]
        while call.unsent:
            room = min(
                self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size
            )
            if room <= 0:
                return
            self._h2.send_data(stream_id, call.unsent[:room])
            call.unsent = call.unsent[room:]
        if call.answered:
            self._h2.send_headers(stream_id, [("grpc-status", "0")], end_stream=True)
            del self._calls[stream_id]

    def _fail(self, stream_id: int, error: GrpcError) -> None:
        """Answer with trailers alone."""
        headers = [
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-status", str(int(error.code))),
            ("grpc-message", urllib.parse.quote(error.message, safe=_MESSAGE_SAFE)),
        ]
        self._finish(stream_id, headers)

    def _finish(self, stream_id: int, headers: list[tuple[str, str]]) -> None:
        call = self._calls.pop(stream_id)
        self._h2.send_headers(stream_id, headers, end_stream=True)
        if not call.ended:
            # RFC 9113, 8.1: answered in full, the rest of the request is not wanted
            self._h2.reset_stream(stream_id, h2.errors.ErrorCodes.NO_ERROR)


#: grpc-message is percent-encoded outside printable ASCII; the percent sign itself is encoded too
_MESSAGE_SAFE: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def _unknown_method(path: str) -> GrpcError:
    service, _, method = path.removeprefix("/").rpartition("/")
    message = f"unknown method {method} for service {service}"
    return GrpcError(GrpcCode.UNIMPLEMENTED, message)


def _read_message(call: _Call) -> bytes:
    """Return the one message of a unary call. Raises GrpcError when there is none, or not just one."""
    if len(call.received) < _PREFIX.size:
        raise GrpcError(GrpcCode.INTERNAL, "the request ended before its message")
    compressed, length = _PREFIX.unpack_from(call.received)
    if compressed:
        message = f'Decompressor is not installed for grpc-encoding "{call.encoding}"'
        raise GrpcError(GrpcCode.UNIMPLEMENTED, message)
    if len(call.received) != _PREFIX.size + length:
        raise GrpcError(GrpcCode.INTERNAL, "a unary call takes exactly one whole message")
    return bytes(call.received[_PREFIX.size :])
