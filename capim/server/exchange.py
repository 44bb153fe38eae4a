"""A request and the way to answer it, for whoever answers: what `http` is to its application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from capim.server.slowness import SlowConnection

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from capim.server.http import HttpConnection
    from capim.server.slowness import Connection
    from capim.server.streams import Stream


class Response(NamedTuple):
    """An answer that is known whole; a tuple, because making a frozen dataclass costs three times as much."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


TEXT: Final = b"text/plain; charset=utf-8"
NO_SNIFF: Final = (b"X-Content-Type-Options", b"nosniff")
#: as a kube-apiserver's text; client-go makes a Status of it and comes again
TOO_MANY_REQUESTS: Final = Response(
    429,
    b"Too many requests, please try again later.\n",
    TEXT,
    (NO_SNIFF, (b"Retry-After", b"1")),
)
PAGE_NOT_FOUND: Final = Response(404, b"404 page not found\n", TEXT, (NO_SNIFF,))


class Session(Protocol):
    """What takes over a connection after an upgrade."""

    def receive_data(self, data: bytes) -> None:
        """Take raw bytes of the client."""

    def pause_writing(self) -> None:
        """Learn that the client does not read."""

    def resume_writing(self) -> None:
        """Learn that it reads again."""

    def connection_lost(self) -> None:
        """Learn that the client is gone."""

    def close(self) -> None:
        """Say goodbye and close the connection."""


class Application(Protocol):
    """What answers exchanges."""

    def handle(self, exchange: Exchange) -> None:
        """Answer by `respond`, `start_stream` or `upgrade`, now or later."""

    def refuse(self, status: int, message: str) -> Response:
        """Make the body of a refusal that HTTP itself decides: 400, 413, 417, 431, 501, 504, 505."""

    def date(self) -> bytes:
        """Return the Date header's value."""


class Exchange:
    """One request, whole, and the way to answer it."""

    __slots__ = (
        "_connection",
        "body",
        "headers",
        "keep_alive",
        "method",
        "peer",
        "target",
        "warnings",
    )

    def __init__(self, connection: HttpConnection) -> None:
        self._connection: Connection = connection
        self.method = ""
        self.target = b""
        self.headers: dict[bytes, bytes] = {}  #: names in lower case; repeated ones joined by comma
        self.body = b""
        self.keep_alive = True
        self.warnings: tuple[str, ...] = ()  #: noted on the way to an answer, for the client
        self.peer = connection.peer  #: who the connection belongs to, as the TLS layer knows it

    def respond(self, response: Response) -> None:
        """Answer with a whole body; nothing happens when the client is gone."""
        self._connection.send_response(self, response)

    @property
    def is_lost(self) -> bool:
        """Whether the client is gone."""
        return self._connection.is_lost

    def reset(self) -> None:
        """End the connection in place of an answer, as a process does that is killed."""
        self._connection.reset()

    def slow_down(self, seconds: float) -> None:
        """Let the body of a whole answer take so long."""
        self._connection = SlowConnection(self._connection, seconds)

    def stall(self) -> None:
        """Hold back what a stream sends that answers this, if one does."""
        self._connection.stall_watch(stalled=True)

    def start_stream(
        self, status: int, content_type: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> Stream:
        """Answer with a chunked body that is written piece by piece."""
        return self._connection.start_stream(self, Response(status, b"", content_type, headers))

    def upgrade(
        self,
        headers: Iterable[tuple[str, str]],
        make_session: Callable[[asyncio.Transport], Session],
    ) -> None:
        """Answer 101 and hand the connection's raw bytes to a session."""
        self._connection.upgrade(self, headers, make_session)
