"""Who sees the inside: everybody on loopback or where a flag says so, else who the management API allows."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from capim.aio.clock import wall_clock
from coordinator.diagnostics import Metrics
from coordinator.httpserver import is_loopback
from coordinator.options import parse
from coordinator.servers import Servers
from tests.support.fleet import FakeFleet
from tests.support.ports import free_port
from tests.unit.coordinator.test_diagnostics import Reviews

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATHS = {
    "--diagnostics-address": "/metrics",
    "--metrics-bind-addr": "/metrics",
    "--debug-address": "/listeners",
    "--profiler-address": "/debug/pprof/goroutine",
}


@contextlib.asynccontextmanager
async def serving(*arguments: str) -> AsyncIterator[None]:
    off = ("--health-addr", "0", "--webhook-port", "0", "--debug-address", "0")
    base = (*off, "--diagnostics-address", "0", "--advertise-host", "127.0.0.1")
    options = parse([*base, *arguments], {})
    client: Any = Reviews(known=True, allowed=True)
    servers = Servers(
        options, client, FakeFleet(), Metrics(), clock=wall_clock, readiness={}
    )  # fmt: skip
    await servers.start()
    try:
        yield
    finally:
        await servers.stop()


async def status(url: str, token: str = "") -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(url, ssl=False) as answer,
    ):
        return answer.status


@pytest.mark.parametrize(
    ("flag", "host", "more", "guarded"),
    [
        pytest.param("--diagnostics-address", "127.0.0.1", (), True, id="metrics"),
        pytest.param(
            "--diagnostics-address", "", ("--insecure-diagnostics",), False, id="metrics-insecure"
        ),
        pytest.param("--metrics-bind-addr", "", (), False, id="metrics-as-before"),
        pytest.param("--debug-address", "127.0.0.1", (), False, id="debug-here"),
        pytest.param("--debug-address", "0.0.0.0", (), True, id="debug-everywhere"),  # noqa: S104
        pytest.param("--debug-address", "", (), True, id="debug-all"),
        pytest.param(
            "--debug-address", "", ("--metrics-bind-addr", "127.0.0.1:0"), True, id="debug-metrics"
        ),
        pytest.param(
            "--debug-address", "", ("--insecure-diagnostics",), False, id="debug-insecure"
        ),
        pytest.param("--profiler-address", "localhost", (), False, id="profiler-here"),
        pytest.param("--profiler-address", "", (), True, id="profiler-everywhere"),
    ],
)
def test_who_sees_the_inside(flag: str, host: str, more: tuple[str, ...], guarded: bool) -> None:
    async def scenario() -> None:
        port = free_port()
        async with serving(flag, f"{host}:{port}", *more):
            plain, tls = (f"{it}://127.0.0.1:{port}{PATHS[flag]}" for it in ("http", "https"))
            if guarded:
                with pytest.raises(aiohttp.ClientError):
                    await status(plain)
                assert await status(tls) == 401
                assert await status(tls, token="known") == 200
            else:
                assert await status(plain) == 200

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("127.0.0.1:1", True),
        ("127.8.0.1:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        (":1", False),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("localhost.example.com:1", False),
        ("10.0.0.1:1", False),
        ("0", False),
    ],
)
def test_what_only_this_host_reaches(address: str, here: bool) -> None:
    assert is_loopback(address) is here
