"""HTTP connections in memory: a transport that remembers, and a client that reads what it was sent."""

from __future__ import annotations

import asyncio
import math
import random
from typing import TYPE_CHECKING, Any

import httptools
import orjson

from capim.api.identity import User
from capim.server.apiserver import ApiServer
from capim.server.auth import Certificate
from capim.server.http import HttpConnection
from capim.server.metrics import Metrics
from tests.support.served import Answer, make_served

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.api.meta import JsonObject
    from capim.server.http import Application
    from capim.server.served import Served

ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))


class MemoryTransport(asyncio.Transport):
    """Keeps what is written; `waiting` says how much of it the client has not read."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.waiting = 0
        self.closed = False
        self.aborted = False
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Remember."""
        self.written += bytes(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Remember all."""
        self.written += b"".join(map(bytes, list_of_data))

    def close(self) -> None:
        """Remember."""
        self.closed = True

    def abort(self) -> None:
        """Remember."""
        self.aborted = True

    def is_closing(self) -> bool:
        """Tell."""
        return self.closed or self.aborted

    def get_write_buffer_size(self) -> int:
        """Tell what the test set."""
        return self.waiting

    def pause_reading(self) -> None:
        """Remember."""
        self.reading = False

    def resume_reading(self) -> None:
        """Remember."""
        self.reading = True

    def take(self) -> bytes:
        """Return what was written since the last time."""
        taken, self.written = self.written, b""
        return taken


class ReadAnswers:
    """Parses answers out of bytes."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.body = b""  #: of the answer that is not complete
        self._headers: dict[str, str] = {}
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> list[Answer]:
        """Return the answers that these bytes complete."""
        self.answers = []
        self._parser.feed_data(data)
        return self.answers

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect."""
        self._headers[name.decode()] = value.decode()

    def on_body(self, data: bytes) -> None:
        """Collect."""
        self.body += data

    def on_message_complete(self) -> None:
        """Finish an answer."""
        status = self._parser.get_status_code()
        self.answers.append(Answer(status, self._headers, self.body))
        self.body, self._headers = b"", {}


def encode_request(method: str, path: str, body: object = None, **headers: str) -> bytes:
    """Write a request; a body that is not bytes becomes JSON."""
    data = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
    named = {"Host": "x", **{name.replace("_", "-"): it for name, it in headers.items()}}
    if data:
        named["Content-Length"] = str(len(data))
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + data


class MemoryClient:
    """One client of an application, without sockets."""

    def __init__(self, application: Application, peer: object = ADMIN) -> None:
        if isinstance(peer, User):
            peer = Certificate(peer, math.inf)
        self.transport = MemoryTransport()
        self.connection = HttpConnection(application, peer=peer)
        self.connection.connection_made(self.transport)
        self.reader = ReadAnswers()

    def send(self, data: bytes) -> list[Answer]:
        """Send bytes and return the answers that came at once."""
        self.connection.data_received(data)
        return self.reader.feed(self.transport.take())

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send one request that is answered at once."""
        (answer,) = self.send(encode_request(method, path, body, **headers))
        return answer

    async def events(self) -> list[JsonObject]:
        """Return the watch events that have come since the last time."""
        await asyncio.sleep(0)  # pieces leave at the end of the loop's turn
        self.reader.feed(self.transport.take())
        lines, self.reader.body = self.reader.body, b""
        return [orjson.loads(line) for line in lines.splitlines()]


def make_api(served: Served | None = None, **options: Any) -> ApiServer:
    """Make the API server of a cluster, without a listener."""
    served = served or make_served()
    clock = options.pop("clock", lambda: 1_700_000_000.0)
    metrics = options.pop("metrics", None) or Metrics()
    return ApiServer(served, metrics, clock=clock, rng=random.Random(1), **options)  # noqa: S311
