"""What /readyz says of a coordinator: as a candidate, as a leader that starts, and with its workers."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
import pytest

from capim.aio.clock import wall_clock
from capim.aio.tasks import TaskScope
from capim.api.resources import WORKLOAD_RESOURCES
from coordinator.app import Manager
from coordinator.kube.leader import LEASE_NAME, LEASES, create_lease
from coordinator.options import parse
from coordinator.readiness import Readiness
from tests.support.kubeapi import KubeApi, serve, until
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from coordinator.kube.client import KubeClient


@contextlib.asynccontextmanager
async def starting(client: KubeClient, *arguments: str) -> AsyncIterator[tuple[Manager, str]]:
    """Start a manager against an API without Cluster API, where a leader gets no further."""
    port = free_port()
    options = parse(
        [
            *("--health-addr", f"127.0.0.1:{port}", "--webhook-port", "0", *arguments),
            *("--diagnostics-address", "0", "--advertise-host", "127.0.0.1"),
        ],
        {},
    )
    async with TaskScope() as scope:
        manager = Manager(options, client, clock=wall_clock, scope=scope)
        start = scope.spawn(manager.start(), name="start")
        try:
            yield manager, f"http://127.0.0.1:{port}/readyz"
        finally:
            start.cancel()
            await manager.stop()


async def answer(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientConnectorError):
                async with session.get(url) as response:
                    return response.status, await response.text()


def test_a_candidate_is_ready_as_it_is_and_a_leader_once_it_has_started() -> None:
    async def go() -> None:
        api = KubeApi(WORKLOAD_RESOURCES)
        async with serve(api) as client:
            held = {"holderIdentity": "other", "leaseDurationSeconds": 60}
            await create_lease(client, "default", held)
            quick = ("--leader-elect", "--leader-elect-retry-period", "10ms")
            async with starting(client, *quick) as (_, url):
                assert await answer(url) == (200, "ok")
                given_back = {"spec": {"holderIdentity": ""}}
                api.merge(LEASES, api.read(LEASES, LEASE_NAME), given_back)
                await until(lambda: any("/apis/cluster.x-k8s.io" in it for _, it in api.requests))
                status, text = await answer(url)
                assert status == 500
                assert "[-]synced failed" in text
                assert "[-]fleet failed" in text

    asyncio.run(go())


@dataclass(frozen=True)
class One:
    name: str
    ready: bool


@pytest.mark.parametrize(
    ("seen", "ready"),
    [
        pytest.param([(False, False)], False, id="none-yet"),
        pytest.param([(True, False)], False, id="not-all-yet"),
        pytest.param([(True, True)], True, id="all"),
        pytest.param([(True, True), (False, True)], True, id="one-lost"),
        pytest.param([(True, True), (False, False)], False, id="all-lost"),
    ],
)
def test_a_leader_is_ready_with_all_its_workers_at_first_and_with_any_later(
    seen: list[tuple[bool, bool]], ready: bool
) -> None:
    readiness, fleet = Readiness(["far"]), list[One]()
    readiness.leads = True
    assert not readiness.staffed()
    readiness.workers = lambda: fleet
    for states in seen:
        fleet[:] = [One(f"worker-{n}", up) for n, up in enumerate(states)]
        fleet.append(One("far", ready=False))
        said = readiness.staffed()
    assert said is ready
