"""In scope: how the shell of a worker takes what the coordinator says. Out: what follows from it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from capim.aio.tasks import TaskScope
from capim.api.gvk import NamespacedName
from capim.api.workload import Authorization, ClusterSpec, Simulation
from capim.messaging import envelope as m
from capim.messaging.sockets import CoordinatorSocket, ipc_address
from tests.support.ports import free_port
from workers import app

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from capim.messaging.codec import Message


def cluster(number: int) -> ClusterSpec:
    port = free_port()
    key = NamespacedName("default", f"c{number}")
    return ClusterSpec(key, f"u{number}", "127.0.0.1", port, f"127.0.0.1:{port}")


def lost(*_: object) -> None:
    """Nothing is lost on these connections."""
    raise AssertionError


def test_a_worker_answers_while_it_builds_a_large_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_SLICE_S", 0.0)
    heard: asyncio.Queue[Message] = asyncio.Queue()
    kinds: list[type[Message]] = []

    async def scenario() -> None:
        address = ipc_address(tmp_path)
        router = CoordinatorSocket(address, lambda _, one: heard.put_nowait(one), on_gap=lost)
        options = app.WorkerOptions(
            "worker-0", address, tmp_path, "127.0.0.1", 0, "text",
            Simulation.OFF, Authorization.ALWAYS_ALLOW,
        )  # fmt: skip
        async with TaskScope() as scope:
            worker = app.Worker(options, scope)
            worker.start()
            assert isinstance(await heard.get(), m.Register)
            router.send(
                "worker-0", m.Sync(1, tuple(cluster(number) for number in range(20)), (), 1)
            )
            assert isinstance(await heard.get(), m.ListenerChanged)
            router.send("worker-0", m.Ping(1))
            while not isinstance(one := await heard.get(), m.Synced):
                kinds.append(type(one))
            await worker.stop()
        router.close()
        assert m.Pong in kinds

    asyncio.run(asyncio.wait_for(scenario(), 10))
