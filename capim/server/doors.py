"""How connections come in: accepted a few at a time, their handshakes begun one a turn of the loop.

A handshake costs as much as thirty requests, so who opens connections as fast as he can would have the
loop to himself. A connection therefore waits, as a bare socket, until its client has said something;
then it stands in line, and in each turn of the loop one handshake begins, of the listeners by turns.
Half-open connections are bounded for each listener: when there is one too many the oldest gives way,
which is the attacker's, because an honest client needs milliseconds.

When the process runs out of descriptors the doors close for a while, after the longest idle connections
were closed; `accept` would else be called without end for a connection that it cannot give.
One loop, no lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from capim.server.shares import Turns

if TYPE_CHECKING:
    import ssl

    from capim.aio.tasks import TaskScope

_log = structlog.get_logger(__name__)

#: seconds from the connection to the end of its handshake
HANDSHAKE_S: Final = 10.0
#: how long a client has to take the end of its watch before it is cut off
CLOSE_S: Final = 2.0
#: half-open connections of a listener: silent ones, and handshakes under way
SILENT_LIMIT: Final = 256
HANDSHAKE_LIMIT: Final = 128

_BACKLOG: Final = 512
_ACCEPTS_A_TURN: Final = 16
#: connections of a listener that stand in line; more wait in the system's queue
_LINE_LIMIT: Final = 64
#: how long nobody is let in when the line is full, and when the descriptors ran out
_LINE_PAUSE_S: Final = 0.05
_CROWDED_PAUSE_S: Final = 0.25
#: the log says no more often that there are none
_QUIET_S: Final = 60.0
_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_READ_BYTES: Final = 64 << 10
_HANDSHAKE_RECORD: Final = 22
#: how requests in clear begin, and Go's answer to them
_CLEAR: Final = frozenset({b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO"})
_CLEAR_REPLY: Final = (
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
)


@dataclass(frozen=True, slots=True)
class House:
    """What a door leads to."""

    name: str  #: of the cluster
    make_protocol: Callable[[], asyncio.Protocol]  #: told when the handshake is done
    has_room: Callable[[], bool]  #: may one more connection come in?
    close_idle: Callable[[], None]  #: close the connections that have been idle for the longest


class Doors:
    """All doors of a process: one handshake a turn, and one limit of descriptors.

    `descriptors`: a connection whose descriptor has this number or a higher one is refused.
    """

    def __init__(self, descriptors: int | None = None) -> None:
        self._descriptors = descriptors
        self.turns = Turns()
        self._doors: set[Door] = set()
        self._line: deque[Door] = deque()  #: each once, while clients of it stand in line
        self._quiet_until = 0.0

    def open(
        self, bound: socket.socket, context: ssl.SSLContext, house: House, scope: TaskScope
    ) -> Door:
        """Listen on a bound socket and let connections in."""
        door = Door(self, bound, context, house, scope)
        self._doors.add(door)
        return door

    def closed(self, door: Door) -> None:
        """Forget a door."""
        self._doors.discard(door)

    def stand_in_line(self, door: Door) -> None:
        """Begin a handshake of this door when it is its turn; once for all that are to begin."""
        self._line.append(door)
        if len(self._line) == 1:
            asyncio.get_running_loop().call_soon(self._turn)

    def is_crowded(self, accepted: socket.socket) -> bool:
        """Tell whether a connection took one of the last descriptors."""
        return self._descriptors is not None and accepted.fileno() >= self._descriptors

    def make_room(self) -> None:
        """Close idle connections of all doors, and tell a person."""
        now = asyncio.get_running_loop().time()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET_S
            _log.warning(
                "out of file descriptors: connections are refused and idle ones closed until some"
                " are free; raise the limit of open files (ulimit -n), or run more workers",
                limit=self._descriptors,
            )
        for door in self._doors:
            door.house.close_idle()

    def _turn(self) -> None:
        door = self._line.popleft()
        if door.begin():
            self._line.append(door)
        if self._line:
            asyncio.get_running_loop().call_soon(self._turn)


class Door:
    """The way into one listener. Made by `Doors.open`."""

    def __init__(
        self,
        doors: Doors,
        bound: socket.socket,
        context: ssl.SSLContext,
        house: House,
        scope: TaskScope,
    ) -> None:
        self.house = house
        self._doors = doors
        self._bound = bound
        self._context = context
        self._scope = scope
        self._loop = asyncio.get_running_loop()
        self._silent: dict[socket.socket, float] = {}  #: oldest first, with when they came
        self._ready: deque[socket.socket] = deque()
        self._shaking: dict[asyncio.Task[None], None] = {}  #: oldest first
        self._pause: asyncio.TimerHandle | None = None
        self._hanging = False
        bound.listen(_BACKLOG)
        self._loop.add_reader(bound, self._accept)

    @property
    def half_open(self) -> int:
        """How many connections have not finished their handshake."""
        return len(self._silent) + len(self._ready) + len(self._shaking)

    def close(self) -> None:
        """Let nobody in any more; the bound socket is its owner's."""
        self._doors.closed(self)
        if self._pause is None:
            self._loop.remove_reader(self._bound)
        else:
            self._pause.cancel()
        for waiting in tuple(self._silent):
            self._give_up(waiting)
        while self._ready:
            self._ready.popleft().close()
        while self._shaking:
            self._cut_off_oldest()

    def hang(self, *, hanging: bool) -> None:
        """Let connections come as far as the system takes them and no further, or let all of them in."""
        if hanging and not self._hanging:
            self._loop.remove_reader(self._bound)
        elif self._hanging and not hanging and self._pause is None:
            self._loop.add_reader(self._bound, self._accept)
        self._hanging = hanging

    def sweep(self) -> None:
        """Close connections whose clients have said nothing in time: called every few seconds."""
        now = self._loop.time()
        for waiting, since in tuple(self._silent.items()):
            if now - since < HANDSHAKE_S:
                return
            self._give_up(waiting)

    def begin(self) -> bool:
        """Begin the handshake of the next connection in line; tell whether there are more."""
        if not self._ready:
            return False  # closed meanwhile
        if len(self._shaking) >= HANDSHAKE_LIMIT:
            self._cut_off_oldest()
        accepted = self._ready.popleft()
        task = self._scope.spawn(self._shake(accepted), name=f"handshake {self.house.name}")
        self._shaking[task] = None
        task.add_done_callback(partial(self._shaken, accepted))
        return bool(self._ready)

    def _cut_off_oldest(self) -> None:
        oldest = next(iter(self._shaking))
        del self._shaking[oldest]
        oldest.cancel()

    def _shaken(self, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        self._shaking.pop(task, None)
        if task.cancelled():
            accepted.close()  # else its transport does

    async def _shake(self, accepted: socket.socket) -> None:
        # What goes wrong in a handshake is the client's affair, and told to it alone.
        with contextlib.suppress(OSError):
            await self._loop.connect_accepted_socket(
                self.house.make_protocol,
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=CLOSE_S,
            )

    def _accept(self) -> None:
        if len(self._ready) >= _LINE_LIMIT:
            self._rest(_LINE_PAUSE_S)
            return
        for _ in range(_ACCEPTS_A_TURN):
            try:
                accepted, _ = self._bound.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                self._crowded()
                return
            accepted.setblocking(False)
            if self._doors.is_crowded(accepted):
                accepted.close()
                self._crowded()
                return
            self._await_hello(accepted)

    def _await_hello(self, accepted: socket.socket) -> None:
        if not self.house.has_room():
            accepted.close()
            return
        if len(self._silent) >= SILENT_LIMIT:
            self._give_up(next(iter(self._silent)))
        self._silent[accepted] = self._loop.time()
        self._loop.add_reader(accepted, self._hello, accepted)

    def _give_up(self, waiting: socket.socket) -> None:
        del self._silent[waiting]
        self._loop.remove_reader(waiting)
        waiting.close()

    def _hello(self, accepted: socket.socket) -> None:
        del self._silent[accepted]
        self._loop.remove_reader(accepted)
        try:
            begin = accepted.recv(5, socket.MSG_PEEK)  # the handshake reads it again
        except OSError:
            begin = b""
        if begin[:1] == bytes([_HANDSHAKE_RECORD]):
            self._ready.append(accepted)
            if len(self._ready) == 1:
                self._doors.stand_in_line(self)
            return
        if begin in _CLEAR:
            with contextlib.suppress(OSError):
                accepted.recv(_READ_BYTES)  # what is left unread would make the end a reset
                accepted.send(_CLEAR_REPLY)
        accepted.close()

    def _crowded(self) -> None:
        self._rest(_CROWDED_PAUSE_S)
        self._doors.make_room()

    def _rest(self, seconds: float) -> None:
        """Let nobody in for a while: the socket stays readable, and would call without end."""
        self._loop.remove_reader(self._bound)
        self._pause = self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        self._pause = None
        if not self._hanging:
            self._loop.add_reader(self._bound, self._accept)
