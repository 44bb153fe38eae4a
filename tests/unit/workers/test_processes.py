"""In scope: a coordinator's fleet and real worker processes, over real sockets. Out: controllers."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import pytest

from capim.aio.clock import steady_clock, wall_clock
from capim.aio.tasks import TaskScope
from capim.api.gvk import NamespacedName
from capim.api.meta import JsonObject
from capim.api.workload import ClusterSpec, ListenerState, MachineSpec, Phase
from capim.certs.contexts import load_chain
from capim.certs.issue import client_certificate, new_key, self_signed_ca
from capim.certs.pem import dump_private_key
from capim.cli.keys import main as keys_main
from coordinator.fleet import Fleet
from coordinator.supervisor import lock_holder
from tests.support.fleetoptions import Options
from tests.support.ports import free_port

pytestmark = pytest.mark.slow

KEY = NamespacedName("default", "c1")
CA = self_signed_ca("kubernetes", wall_clock())
ETCD_CA = self_signed_ca("etcd", wall_clock())
PATIENCE_S = 30


def machine(name: str, *, control_plane: bool) -> MachineSpec:
    return MachineSpec(
        KEY, name, f"uid-{name}", control_plane, "v1.31.0", provider_id=f"in-memory://{name}"
    )


class Running:
    """A fleet with one cluster, its workers as processes."""

    def __init__(
        self,
        folder: Path,
        port: int,
        scope: TaskScope,
        *,
        options: Options | None = None,
        worker: str = "worker-0",
    ) -> None:
        self.fleet = Fleet(options or Options(str(folder)), steady_clock, scope)
        self.worker = worker
        self.spec = ClusterSpec(
            KEY, "u1", "127.0.0.1", port, f"127.0.0.1:{port}", ca=CA, etcd_ca=ETCD_CA
        )
        self.folder = folder
        self._changed = asyncio.Event()
        self.fleet.on_change = lambda cluster, machine: self._changed.set()
        self.fleet.on_synced = self._changed.set

    async def start(self) -> None:
        await self.fleet.start(installation="i", reign=None)
        self.fleet.set_cluster(self.worker, self.spec)
        self.fleet.set_machine(machine("cp", control_plane=True))
        self.fleet.set_machine(machine("w", control_plane=False))
        self.fleet.begin()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def up(self) -> bool:
        progress, listener = self.fleet.machine(KEY, "cp"), self.fleet.listener(KEY)
        return (
            self.fleet.workers()[0].ready
            and progress is not None
            and Phase.API_SERVER in progress.done
            and listener is not None
            and listener.state is ListenerState.OPEN
        )

    def worker_pid(self) -> int:
        return int((self.folder / "worker-0.lock").read_text())

    async def node_uids(self) -> dict[str, str]:
        url = f"https://127.0.0.1:{self.spec.port}/api/v1/nodes"
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, ssl=client_context()) as answer,
        ):
            assert answer.status == 200
            nodes = (await answer.json())["items"]
        return {node["metadata"]["name"]: node["metadata"]["uid"] for node in nodes}


def client_context() -> ssl.SSLContext:
    key = new_key()
    certificate = client_certificate(
        CA, key, common_name="admin", organizations=["system:masters"], now=wall_clock()
    )
    context = ssl.create_default_context(cadata=CA.certificate.decode())
    load_chain(context, certificate, dump_private_key(key))
    return context


@asynccontextmanager
async def running(folder: Path, options: Options | None = None) -> AsyncIterator[Running]:
    async with TaskScope() as scope:
        one = Running(folder, free_port(), scope, options=options)
        try:
            await one.start()
            await one.until(one.up)
            yield one
        finally:
            await one.fleet.stop()


def test_a_cluster_comes_up_and_answers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as one:
            assert set(await one.node_uids()) == {"cp", "w"}
            views = await one.fleet.query("listeners")
            assert str(one.spec.port) in views["worker-0"].decode()
            shard = json.loads((await one.fleet.query("shard"))["worker-0"])
            counted = ("clusters", "machines", "openListeners")
            assert [shard[name] for name in counted] == [1, 2, 1]
            assert shard["pid"] == one.worker_pid()
            assert shard["clusterLimit"] > 0
            scraped = (await one.fleet.query("metrics"))["worker-0"].decode()
            assert "capim_machines 2.0" in scraped
            assert 'capim_worker_resident_memory_bytes{worker="worker-0"}' in scraped

    asyncio.run(scenario())


def test_a_killed_worker_comes_back_with_the_same_nodes_on_the_same_port(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as one:
            told: list[tuple[str, bool]] = []
            one.fleet.on_worker = lambda worker, back: told.append((worker, back))
            before, pid = await one.node_uids(), one.worker_pid()
            os.kill(pid, signal.SIGKILL)
            await one.until(lambda: one.worker_pid() != pid and one.up())
            assert await one.node_uids() == before
            # the loss is told with a heartbeat, unless it is over by then
            assert told[-1] == ("worker-0", True)

    asyncio.run(scenario())


def serve(folder: str, port: int, authorities: str, workers: int = 0) -> None:
    """Be a coordinator until killed; says so on standard output once the cluster is up."""
    global CA, ETCD_CA
    CA, ETCD_CA = pickle.loads(bytes.fromhex(authorities))  # noqa: S301 - our own parent wrote it

    async def scenario() -> None:
        async with TaskScope() as scope:
            one = Running(Path(folder), port, scope)
            if workers:  # the cluster is on the last one, and is written down
                options = Options(folder, workers=workers, state_dir=f"{folder}/state")
                name = f"worker-{workers - 1}"
                one = Running(Path(folder), port, scope, options=options, worker=name)
            await one.start()
            await one.until(one.up)
            print("up", flush=True)  # noqa: T201 - what the parent waits for
            await asyncio.Event().wait()

    asyncio.run(scenario())


@contextmanager
def coordinator(folder: Path, port: int, *, workers: int = 0) -> Iterator[None]:
    """Run a coordinator in a process of its own, which is killed in the end; its workers live on."""
    authorities = pickle.dumps((CA, ETCD_CA)).hex()
    call = f"serve({str(folder)!r}, {port}, {authorities!r}, {workers})"
    code = f"from {__name__} import serve; {call}"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        while first.stdout.readline() != "up\n":
            assert first.poll() is None
        try:
            yield
        finally:
            first.kill()


@pytest.mark.parametrize("counted", [True, False], ids=["counted", "count-lost"])
def test_a_worker_outlives_its_coordinator_and_is_adopted(tmp_path: Path, counted: bool) -> None:
    port = free_port()
    with coordinator(tmp_path, port):
        pass
    if not counted:
        (tmp_path / "epoch").unlink()

    async def scenario() -> None:
        async with TaskScope() as scope:
            second = Running(tmp_path, port, scope)
            pid, before = second.worker_pid(), await second.node_uids()
            try:
                await second.start()
                await second.until(second.up)
                assert second.worker_pid() == pid
                assert await second.node_uids() == before
                assert (tmp_path / "epoch").read_text() == "2"
            finally:
                await second.fleet.stop()
        assert lock_holder(tmp_path / "worker-0.lock") is None

    asyncio.run(scenario())


def test_a_worker_of_another_host_serves_over_tcp(tmp_path: Path) -> None:
    keys, address = tmp_path / "keys", f"tcp://127.0.0.1:{free_port()}"
    assert keys_main([str(keys), "far"]) == 0
    options = Options(
        str(tmp_path / "run"), 0, remote_workers=(("far", "127.0.0.1"),), worker_listen=address,
        worker_keys=str(keys),
    )  # fmt: skip
    command = [sys.executable, "-m", "workers", "--name", "far", "--connect", address]
    command += ["--keys", str(keys), "--runtime-dir", str(tmp_path / "far")]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([*command, "--bind-host", "127.0.0.1"])

    async def scenario() -> None:
        async with TaskScope() as scope:
            one = Running(tmp_path, free_port(), scope, options=options, worker="far")
            with start() as process:
                try:
                    await one.start()
                    await one.until(one.up)
                    before = await one.node_uids()
                    process.kill()
                    process.wait()
                    with start() as again:
                        await one.until(lambda: not one.fleet.workers()[0].ready)
                        await one.until(one.up)
                        assert await one.node_uids() == before
                        again.terminate()
                finally:
                    process.kill()
                    await one.fleet.stop()

    asyncio.run(scenario())


def test_a_machine_goes_when_it_is_no_longer_desired(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as one:
            one.fleet.remove_machine(KEY, "w", "uid-w")
            await one.until(lambda: one.fleet.machine_gone(KEY, "w", "uid-w"))
            assert set(await one.node_uids()) == {"cp"}

    asyncio.run(scenario())


def test_two_coordinators_do_not_share_a_folder(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path), TaskScope() as scope:
            other = Fleet(Options(str(tmp_path)), steady_clock, scope)
            with pytest.raises(ValueError, match="in use by another coordinator"):
                await other.start(installation="i", reign=None)

    asyncio.run(scenario())


async def put_config_map(one: Running, session: aiohttp.ClientSession) -> JsonObject:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}}
    url = f"https://127.0.0.1:{one.spec.port}/api/v1/namespaces/default/configmaps"
    async with session.post(url, json=body, ssl=client_context()) as answer:
        assert answer.status == 201
        made: JsonObject = await answer.json()
        return made


async def changes_since(one: Running, session: aiohttp.ClientSession, version: str) -> list[str]:
    """Return the names in a watch's first events from a version on."""
    url = f"https://127.0.0.1:{one.spec.port}/api/v1/configmaps"
    query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "1"}
    async with session.get(url, params=query, ssl=client_context()) as answer:
        events = [json.loads(line) async for line in answer.content]
    return [f"{event['type']} {event['object']['metadata']['name']}" for event in events]


