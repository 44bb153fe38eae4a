"""HTTP/1.1 on a connection, without an application: bytes to exchanges, answers to bytes.

A thin `asyncio.Protocol` over httptools. Exchanges are answered one at a time and in order, however
many requests a client pipelines; an answer may come later than the call that asked for it. Nothing
here knows Kubernetes. One loop, no lock.

Limits are those of a kube-apiserver where it has them: 3 MiB of body, times for head and body; those
of a head are in `httphead`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

import httptools

from capim.server.exchange import TOO_MANY_REQUESTS, Application, Exchange, Response, Session
from capim.server.httphead import (
    HEADER_LIMIT_BYTES,
    HEADER_OVERHEAD_BYTES,
    HeadRefusedError,
    check_head,
    path_of,
)
from capim.server.shares import LATE_BYTES, Pace
from capim.server.streams import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from capim.server.shares import Share

__all__ = [
    "BODY_LIMIT_BYTES",
    "Application",
    "Exchange",
    "HttpConnection",
    "Response",
    "Session",
]

BODY_LIMIT_BYTES: Final = 3 << 20
_PIPELINE_LIMIT: Final = 16
#: below this a copy into one write is cheaper than a TLS record more
_JOIN_LIMIT_BYTES: Final = 64 << 10
#: a larger answer leaves in pieces of this size, which cost as much as some GETs
_PIECE_BYTES: Final = 256 << 10
#: input of one step, where there is a share of the loop: some requests, frames, or a part of a body
_HEAD_SLICE_BYTES: Final = 8 << 10
_SESSION_SLICE_BYTES: Final = 2 << 10
_BODY_SLICE_BYTES: Final = 64 << 10

_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus
}
#: headers that say something of the request itself
_FRAMING: Final = frozenset({b"transfer-encoding", b"expect"})
_NOTHING: Final = memoryview(b"")
#: what a socket drops when it is closed, it drops with a reset
_NO_LINGER: Final = struct.pack("ii", 1, 0)
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class HttpConnection(asyncio.Protocol):
    """One client's connection."""

    def __init__(
        self,
        application: Application,
        *,
        peer: object = None,
        on_lost: Callable[[HttpConnection], None] | None = None,
        share: Share | None = None,
        client: str = "",
    ) -> None:
        self._application = application
        self.peer = peer
        self._on_lost = on_lost
        self._share = share
        self._pace = None if share is None else Pace(share, client, self._step)
        self._unsent = _NOTHING  #: of a large answer
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._incoming = Exchange(self)  #: being parsed
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._head_bytes = 0
        self._in_head = True
        self._ready: deque[Exchange] = deque()  #: parsed, waiting for their turn
        self._current: Exchange | None = None  #: being answered
        self._stream: Stream | None = None  #: the current answer, when it is a stream
        self._session: Session | None = None
        self._refusal: Response | None = None  #: sent after what is ready; then the connection ends
        self._upgrading = (
            False  #: the last request parsed asks for an upgrade: bytes, not requests, follow
        )
        self._after_upgrade = b""
        self._closing = False
        self._lingering = 0  #: bytes of a refused body that are still taken, and thrown away
        self._pumping = False
        self._write_paused = False
        self._read_paused = False
        self._begun = True  #: a request arrives and is not whole; the first is awaited so
        self._waiting_bytes = 0  #: of bodies in `_ready`
        self._host = b"?"  #: of the last good head; no host is called so
        self._sweeps = 0  #: since a request began to arrive, or the last one was whole

    # --- asyncio -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Take input: at once, or when the cluster's turn comes."""
        share = self._share
        if share is None or self._pace is None:
            self._take(data)
        elif (
            share.resting
            or self._write_paused
            or self._pace.late
            or (len(data) > _SESSION_SLICE_BYTES and len(data) > self._slice_bytes())
        ):
            self._pace.keep(data)
            if self._pace.late > LATE_BYTES:
                self._pause_reading()
        else:
            started = time.perf_counter()
            self._take(data)
            share.charge(time.perf_counter() - started, self._pace.client)

    def _take(self, data: bytes) -> None:
        """Parse a piece of input and answer what it completes."""
        if self._session is not None:
            self._session.receive_data(data)
            return
        if self._lingering:
            self._discard(len(data))
        if self._refusal is not None or self._closing:
            return  # whatever follows a refused request means nothing
        if self._upgrading:
            self._after_upgrade += data
        else:
            self._parse(data)
        if self._current is None:
            self._pump()
        if self._is_full():
            self._pause_reading()

    def eof_received(self) -> bool:
        """Let the transport close: half-open HTTP clients do not exist."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End what still runs for this client."""
        del exc
        self._closing = True
        self._transport = None
        self._ready.clear()
        self._unsent = _NOTHING
        if self._pace is not None:
            self._pace.drop()
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.lost()
        session, self._session = self._session, None
        if session is not None:
            session.connection_lost()
        # They know this connection: with them it would stay, some 45 KiB with its TLS, until the garbage
        # collector comes round, which in a quiet worker takes an hour.
        self._pace = self._current = None
        del self._parser, self._incoming
        if self._on_lost is not None:
            self._on_lost(self)

    def pause_writing(self) -> None:
        """Answer nothing more until the client has read; streams watch their own bound."""
        self._write_paused = True
        if self._session is not None:
            self._session.pause_writing()

    def resume_writing(self) -> None:
        """Go on."""
        self._write_paused = False
        if self._session is not None:
            self._session.resume_writing()
        if self._pace is not None:
            self._pace.line_up()
        elif self._current is None:
            self._pump()

    # --- the owner ---------------------------------------------------------------------------------

    def close(self) -> None:
        """End the connection: a stream gets its proper end, an answer under way is sent."""
        if self._transport is not None:
            self._transport.write(self._unsent)
        self._unsent = _NOTHING
        self._closing = True
        self._ready.clear()
        if self._session is not None:
            self._session.close()
        if self._stream is not None:
            self._stream.close()
        if self._transport is not None:
            self._transport.close()

    @property
    def is_lost(self) -> bool:
        """Whether the client is gone."""
        return self._transport is None

    def cut_watch(self) -> None:
        """End the connection in the middle of a stream, if one is under way."""
        if self._stream is not None:
            self.reset()

    def stall_watch(self, *, stalled: bool) -> None:
        """Hold back what a stream that is under way sends, or send it all."""
        if self._stream is not None:
            self._stream.stall(stalled=stalled)

    def reset(self) -> None:
        """End the connection at once, by a TCP reset where it has a socket of its own."""
        if self._transport is None:
            return
        bare = self._transport.get_extra_info("socket")
        if bare is not None:  # not so inside a tunnel
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()

    @property
    def waited(self) -> int:
        """How many sweeps found nothing to answer here; 0 while something is answered."""
        return 0 if self._is_busy() else self._sweeps

    def sweep(self, *, head_sweeps: int, body_sweeps: int, idle_sweeps: int) -> None:
        """Close what takes too long: called at a fixed interval by the owner of the connections.

        A head has to be whole after `head_sweeps` calls, a whole request after `body_sweeps`, however
        often a little more of it comes; an idle connection is closed after `idle_sweeps`. Counting
        calls costs nothing on the way of a request.
        """
        if self._is_busy():
            return
        self._sweeps += 1
        if self._lingering:
            if self._sweeps > head_sweeps:
                self._discard(self._lingering)
        elif not self._begun or self._in_head:
            if self._sweeps > (head_sweeps if self._begun else idle_sweeps):
                self.close()
        elif self._sweeps > body_sweeps:
            self._refuse(504, "Timeout: request did not complete within the allotted timeout")
            self._pump()

    # --- httptools ---------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Start a new request."""
        self._incoming = Exchange(self)
        self._body = []
        self._body_bytes = self._head_bytes = self._sweeps = 0
        self._in_head = self._begun = True

    def on_url(self, url: bytes) -> None:
        """Collect the request's target."""
        self._incoming.target += url
        self._head_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header; of a head that is too large no more."""
        self._head_bytes += len(name) + len(value) + HEADER_OVERHEAD_BYTES
        if self._head_bytes > HEADER_LIMIT_BYTES:
            return
        headers = self._incoming.headers
        name = name.lower()
        headers[name] = headers[name] + b"," + value if name in headers else value

    def on_headers_complete(self) -> None:
        """Check what the headers announce, before any of the body."""
        self._in_head = False
        if self._head_bytes > HEADER_LIMIT_BYTES:
            self._refuse(431)
            return
        headers = self._incoming.headers
        if headers.get(b"host") != self._host or not _FRAMING.isdisjoint(headers):
            self._check_head(headers)
        if int(headers.get(b"content-length") or 0) > BODY_LIMIT_BYTES:
            self._refuse_body()
        elif b"expect" in headers and self._refusal is None:
            self._continue()

    def on_body(self, body: bytes) -> None:
        """Collect a piece of the body."""
        self._body_bytes += len(body)
        if self._body_bytes > BODY_LIMIT_BYTES:
            self._refuse_body()
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Put the request into the line."""
        self._begun = False
        self._in_head = True
        self._head_bytes = self._sweeps = 0
        if self._refusal is not None:
            return
        exchange = self._incoming
        if not exchange.target.startswith(b"/"):
            exchange.target = path_of(exchange.target)
        exchange.method = self._parser.get_method().decode("ascii")
        exchange.keep_alive = self._parser.should_keep_alive()
        if self._body:
            exchange.body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._body = []
            self._waiting_bytes += len(exchange.body)
        self._ready.append(exchange)

    # --- answers -----------------------------------------------------------------------------------

    def send_response(self, exchange: Exchange, response: Response) -> None:
        """Write an answer and go on to the next request."""
        transport = self._transport
        if transport is None or exchange is not self._current:
            return
        keep_alive = exchange.keep_alive and not self._closing
        body = response.body
        head = self._head(response, b"Content-Length: %d\r\n" % len(body), keep_alive=keep_alive)
        if exchange.method == "HEAD":
            body = b""
        if len(body) < _JOIN_LIMIT_BYTES:
            transport.write(head + body)
        elif self._pace is not None and len(body) > _PIECE_BYTES:
            self._unsent = memoryview(body)[_PIECE_BYTES:]
            transport.writelines([head, memoryview(body)[:_PIECE_BYTES]])
            self._pace.line_up()
            return
        else:
            transport.writelines([head, body])
        self._finished(keep_alive=keep_alive)

    def start_stream(self, exchange: Exchange, response: Response) -> Stream:
        """Write the head of a chunked answer."""
        keep_alive = exchange.keep_alive and not self._closing
        stream = Stream(self._transport, lambda: self._stream_ended(exchange))
        if self._transport is None or exchange is not self._current:
            stream.lost()
            return stream
        framing = b"Transfer-Encoding: chunked\r\n"
        self._transport.write(self._head(response, framing, keep_alive=keep_alive))
        self._stream = stream
        return stream

    def upgrade(
        self,
        exchange: Exchange,
        headers: Iterable[tuple[str, str]],
        make_session: Callable[[asyncio.Transport], Session],
    ) -> None:
        """Write 101 and hand over; what the client sent already goes to the session at once."""
        if self._transport is None or exchange is not self._current:
            return
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self._transport.write(f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n".encode("latin-1"))
        self._ready.clear()
        self._session = make_session(self._transport)
        if self._read_paused:
            self._read_paused = False
            self._transport.resume_reading()
        rest, self._after_upgrade = self._after_upgrade, b""
        if rest:
            self._session.receive_data(rest)

    # --- inside ------------------------------------------------------------------------------------

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._after_upgrade = data[upgrade.args[0] :]
            self._upgrading = True
            if self._ready:
                self._ready[-1].keep_alive = False  # unless it is upgraded, nothing can follow it
            else:
                self._refuse(400)
        except (httptools.HttpParserError, ValueError):
            self._refuse(400)
        if self._begun and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEADER_LIMIT_BYTES:
                self._refuse(431)

    def _check_head(self, headers: dict[bytes, bytes]) -> None:
        """Look closely; what a kept connection says again and again was looked at once."""
        try:
            check_head(self._parser.get_http_version(), headers)
        except HeadRefusedError as refused:
            self._refuse(refused.status, refused.message)
        else:
            self._host = headers.get(b"host", b"?")

    def _step(self) -> bool:
        """Do one of the things that wait for the cluster's turn; tell whether there are more."""
        if self._pace is None or self._write_paused:
            return False
        if self._unsent:
            self._send_piece()
        elif self._ready and self._current is None:
            self._pump()
        elif self._pace.late and not self._is_full():
            self._take(self._pace.cut(self._slice_bytes()))
        return self._has_more(self._pace)

    def _has_more(self, pace: Pace) -> bool:
        if self._transport is None or self._write_paused:
            return False
        if self._unsent or (self._ready and self._current is None):
            return True
        if self._is_full():
            return False
        if not pace.late and self._read_paused:
            self._read_paused = False
            self._transport.resume_reading()
        return bool(pace.late)

    def _send_piece(self) -> None:
        """Write the next of a large answer, and go on to the next request behind the last."""
        if self._transport is None or self._current is None:
            return
        piece, self._unsent = self._unsent[:_PIECE_BYTES], self._unsent[_PIECE_BYTES:]
        self._transport.write(piece)
        if not self._unsent:
            self._finished(keep_alive=self._current.keep_alive and not self._closing)

    def _pump(self) -> None:
        """Answer what is ready, as long as the client reads: all, or one if there is a share."""
        self._pumping = True
        while self._ready and self._current is None and not self._write_paused:
            exchange = self._current = self._ready.popleft()
            self._waiting_bytes -= len(exchange.body)
            if self._pace is not None and self._pace.refused:
                exchange.respond(TOO_MANY_REQUESTS)
            else:
                self._application.handle(exchange)
            if self._pace is not None:
                break
        self._pumping = False
        if self._current is not None or self._transport is None:
            return
        if self._refusal is not None and not self._ready:
            response, self._refusal = self._refusal, None
            length = b"Content-Length: %d\r\n" % len(response.body)
            self._transport.write(self._head(response, length, keep_alive=False) + response.body)
            if response.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                self._linger(self._transport)
            else:
                self._finished(keep_alive=False)
        elif self._pace is not None:
            if self._ready or self._pace.late:
                self._pace.line_up()
        elif self._read_paused and not self._is_full():
            self._read_paused = False
            self._transport.resume_reading()

    def _finished(self, *, keep_alive: bool) -> None:
        self._current = None
        if not keep_alive:
            self._closing = True
            self._ready.clear()
            if self._transport is not None:
                self._transport.close()
        elif not self._pumping and (self._ready or self._read_paused or self._refusal):
            # not from inside the answer: a client that pipelines must not deepen the stack
            if self._pace is not None and self._refusal is None:
                self._pace.line_up()
            else:
                asyncio.get_running_loop().call_soon(self._pump)

    def _linger(self, transport: asyncio.Transport) -> None:
        """Let a client that is still sending a refused body come to read the answer.

        To close with input unread resets the connection, and the answer is lost with it.
        """
        self._closing = True
        self._lingering = BODY_LIMIT_BYTES
        self._sweeps = 0
        if self._read_paused:
            self._read_paused = False
            transport.resume_reading()

    def _discard(self, size: int) -> None:
        """Close when enough of a refused body came."""
        self._lingering = max(0, self._lingering - size)
        if not self._lingering:
            self._finished(keep_alive=False)

    def _stream_ended(self, exchange: Exchange) -> None:
        self._stream = None
        if exchange is self._current:
            self._finished(keep_alive=exchange.keep_alive and not self._closing)

    def _head(self, response: Response, framing: bytes, *, keep_alive: bool) -> bytes:
        status = response.status
        extra = (
            b"".join([b"%b: %b\r\n" % it for it in response.headers]) if response.headers else b""
        )
        return b"%bContent-Type: %b\r\nDate: %b\r\n%b%b%b\r\n" % (
            _STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status,
            response.content_type,
            self._application.date(),
            framing,
            extra,
            b"" if keep_alive else b"Connection: close\r\n",
        )

    def _is_full(self) -> bool:
        """Tell whether enough waits for an answer that no more is to be read."""
        return self._session is None and (
            self._upgrading
            or len(self._ready) >= _PIPELINE_LIMIT
            or self._waiting_bytes > BODY_LIMIT_BYTES
        )

    def _is_busy(self) -> bool:
        """Tell whether something is answered, or waits for the cluster's turn."""
        waits = self._pace is not None and self._pace.in_line
        return self._current is not None or self._session is not None or waits

    def _slice_bytes(self) -> int:
        """How much input is looked at in one step: small where every few bytes mean work."""
        if self._session is not None:
            return _SESSION_SLICE_BYTES
        return _HEAD_SLICE_BYTES if self._in_head else _BODY_SLICE_BYTES

    def _refuse(self, status: int, message: str = "") -> None:
        """Remember a refusal: it is sent when its turn comes."""
        if self._refusal is None:
            self._refusal = self._application.refuse(status, message)

    def _refuse_body(self) -> None:
        self._refuse(413, f"Request entity too large: limit is {BODY_LIMIT_BYTES}")

    def _continue(self) -> None:
        # behind another answer the interim one would be taken for that; the client sends anyway
        if self._transport is not None and not self._current:
            self._transport.write(_CONTINUE)

    def _pause_reading(self) -> None:
        if self._transport is not None and not self._read_paused:
            self._read_paused = True
            self._transport.pause_reading()
