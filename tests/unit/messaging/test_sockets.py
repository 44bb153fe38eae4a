"""In scope: what the sockets promise to their owners. Out: what the messages mean."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
import zmq

from capim.messaging import envelope as m
from capim.messaging.codec import Message
from capim.messaging.sockets import (
    CoordinatorSocket,
    PeerBusyError,
    PeerGoneError,
    WorkerSocket,
    ipc_address,
)

REGISTER = m.Register("worker-0", "life", 1)


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
        router = CoordinatorSocket(address, ours.from_worker)
        worker = WorkerSocket(address, "worker-0", theirs.messages.put_nowait)
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


def test_a_worker_finds_the_next_coordinator(tmp_path: Path) -> None:
    async def scenario() -> None:
        address = ipc_address(tmp_path)
        first, second = Inbox(), Inbox()
        router = CoordinatorSocket(address, first.from_worker)
        worker = WorkerSocket(address, "worker-0", lambda message: None)
        try:
            await connect(worker)
            await first.next()
            router.close()
            router = CoordinatorSocket(address, second.from_worker)
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
        router = CoordinatorSocket(ipc_address(tmp_path), lambda name, message: None)
        try:
            with pytest.raises(PeerGoneError):
                router.send("worker-0", m.Ping(1))
        finally:
            router.close()

    asyncio.run(scenario())


def test_a_worker_without_a_coordinator_queues_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        worker = WorkerSocket(ipc_address(tmp_path), "worker-0", lambda message: None)
        try:
            with pytest.raises(PeerBusyError):
                worker.send(REGISTER)
        finally:
            worker.close()

    asyncio.run(scenario())


def test_foreign_bytes_do_not_disturb(tmp_path: Path) -> None:
    async def scenario() -> None:
        address, ours = ipc_address(tmp_path), Inbox()
        router = CoordinatorSocket(address, ours.from_worker)
        stranger: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        worker = WorkerSocket(address, "worker-0", lambda message: None)
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
