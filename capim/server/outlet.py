"""Holds back what a connection sends until all that it may tell of is written down.

Answers, watch events and etcd's replies all leave through a connection's transport, so the rule is kept
in this one place: nothing is seen outside that a crash could still undo. A write that finds everything
written down goes through at once, which is every read of a cluster that does not change.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: of one connection; above it no more of its requests are answered until the disk has come after
HELD_BYTES: Final = 1 << 20
#: in place of bytes: the connection is to be closed here
_CLOSE: Final = None


class Barrier(Protocol):
    """How far a cluster is written down, as frames of its journal."""

    @property
    def position(self) -> int:
        """The frame that holds, or will hold, the last change there was."""

    @property
    def saved(self) -> int:
        """The last frame that is written down."""

    @property
    def broken(self) -> str:
        """Why nothing can be written down now, for a person; empty: it can."""

    def when_saved(self, position: int, callback: Callable[[], None]) -> None:
        """Call back when this frame is written down, or cannot be."""


class Outlet(asyncio.Transport):
    """A transport with a gate. One loop, no lock."""

    def __init__(
        self, transport: asyncio.Transport, barrier: Barrier, owner: asyncio.BaseProtocol | None
    ) -> None:
        super().__init__()
        self._owner = owner
        self._full = False  #: so much is held back that the owner was told to wait
        self._transport = transport
        self._barrier = barrier
        self._held: deque[tuple[int, bytes | None]] = deque()
        self._held_bytes = 0
        self._asked = 0  #: the last position we wait for

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send when all until now is written down."""
        barrier = self._barrier
        position = barrier.position
        if not self._held and (position <= barrier.saved or barrier.broken):
            self._transport.write(data)
        else:
            self._hold(position, bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send all pieces, as `write`."""
        barrier = self._barrier
        if not self._held and (barrier.position <= barrier.saved or barrier.broken):
            self._transport.writelines(list_of_data)
        else:
            self._hold(barrier.position, b"".join(list_of_data))

    def close(self) -> None:
        """Close when what is held back is sent."""
        if self._held:
            self._hold(self._held[-1][0], _CLOSE)
        else:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._held.clear()
        self._transport.abort()

    def _hold(self, position: int, data: bytes | None) -> None:
        self._held.append((position, data))
        self._held_bytes += len(data or b"")
        if self._held_bytes > HELD_BYTES and not self._full and self._owner is not None:
            self._full = True
            self._owner.pause_writing()
        if position != self._asked:
            self._asked = position
            self._barrier.when_saved(position, self._release)

    def _release(self) -> None:
        if self._barrier.broken and self._held:
            # What was asked for may come to nothing, or be written down later: the client must ask.
            self.abort()
        while self._held and self._held[0][0] <= self._barrier.saved:
            _, data = self._held.popleft()
            if data is _CLOSE:
                self._transport.close()
            else:
                self._held_bytes -= len(data)
                self._transport.write(data)
        if self._full and self._owner is not None and self._held_bytes <= HELD_BYTES // 2:
            self._full = False
            self._owner.resume_writing()

    # --- the rest is the transport's own ---

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait, here and below."""
        return self._held_bytes + self._transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        """Tell whether the connection ends."""
        return self._transport.is_closing() or bool(self._held and self._held[-1][1] is _CLOSE)

    def pause_reading(self) -> None:
        """Take no more from the client."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on taking from the client."""
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport knows of its connection."""
        return self._transport.get_extra_info(name, default)


def outlet(
    transport: asyncio.Transport, barrier: Barrier | None, owner: asyncio.BaseProtocol | None = None
) -> asyncio.Transport:
    """Return a transport that keeps to the barrier, if there is one.

    `owner` is told to wait when too much is held back, as when its client does not read.
    """
    return transport if barrier is None else Outlet(transport, barrier, owner)
