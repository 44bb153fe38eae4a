"""A chunked answer that goes on: what a watch writes to.

Pieces written in one turn of the loop leave as one chunk and one TLS record. A client that does not
read is cut off when what waits for it passes a bound: it would hold the memory of all it has missed,
and it can watch again from the version it knows.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: a few thousand events; a client this far behind is better off listing again
BUFFER_LIMIT_BYTES: Final = 4 << 20
STREAM_END: Final = b"0\r\n\r\n"


#: a larger piece is not kept for the next watcher
_KEPT_BYTES: Final = 64 << 10


class _Chunks:
    """The last piece that was made a chunk: watchers of one kind are all sent the same one.

    To frame it once saves a sixth of what it costs to bring an event to a thousand of them, TLS apart.
    """

    def __init__(self) -> None:
        self._last = (b"", b"")  # in one, for whoever has a loop in another thread

    def chunk(self, piece: bytes) -> bytes:
        """Return a piece with its length before it."""
        last, chunk = self._last
        if piece is not last:
            chunk = b"%x\r\n%b\r\n" % (len(piece), piece)
            if len(piece) <= _KEPT_BYTES:
                self._last = (piece, chunk)
        return chunk


_CHUNKS: Final = _Chunks()


class Stream:
    """The writing end of a chunked body. One loop, no lock."""

    __slots__ = ("_bound", "_finished", "_pending", "_stalled", "_transport", "on_lost")

    def __init__(self, transport: asyncio.Transport | None, finished: Callable[[], None]) -> None:
        self._transport = transport
        self._finished = finished
        self._pending: list[bytes] = []
        self._bound = BUFFER_LIMIT_BYTES
        self._stalled = False
        #: called once when the stream ends for any reason: closed here or lost by the client
        self.on_lost: Callable[[], None] | None = None

    @property
    def open(self) -> bool:
        """Whether a client still listens."""
        return self._transport is not None

    def write(self, piece: bytes) -> None:
        """Send a piece soon; pieces of one turn of the loop share a chunk."""
        if self._transport is None:
            return
        if not self._pending or self._stalled:
            asyncio.get_running_loop().call_soon(self._flush)
        self._pending.append(piece)

    def stall(self, *, stalled: bool) -> None:
        """Hold back what is written, or send it all: what a client hears of a server that hangs."""
        self._stalled = stalled
        self._flush()

    def close(self) -> None:
        """End the body properly: the connection can carry the next request."""
        self._flush()
        transport = self._transport
        if transport is None:
            return
        if self._stalled:
            transport.abort()  # an end would tell that nothing was missed
            return
        transport.write(STREAM_END)
        self.lost()
        self._finished()

    def lost(self) -> None:
        """Forget the client and tell the writer."""
        self._transport = None
        self._pending.clear()
        callback, self.on_lost = self.on_lost, None
        if callback is not None:
            callback()

    def _flush(self) -> None:
        transport = self._transport
        if transport is None or not self._pending:
            return
        if self._stalled:
            if sum(map(len, self._pending)) > self._bound:
                transport.abort()
            return
        data = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        self._pending.clear()
        if transport.get_write_buffer_size() > self._bound:
            transport.abort()
            return
        # one piece, such as a first state of many objects, may be larger than the bound
        self._bound = max(self._bound, 2 * len(data))
        transport.write(_CHUNKS.chunk(data))