def test_clusters_of_a_worker_that_is_not_wanted_any_more_lose_nothing(tmp_path: Path) -> None:
    """A coordinator is killed; the next runs fewer workers while the old ones still serve."""
    port, state = free_port(), tmp_path / "state"

    async def scenario() -> None:
        options = Options(str(tmp_path), state_dir=str(state))
        async with (
            TaskScope() as scope,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
        ):
            one = Running(tmp_path, port, scope, options=options)
            with coordinator(tmp_path, port, workers=2):
                made = await put_config_map(one, session)
            try:
                await one.start()
                await one.until(one.up)
                url = f"https://127.0.0.1:{port}/api/v1/namespaces/default/configmaps/mine"
                async with session.get(url, ssl=client_context()) as answer:
                    assert await answer.json() == made
                assert [file.name for file in state.glob("*.journal")] == ["worker-0.journal"]
            finally:
                await one.fleet.stop()

    asyncio.run(scenario())


def test_a_killed_worker_with_a_journal_has_lost_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        options = Options(str(tmp_path), state_dir=str(tmp_path / "state"))
        async with (
            TaskScope() as scope,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
        ):
            one = Running(tmp_path, free_port(), scope, options=options)
            try:
                await one.start()
                await one.until(one.up)
                made, pid = await put_config_map(one, session), one.worker_pid()
                os.kill(pid, signal.SIGKILL)
                await one.until(lambda: one.worker_pid() != pid and one.up())
                url = f"https://127.0.0.1:{one.spec.port}/api/v1/namespaces/default/configmaps/mine"
                async with session.get(url, ssl=client_context()) as answer:
                    assert await answer.json() == made
                before = str(int(made["metadata"]["resourceVersion"]) - 1)
                assert await changes_since(one, session, before) == ["ADDED mine"]
            finally:
                await one.fleet.stop()

    asyncio.run(scenario())
