"""Connections that are opened and not used: bounded, timed, and in nobody's way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource as limits
import socket
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from capim.server import doors, listener
from capim.server.doors import Doors
from tests.support.served import Running, running

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
Run = Any  # asyncio.run, uvloop.run: both take a coroutine

GET = b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
WATCH = b"GET /api/v1/nodes?watch=true HTTP/1.1\r\nHost: x\r\n\r\n"
#: the first bytes of a TLS record that never becomes whole
HALF_HELLO = bytes([22, 3, 1, 2, 0, 1])


@pytest.fixture(autouse=True)
def no_socket_is_left() -> Iterator[None]:
    before = sockets()
    yield
    assert sockets() <= before


def sockets() -> set[str]:
    names = set()
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            names.add(os.readlink(f"/proc/self/fd/{descriptor}"))
    return {name for name in names if name.startswith("socket:")}


async def ask(it: Running) -> bytes:
    """Make an honest request on a new connection."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", it.listener.port, ssl=it.client_context()
    )
    writer.write(GET)
    answer = await reader.read()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return answer.partition(b"\r\n")[0]


async def is_closed(client: socket.socket) -> bool:
    """Tell whether the server closed a connection, which it has said nothing on."""
    client.setblocking(False)
    try:
        async with asyncio.timeout(0.2):
            return await asyncio.get_running_loop().sock_recv(client, 1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def half_open(it: Running) -> int:
    door = it.listener._door
    assert door is not None
    return door.half_open


async def opened(it: Running, stack: contextlib.ExitStack, first: bytes = b"") -> socket.socket:
    client = stack.enter_context(socket.create_connection(("127.0.0.1", it.listener.port)))
    client.sendall(first)
    await asyncio.sleep(0)
    return client


@LOOPS
@pytest.mark.parametrize("first", [b"", HALF_HELLO], ids=["silent", "half-a-hello"])
def test_half_open_connections_are_bounded_and_the_oldest_gives_way(
    run: Run, first: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "SILENT_LIMIT", 5)
    monkeypatch.setattr(doors, "HANDSHAKE_LIMIT", 5)

    async def go() -> None:
        with contextlib.ExitStack() as stack:
            async with running() as it:
                clients = [await opened(it, stack, first) for _ in range(20)]
                assert await is_closed(clients[0])
                assert half_open(it) <= 5 + 5
                assert await ask(it) == b"HTTP/1.1 200 OK"
                assert not await is_closed(clients[-1])
            assert await is_closed(clients[-1])

    run(go())


@LOOPS
def test_client_that_says_nothing_is_closed_in_time(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def go() -> None:
        with contextlib.ExitStack() as stack:
            async with running() as it:
                client = await opened(it, stack)
                door = it.listener._door
                assert door is not None
                while not half_open(it):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0)
                door.sweep()
                assert not await is_closed(client)
                monkeypatch.setattr(doors, "HANDSHAKE_S", 0.0)
                door.sweep()
                assert await is_closed(client)
                assert half_open(it) == 0

    run(go())


@LOOPS
def test_http_in_clear_is_told_so(run: Run) -> None:
    async def go() -> None:
        async with running() as it:
            reader, writer = await asyncio.open_connection("127.0.0.1", it.listener.port)
            writer.write(b"GET /")
            assert await reader.read() == (
                b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
            )
            writer.close()

    run(go())


@LOOPS
def test_idle_connections_make_room_and_busy_ones_stay(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "CONNECTION_LIMIT", 2)

    async def go() -> None:
        async with running() as it:
            context = it.client_context()
            writers = []
            for _ in range(2):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", it.listener.port, ssl=context
                )
                writer.write(WATCH)
                await reader.readuntil(b"\r\n\r\n")
                writers.append(writer)
            with pytest.raises(OSError):  # noqa: PT011 - reset or end of file
                await ask(it)
            writers.pop().close()
            async with asyncio.timeout(5):
                while it.served.group.watches == 2:  # noqa: ASYNC110 - the group tells nobody
                    await asyncio.sleep(0)
            it.listener._full = False
            assert await ask(it) == b"HTTP/1.1 200 OK"
            writers.pop().close()

    run(go())


@LOOPS
def test_connection_above_the_descriptors_is_refused_until_some_are_free(run: Run) -> None:
    async def go() -> None:
        all_doors = Doors(0)
        with contextlib.ExitStack() as stack:
            async with running(doors=all_doors) as it:
                assert await is_closed(await opened(it, stack))
                all_doors._descriptors = 1 << 20
                await _until_answered(it)

    run(go())


@LOOPS
def test_accept_does_not_spin_without_descriptors_and_recovers(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    accept = doors.Door._accept

    def counted(door: doors.Door) -> None:
        calls.append(door)
        accept(door)

    monkeypatch.setattr(doors.Door, "_accept", counted)

    async def go() -> None:
        before = limits.getrlimit(limits.RLIMIT_NOFILE)
        with contextlib.ExitStack() as stack:
            async with running() as it:
                late = stack.enter_context(socket.socket())
                limits.setrlimit(limits.RLIMIT_NOFILE, (_highest() + 1, before[1]))
                try:
                    late.connect(("127.0.0.1", it.listener.port))
                    await asyncio.sleep(0.1)
                finally:
                    limits.setrlimit(limits.RLIMIT_NOFILE, before)
                assert 1 <= len(calls) <= 2
                await _until_answered(it)

    run(go())


def _highest() -> int:
    return max(map(int, os.listdir("/proc/self/fd")))


async def _until_answered(it: Running) -> None:
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(OSError):
                assert await ask(it) == b"HTTP/1.1 200 OK"
                return
