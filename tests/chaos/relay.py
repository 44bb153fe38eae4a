"""What stands between the coordinator and the management API, and can be cut, hang or be slow."""

from __future__ import annotations

import asyncio
import contextlib


class Relay:
    """Joins connections to a port of loopback. One loop, no lock."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._open = asyncio.Event()  #: cleared: what is sent waits
        self._open.set()
        self.refusing = False
        self.delay_s = 0.0

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)

    async def stop(self) -> None:
        """End every connection and give the port back."""
        assert self._server is not None
        self._server.close()
        self.cut()
        self._open.set()
        await self._server.wait_closed()

    def cut(self) -> None:
        """End every connection at once."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    def hang(self) -> None:
        """Let nothing through until `go_on`."""
        self._open.clear()

    def go_on(self) -> None:
        """Let everything through again."""
        self._open.set()
        self.refusing, self.delay_s = False, 0.0

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            upstream, onward = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(onward)
            await asyncio.gather(self._pump(reader, onward), self._pump(upstream, writer))
        except OSError:
            writer.transport.abort()
        finally:
            self._writers.discard(writer)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                await self._open.wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                sink.write(data)
                await sink.drain()
        sink.transport.abort()
        self._writers.discard(sink)
