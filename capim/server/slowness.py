"""An answer whose body comes in pieces, over a time: between an exchange and its connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from capim.server.exchange import Exchange, Response, Session
    from capim.server.streams import Stream

_PIECES: Final = 10


class Connection(Protocol):
    """What answers exchanges."""

    @property
    def is_lost(self) -> bool:
        """Whether the client is gone."""

    def send_response(self, exchange: Exchange, response: Response) -> None:
        """Answer with a whole body."""

    def start_stream(self, exchange: Exchange, response: Response) -> Stream:
        """Answer with a chunked body."""

    def upgrade(
        self,
        exchange: Exchange,
        headers: Iterable[tuple[str, str]],
        make_session: Callable[[asyncio.Transport], Session],
    ) -> None:
        """Answer 101 and hand over."""

    def reset(self) -> None:
        """End the connection at once."""

    def stall_watch(self, *, stalled: bool) -> None:
        """Hold back what a stream sends."""


class SlowConnection:
    """Sends whole answers as streams of pieces; everything else passes."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds

    @property
    def is_lost(self) -> bool:
        """Whether the client is gone."""
        return self._connection.is_lost

    def send_response(self, exchange: Exchange, response: Response) -> None:
        """Send the head now and the body over the time."""
        body = response.body
        if exchange.method == "HEAD" or not body:
            self._connection.send_response(exchange, response)
            return
        stream = self._connection.start_stream(exchange, response._replace(body=b""))
        size = -(-len(body) // _PIECES)
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        loop = asyncio.get_running_loop()
        for number, piece in enumerate(pieces, 1):
            delay_s = number * self._seconds / len(pieces)
            loop.call_later(delay_s, _send, stream, piece, number == len(pieces))

    def start_stream(self, exchange: Exchange, response: Response) -> Stream:
        """Answer with a chunked body."""
        return self._connection.start_stream(exchange, response)

    def upgrade(
        self,
        exchange: Exchange,
        headers: Iterable[tuple[str, str]],
        make_session: Callable[[asyncio.Transport], Session],
    ) -> None:
        """Answer 101 and hand over."""
        self._connection.upgrade(exchange, headers, make_session)

    def reset(self) -> None:
        """End the connection at once."""
        self._connection.reset()

    def stall_watch(self, *, stalled: bool) -> None:
        """Hold back what a stream sends."""
        self._connection.stall_watch(stalled=stalled)


def _send(stream: Stream, piece: bytes, is_last: bool) -> None:
    stream.write(piece)
    if is_last:
        stream.close()
