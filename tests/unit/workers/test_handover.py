"""In scope: a cluster that goes from one worker process to another, with all it is. Out: who decides it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp
import pytest

from capim.aio.tasks import TaskScope
from capim.api.workload import ListenerState
from capim.messaging import envelope as m
from tests.support.fleetoptions import Options
from tests.support.ports import free_port
from tests.unit.workers.test_processes import (
    KEY,
    Running,
    changes_since,
    client_context,
    put_config_map,
)
from tests.unit.workers.test_state import EPOCH, Worker, cluster, kinds_of, machine
from workers.instructions import GiveState, OpenListener

if TYPE_CHECKING:
    from pathlib import Path


async def move(one: Running, *, port: int) -> None:
    """Let the cluster go to the second worker, and wait until it serves there."""
    before = one.spec
    one.spec = replace(before, port=port, endpoint=f"127.0.0.1:{port}")
    one.fleet.set_cluster("worker-1", one.spec, settled=False)
    await one.until(lambda: one.fleet.moved(KEY))
    one.fleet.set_cluster("worker-1", one.spec)

    def open_() -> bool:
        listener = one.fleet.listener(KEY)
        return listener is not None and listener.state is ListenerState.OPEN

    await one.until(open_)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("same", "journal"),
    [(True, True), (False, False)],
    ids=["same-port-journals", "other-port-no-journals"],
)
def test_a_cluster_moves_with_all_it_is(tmp_path: Path, *, same: bool, journal: bool) -> None:
    state = str(tmp_path / "state") if journal else ""

    async def scenario() -> None:
        options = Options(str(tmp_path), workers=2, state_dir=state)
        connector = aiohttp.TCPConnector(force_close=True)
        async with TaskScope() as scope, aiohttp.ClientSession(connector=connector) as session:
            one = Running(tmp_path, free_port(), scope, options=options)
            try:
                await one.start()
                await one.until(lambda: all(worker.ready for worker in one.fleet.workers()))
                await one.until(one.up)
                made, nodes = await put_config_map(one, session), await one.node_uids()
                watch = await watch_config_maps(one, session, made["metadata"]["resourceVersion"])
                await move(one, port=one.spec.port if same else free_port())
                assert await watch.content.read() == b"", "a watch ends properly"
                assert await one.node_uids() == nodes
                before = str(int(made["metadata"]["resourceVersion"]) - 1)
                assert await changes_since(one, session, before) == ["ADDED mine"]
                views = await one.fleet.query("listeners")
                assert views["worker-0"] == b"{}"
            finally:
                await one.fleet.stop()

    asyncio.run(scenario())


async def watch_config_maps(
    one: Running, session: aiohttp.ClientSession, version: str
) -> aiohttp.ClientResponse:
    url = f"https://127.0.0.1:{one.spec.port}/api/v1/configmaps"
    query = {"watch": "1", "resourceVersion": version}
    return await session.get(url, params=query, ssl=client_context())


@pytest.fixture
def worker() -> Worker:
    return Worker()


def test_what_is_given_is_closed_first_and_sent_as_often_as_it_is_asked_for(worker: Worker) -> None:
    worker.sync(machine())
    asked = m.GiveAway(EPOCH, KEY, "u1")
    assert kinds_of(worker.take(asked)) == ["DropListener", "GiveState"]
    (again,) = worker.take(asked)
    assert isinstance(again, GiveState)
    assert worker.state.clusters == {}
    registered = worker.state.register().report  # type: ignore[union-attr]
    assert isinstance(registered, m.Register)
    assert (registered.clusters, registered.given) == ((), ((KEY, "u1"),))
    worker.take(m.RemoveCluster(EPOCH, KEY, "u1"))
    assert kinds_of(worker.take(asked)) == ["Given"]


def test_what_was_given_and_stays_after_all_is_what_it_was(worker: Worker) -> None:
    worker.sync(machine())
    version = worker.state.clusters[KEY].cluster.group.resource_version
    worker.take(m.GiveAway(EPOCH, KEY, "u1"))
    assert OpenListener(KEY) in worker.take(m.EnsureCluster(EPOCH, cluster()))
    assert worker.state.clusters[KEY].cluster.group.resource_version == version


def test_what_is_taken_is_closed_until_it_is_here_for_good(worker: Worker) -> None:
    worker.take(m.Sync(EPOCH, (), ()))
    take = m.TakeOver(EPOCH, cluster(), (machine(),), b"")
    assert "OpenListener" not in kinds_of(worker.take(take))
    assert kinds_of(worker.take(take))[-1] == "Taken"
    assert OpenListener(KEY) in worker.take(m.EnsureCluster(EPOCH, cluster()))


def test_what_was_taken_and_is_not_for_us_goes(worker: Worker) -> None:
    worker.take(m.Sync(EPOCH, (), ()))
    worker.take(m.TakeOver(EPOCH, cluster(), (machine(),), b""))
    assert "LetGo" in kinds_of(worker.take(m.Sync(EPOCH, (), (), 2)))


def test_what_cannot_be_read_is_built_anew(worker: Worker) -> None:
    worker.take(m.Sync(EPOCH, (), ()))
    worker.take(m.TakeOver(EPOCH, cluster(), (machine(),), b"no frame"))
    assert "cp" in worker.state.clusters[KEY].cluster.machines
