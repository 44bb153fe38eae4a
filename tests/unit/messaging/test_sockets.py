"""In scope: what the sockets promise to their owners. Out: what the messages mean."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
import zmq
import zmq.utils.monitor

from capim.messaging import envelope as m
from capim.messaging.codec import Message
from capim.messaging.keys import COORDINATOR, KeyFileError, load_pair, load_public, make_keys
from capim.messaging.sockets import (
    CoordinatorSocket,
    PeerBusyError,
    PeerGoneError,
    WorkerSocket,
    ipc_address,
)
from tests.support.ports import free_port

REGISTER = m.Register("worker-0", "life", 1)


def never(*_: object) -> None:
    """Nothing is lost on these connections."""
    raise AssertionError


class Inbox:
    """Collects what came in and lets a test wait for it."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Message] = asyncio.Queue()

    def from_worker(self, identity: str, message: Message) -> None:
        assert identity == "worker-0"
        self.messages.put_nowait(message)

    async def next(self) -> Message:
        return await asyncio.wait_for(self.messages.get(), 5)


async def connect(worker: WorkerSocket) -> None:
    """Send a registration as soon as the connection is there."""
    async with asyncio.timeout(5):
        while True:
            try:
                return worker.send(REGISTER)
            except PeerBusyError:
                await asyncio.sleep(0.01)


def test_messages_arrive_in_order_both_ways(tmp_path: Path) -> None:
    async def scenario() -> None:
        address, ours, theirs = ipc_address(tmp_path), Inbox(), Inbox()
        router = CoordinatorSocket(address, ours.from_worker, on_gap=never)
        worker = WorkerSocket(address, "worker-0", theirs.messages.put_nowait, on_gap=never)
        try:
            await connect(worker)
            assert await ours.next() == REGISTER
            for number in range(500):
                router.send("worker-0", m.Query(1, number, "metrics"))
                worker.send(m.Answer("worker-0", "life", number))
            assert [await theirs.next() for _ in range(500)] == [
                m.Query(1, number, "metrics") for number in range(500)
            ]
            assert [await ours.next() for _ in range(500)] == [
                m.Answer("worker-0", "life", number) for number in range(500)
            ]
        finally:
            worker.close()
            router.close()

    asyncio.run(scenario())


def test_over_tcp_only_known_keys_come_in_and_each_under_its_own_name(tmp_path: Path) -> None:
    assert make_keys(tmp_path, [COORDINATOR, "worker-0", "other", "stranger"])
    assert make_keys(tmp_path, ["worker-0"]) == []  # what is there stays
    admitted = {name: load_public(tmp_path, name) for name in ("worker-0", "other")}
    address = f"tcp://127.0.0.1:{free_port()}"

    def worker(name: str, keys: str | None) -> WorkerSocket:
        pair = load_pair(tmp_path, keys) if keys else None
        public = load_public(tmp_path, COORDINATOR)
        return WorkerSocket(
            address, name, lambda _: None, keys=pair, coordinator=public, on_gap=never
        )

    async def scenario() -> None:
        inbox, keys = Inbox(), load_pair(tmp_path, COORDINATOR)
        router = CoordinatorSocket(
            address, inbox.from_worker, keys=keys, admitted=admitted, on_gap=never
        )
        liar = worker("worker-0-too", "other")
        refused = [worker("stranger", "stranger"), worker("open", None)]
        known = worker("worker-0", "worker-0")
        try:
            await connect(liar)  # comes in, but what it says under another name is not heard
            await connect(known)
            assert await inbox.next() == REGISTER
            assert inbox.messages.empty()
            for one in refused:
                with pytest.raises(PeerBusyError):
                    one.send(REGISTER)
        finally:
            for one in (liar, known, *refused):
                one.close()
            router.close()

    asyncio.run(scenario())


def test_a_worker_refuses_a_coordinator_with_another_key(tmp_path: Path) -> None:
    make_keys(tmp_path, [COORDINATOR, "imposter", "worker-0"])
    address = f"tcp://127.0.0.1:{free_port()}"

    async def scenario() -> None:
        admitted = {"worker-0": load_public(tmp_path, "worker-0")}
        imposter = load_pair(tmp_path, "imposter")
        router = CoordinatorSocket(
            address, lambda *_: None, keys=imposter, admitted=admitted, on_gap=never
        )
        keys, public = load_pair(tmp_path, "worker-0"), load_public(tmp_path, COORDINATOR)
        worker = WorkerSocket(
            address, "worker-0", lambda _: None, keys=keys, coordinator=public, on_gap=never
        )
        monitor = worker._socket.get_monitor_socket()
        try:
            failed = False
            while not failed:  # ZeroMQ tries again and again; each try fails
                assert monitor.poll(5000)
                event = zmq.utils.monitor.recv_monitor_message(monitor)["event"]
                failed = event in {zmq.EVENT_DISCONNECTED, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL}
            with pytest.raises(PeerBusyError):
                worker.send(REGISTER)
        finally:
            worker._socket.disable_monitor()
            monitor.close()
            worker.close()
            router.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["absent", "public-only"])
