"""In scope: how the shell of a worker takes what the coordinator says. Out: what follows from it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from capim.aio.tasks import TaskScope
from capim.api.gvk import NamespacedName
from capim.api.workload import Authorization, ClusterSpec, Simulation
from capim.messaging import envelope as m
from capim.messaging.sockets import ipc_address
from tests.support.ports import free_port
from workers import app

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def cluster(number: int) -> ClusterSpec:
    port = free_port()
    key = NamespacedName("default", f"c{number}")
    return ClusterSpec(key, f"u{number}", "127.0.0.1", port, f"127.0.0.1:{port}")


def test_a_worker_answers_while_it_builds_a_large_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_SLICE_S", 0.0)
    sent: list[type[m.Report]] = []
    done = asyncio.Event()

    def send(self: app.Worker, report: m.Report) -> None:
        sent.append(type(report))
        if sent.count(m.ListenerChanged) == 1 and isinstance(report, m.ListenerChanged):
            self._on_message(m.Ping(1))  # the first listener is bound, others are to come
        if isinstance(report, m.Synced):
            done.set()

    monkeypatch.setattr(app.Worker, "_send", send)

    async def scenario() -> None:
        options = app.WorkerOptions(
            "worker-0", ipc_address(tmp_path), tmp_path, "127.0.0.1", 0, "text",
            Simulation.OFF, Authorization.ALWAYS_ALLOW,
        )  # fmt: skip
        async with TaskScope() as scope:
            worker = app.Worker(options, scope)
            worker.start()
            worker._on_message(m.Sync(1, tuple(cluster(number) for number in range(5)), (), 1))
            await done.wait()
            await worker.stop()

    asyncio.run(asyncio.wait_for(scenario(), 10))
    assert m.Pong in sent[: sent.index(m.Synced)]
