"""An aiohttp application on an address, for so many connections and for so long.

aiohttp bounds sizes. It has no limit for how long a client may take for its headers, its body, or to read
the answer, and none for connections. Here a request has so long from its first byte to the last of its
answer, a connection so long to begin one, and with one connection too many that gives way which has done
nothing for the longest: not the API server's, which asks all the time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web

if TYPE_CHECKING:
    import logging
    import ssl

#: of what is left of a body that nobody wanted to read
_LINGER_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a server puts up with."""

    connections: int = 256
    handshake_s: float = 10.0
    #: a review has 30 s at most, by the management API's own rules
    request_s: float = 30.0
    #: Go's clients close after 90: they should be first, so that no request meets a closed connection
    idle_s: float = 120.0


class _Connection(web.RequestHandler):
    """One connection. One loop, no lock."""

    __slots__ = ("_answering", "_bounds", "_deadline", "_others")

    def __init__(self, server: web.Server, bounds: Bounds, others: dict[_Connection, None]) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            server, loop=loop, access_log=cast("logging.Logger", None), lingering_time=_LINGER_S
        )
        self._bounds = bounds
        self._others = others  #: all, the one that has done nothing for the longest first
        self._deadline: asyncio.TimerHandle | None = None
        self._answering = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in; for one too many another goes."""
        super().connection_made(transport)
        self._moved(self._bounds.request_s)
        if len(self._others) > self._bounds.connections:
            next(iter(self._others)).cut_off()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget it."""
        self._others.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the first of a request begin its time."""
        if not self._answering:
            self._answering = True
            self._moved(self._bounds.request_s)
        super().data_received(data)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; its end begins the time of being idle."""
        result = await super().finish_response(request, resp, start_time)
        self._answering = False
        if self in self._others:
            self._moved(self._bounds.idle_s)
        return result

    def _moved(self, time_s: float) -> None:
        self._others.pop(self, None)
        self._others[self] = None
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(time_s, self.cut_off)

    def cut_off(self) -> None:
        """End the connection without waiting for the client to take what was sent."""
        self._others.pop(self, None)
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()


class BoundedServer:
    """Serves an application on one address."""

    def __init__(
        self, application: web.Application, *, grace_s: float, bounds: Bounds | None = None
    ) -> None:
        """Plan it; `grace_s`: how long requests under way have when it stops."""
        self._runner = web.AppRunner(application, shutdown_timeout=grace_s)
        self._bounds = bounds or Bounds()
        self._connections: dict[_Connection, None] = {}
        self._listening: asyncio.Server | None = None

    @property
    def port(self) -> int | None:
        """The port that is listened on; None before and after."""
        sockets = self._listening.sockets if self._listening is not None else ()
        return int(sockets[0].getsockname()[1]) if sockets else None

    async def start(
        self, host: str | None, port: int, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        """Listen; no host means all addresses. Raises OSError."""
        await self._runner.setup()
        server = cast("web.Server", self._runner.server)
        try:
            self._listening = await asyncio.get_running_loop().create_server(
                lambda: _Connection(server, self._bounds, self._connections),
                host,
                port,
                ssl=ssl_context,
                ssl_handshake_timeout=self._bounds.handshake_s if ssl_context else None,
            )
        except OSError:
            await self._runner.cleanup()
            raise

    async def stop(self) -> None:
        """Finish what is being answered, then close."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.close()
        await self._runner.cleanup()