def test_a_key_that_cannot_be_read_names_the_file_and_the_fix(tmp_path: Path, name: str) -> None:
    make_keys(tmp_path, ["public-only"])
    public = (tmp_path / "public-only.key").read_bytes()
    (tmp_path / "public-only.key_secret").write_bytes(public)
    with pytest.raises(KeyFileError, match=f"{name}.key_secret.*capim keys .* {name}` makes it"):
        load_pair(tmp_path, name)


def test_an_address_that_is_taken_is_said(tmp_path: Path) -> None:
    async def scenario() -> None:
        address = f"tcp://127.0.0.1:{free_port()}"
        first = CoordinatorSocket(address, lambda *_: None, on_gap=never)
        try:
            with pytest.raises(ValueError, match="cannot be bound: Address already in use"):
                CoordinatorSocket(address, lambda *_: None, on_gap=never)
        finally:
            first.close()

    asyncio.run(scenario())


def test_a_worker_finds_the_next_coordinator(tmp_path: Path) -> None:
    async def scenario() -> None:
        address = ipc_address(tmp_path)
        first, second = Inbox(), Inbox()
        router = CoordinatorSocket(address, first.from_worker, on_gap=never)
        worker = WorkerSocket(address, "worker-0", lambda message: None, on_gap=never)
        try:
            await connect(worker)
            await first.next()
            router.close()
            router = CoordinatorSocket(address, second.from_worker, on_gap=never)
            async with asyncio.timeout(10):
                while second.messages.empty():  # what goes to the first, as it closes, is lost
                    await connect(worker)
                    await asyncio.sleep(0.02)
            assert await second.next() == REGISTER
        finally:
            worker.close()
            router.close()

    asyncio.run(scenario())


def test_a_send_to_nobody_is_an_error_and_not_a_loss(tmp_path: Path) -> None:
    async def scenario() -> None:
        router = CoordinatorSocket(ipc_address(tmp_path), lambda name, message: None, on_gap=never)
        try:
            with pytest.raises(PeerGoneError):
                router.send("worker-0", m.Ping(1))
        finally:
            router.close()

    asyncio.run(scenario())


def test_a_worker_without_a_coordinator_queues_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        worker = WorkerSocket(ipc_address(tmp_path), "worker-0", lambda message: None, on_gap=never)
        try:
            with pytest.raises(PeerBusyError):
                worker.send(REGISTER)
        finally:
            worker.close()

    asyncio.run(scenario())


def test_foreign_bytes_do_not_disturb(tmp_path: Path) -> None:
    async def scenario() -> None:
        address, ours = ipc_address(tmp_path), Inbox()
        router = CoordinatorSocket(address, ours.from_worker, on_gap=never)
        stranger: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        worker = WorkerSocket(address, "worker-0", lambda message: None, on_gap=never)
        try:
            stranger.connect(address)
            stranger.send(b"\xff\xfe")
            await connect(worker)
            assert await ours.next() == REGISTER
        finally:
            stranger.close(linger=0)
            worker.close()
            router.close()

    asyncio.run(scenario())


def test_the_folder_is_private_and_its_path_short_enough(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert ipc_address(folder) == f"ipc://{folder}/coordinator.sock"
    assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ValueError, match=r"--runtime-dir .* is too long"):
        ipc_address(Path("/" + "x" * 120))


def test_a_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody_else = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody_else)
    with pytest.raises(ValueError, match="belongs to another user"):
        ipc_address(tmp_path)


def test_what_is_lost_on_the_way_is_told_to_whoever_should_have_heard_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        lost: asyncio.Queue[str] = asyncio.Queue()
        address, ours, theirs = ipc_address(tmp_path), Inbox(), Inbox()
        router = CoordinatorSocket(address, ours.from_worker, on_gap=lost.put_nowait)
        worker = WorkerSocket(
            address,
            "worker-0",
            theirs.messages.put_nowait,
            on_gap=lambda: lost.put_nowait("coordinator"),
        )
        try:
            await connect(worker)
            await ours.next()
            outgoing = worker._peer._outgoing
            outgoing.sent(outgoing.place(m.Pong("worker-0", "life")))
            worker.send(m.Pong("worker-0", "life"))
            assert await asyncio.wait_for(lost.get(), 5) == "worker-0"
            router.send("worker-0", m.Welcome(1, "i", 60.0))
            outgoing = router._peers["worker-0"]._outgoing
            outgoing.sent(outgoing.place(m.Ping(1)))
            router.send("worker-0", m.Ping(1))
            assert await asyncio.wait_for(lost.get(), 5) == "coordinator"
            assert [await theirs.next() for _ in range(2)] == [m.Welcome(1, "i", 60.0), m.Ping(1)]
        finally:
            worker.close()
            router.close()

    asyncio.run(scenario())
