"""What goes wrong inside of a process, told by a file that it maps: written by one, read by all others."""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import random
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from capim.messaging.sockets import CoordinatorSocket, PeerBusyError, PeerGoneError

if TYPE_CHECKING:
    from collections.abc import Callable

#: by how much the wall clock is wrong, then the shares of messages that are lost, doubled and late
_LAYOUT: Final = struct.Struct("<dddd")
_LATE_S: Final = 0.3


class Trouble:
    """The file; every field may be read and set."""

    def __init__(self, path: str | Path) -> None:
        with Path(path).open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), _LAYOUT.size)

    @staticmethod
    def make(path: Path) -> Trouble:
        """Make a file in which nothing goes wrong."""
        path.write_bytes(bytes(_LAYOUT.size))
        return Trouble(path)

    @property
    def clock_s(self) -> float:
        """By how much the wall clock is ahead."""
        return float(_LAYOUT.unpack(self._bytes)[0])

    @property
    def shares(self) -> tuple[float, float, float]:
        """Of messages that are lost, come twice, and come late."""
        _, lost, doubled, late = _LAYOUT.unpack(self._bytes)
        return lost, doubled, late

    def set(
        self,
        *,
        clock_s: float | None = None,
        lost: float | None = None,
        doubled: float | None = None,
        late: float | None = None,
    ) -> None:
        """Change some of it."""
        new = (clock_s, lost, doubled, late)
        old = _LAYOUT.unpack(self._bytes)
        values = [was if now is None else now for now, was in zip(new, old, strict=True)]
        self._bytes[:] = _LAYOUT.pack(*values)


def disturb_sockets(trouble: Trouble) -> None:
    """Let messages of this process's coordinator go astray, in both directions."""
    rng = random.Random()  # noqa: S311 - when a message comes is chance anyway
    socket: Any = CoordinatorSocket
    socket._transmit = _astray(socket._transmit, trouble, rng)
    socket._received = _astray(socket._received, trouble, rng)


def _astray(
    pass_on: Callable[[Any, list[Any]], None], trouble: Trouble, rng: random.Random
) -> Callable[[Any, list[Any]], None]:
    def later(socket: Any, frames: list[Any]) -> None:
        if not socket._socket.closed:
            with contextlib.suppress(PeerGoneError, PeerBusyError):
                pass_on(socket, frames)

    def disturbed(socket: Any, frames: list[Any]) -> None:
        lost, doubled, late = trouble.shares
        if rng.random() < lost:
            return
        if rng.random() < late:
            delay_s = rng.random() * _LATE_S
            asyncio.get_running_loop().call_later(delay_s, later, socket, frames)
            return
        pass_on(socket, frames)
        if rng.random() < doubled:
            pass_on(socket, frames)

    return disturbed
