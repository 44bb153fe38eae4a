"""A cluster's share of the loop: nothing is lost or reordered by waiting, and neighbours come in between."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING

import pytest

from capim.server import http, shares
from capim.server.exchange import TOO_MANY_REQUESTS, Response
from capim.server.http import HttpConnection
from capim.server.shares import Pace, Share, Turns
from tests.support.memory import MemoryTransport, ReadAnswers, encode_request
from tests.unit.server.test_http import UPGRADE, Echo, Raw, _grants

if TYPE_CHECKING:
    from capim.server.exchange import Exchange


class Client:
    """A connection with a share, in memory."""

    def __init__(self, echo: Echo, share: Share, name: str = "somebody") -> None:
        self.transport = MemoryTransport()
        self.connection = HttpConnection(echo, share=share, client=name)
        self.connection.connection_made(self.transport)
        self._reader = ReadAnswers()

    def answers(self) -> list[tuple[int, bytes]]:
        """Return status and body of the answers since the last time."""
        return [(it.status, it.body) for it in self._reader.feed(self.transport.take())]


async def turns(count: int = 50) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture
def tired(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whatever is done be above the budget."""
    monkeypatch.setattr(shares, "BUDGET_S", 0.0)


@pytest.mark.usefixtures("tired")
def test_pipelined_requests_are_answered_in_order_one_a_turn() -> None:
    async def go() -> None:
        client = Client(Echo(), Share())
        client.connection.data_received(b"".join(encode_request("GET", f"/{n}") for n in range(40)))
        first = client.answers()
        assert len(first) <= 1
        await asyncio.sleep(0)
        assert len(client.answers()) <= 1
        client.connection.data_received(encode_request("POST", "/last", b"body"))
        await turns(100)
        assert client.answers()[-1] == (200, b"POST /last body")

    asyncio.run(go())


@pytest.mark.usefixtures("tired")
@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_what_waits_arrives_whole_in_whatever_pieces(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_BODY_SLICE_BYTES", 3000)
    bodies = [bytes([65 + n]) * n * 1000 for n in range(6)]
    sent = b"".join(encode_request("POST", "/x", body) for body in bodies)

    async def go() -> None:
        client = Client(Echo(), Share())
        for at in range(0, len(sent), size):
            client.connection.data_received(sent[at : at + size])
        await turns(200)
        assert client.answers() == [(200, b"POST /x " + body) for body in bodies]
        assert client.transport.reading

    asyncio.run(go())


@pytest.mark.usefixtures("tired")
def test_client_that_sends_without_end_is_not_read_while_it_waits() -> None:
    async def go() -> None:
        client = Client(Echo(), Share())
        client.connection.data_received(encode_request("GET", "/a") * 2000)
        paused = not client.transport.reading
        await turns(5000)
        assert paused
        assert client.transport.reading
        assert len(client.answers()) == 2000

    asyncio.run(go())


@pytest.mark.usefixtures("tired")
def test_neighbour_is_answered_between_two_requests_of_a_busy_cluster() -> None:
    async def go() -> None:
        busy, neighbour = Client(Echo(), Share()), Client(Echo(), Share())
        busy.connection.data_received(encode_request("GET", "/a") * 100)
        neighbour.connection.data_received(encode_request("GET", "/b"))
        assert neighbour.answers() == [(200, b"GET /b ")]
        assert len(busy.answers()) < 5

    asyncio.run(go())


@pytest.mark.usefixtures("tired")
def test_cluster_stands_in_line_only_while_another_has_work() -> None:
    async def go() -> None:
        of_process = Turns()
        busy, neighbour = (Client(Echo(), Share(of_process)) for _ in range(2))
        for _ in range(3):
            busy.connection.data_received(encode_request("GET", "/a"))
        assert len(busy.answers()) == 3
        neighbour.connection.data_received(encode_request("GET", "/b"))
        for _ in range(3):
            busy.connection.data_received(encode_request("GET", "/c"))
        assert len(busy.answers()) < 3
        await turns()
        assert len(busy.answers()) >= 2

    asyncio.run(go())


class Large(Echo):
    """Answers `/large` with many bytes."""

    body = bytes(range(256)) * 5000

    def reply(self, exchange: Exchange) -> None:
        if exchange.target == b"/large":
            exchange.respond(Response(200, self.body))
        else:
            super().reply(exchange)


def test_large_answer_leaves_in_pieces_and_the_next_behind_it() -> None:
    async def go() -> None:
        client = Client(Large(), Share())
        client.connection.data_received(
            encode_request("GET", "/large") + encode_request("GET", "/a")
        )
        assert len(client.transport.written) < len(Large.body)
        client.connection.pause_writing()
        await turns()
        assert len(client.transport.written) < len(Large.body)
        client.connection.resume_writing()
        await turns()
        assert client.answers() == [(200, Large.body), (200, b"GET /a ")]

    asyncio.run(go())


@pytest.mark.parametrize("end", ["close", "lost"])
def test_large_answer_under_way_when_the_connection_ends(end: str) -> None:
    async def go() -> None:
        client = Client(Large(), Share())
        client.connection.data_received(encode_request("GET", "/large"))
        if end == "close":
            client.connection.close()
            assert client.answers() == [(200, Large.body)]
        else:
            client.connection.connection_lost(None)
            client.transport.take()
        await turns()
        assert client.transport.written == b""

    asyncio.run(go())


@pytest.mark.usefixtures("tired")
def test_client_with_too_many_waiting_is_told_to_come_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shares, "IN_FLIGHT_LIMIT", 3)

    async def go() -> None:
        share, echo = Share(), Echo()
        share.charge(0.005, "")
        clients = [Client(echo, share, "greedy") for _ in range(5)]
        other = Client(echo, share, "modest")
        for client in (*clients, other):
            client.connection.data_received(encode_request("GET", "/a"))
        await turns()
        statuses = [client.answers()[0][0] for client in clients]
        assert statuses == [429, 429, 429, 200, 200]
        assert other.answers()[0][0] == 200
        assert not share.in_line

    asyncio.run(go())


@pytest.fixture
def at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the thread have had the core all the time."""
    hours = itertools.count(1)
    monkeypatch.setattr(time, "thread_time", lambda: next(hours) * 3600.0)


def test_step_that_waited_for_the_core_is_nobodys_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> None:
        share = Share()
        monkeypatch.setattr(time, "thread_time", lambda: 7.0)
        share.charge(60.0, "first")
        await turns(2)
        share.charge(60.0, "somebody")
        assert "somebody" not in share.debts

    asyncio.run(go())


@pytest.mark.usefixtures("at_work")
def test_client_of_long_steps_is_told_to_come_later_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def go() -> None:
        share, echo = Share(), Echo()
        greedy, other = Client(echo, share, "greedy"), Client(echo, share, "modest")

        async def ask(client: Client) -> int:
            client.connection.data_received(encode_request("GET", "/a"))
            await turns(5)
            return client.answers()[0][0]

        for _ in range(9):
            share.charge(shares.BURST_S / 10, "greedy")
        await turns(5)
        assert (await ask(greedy), await ask(other)) == (200, 200)
        share.charge(shares.BURST_S / 5, "greedy")
        await turns(5)
        assert (await ask(greedy), await ask(other)) == (429, 200)
        later = time.perf_counter() + 200
        monkeypatch.setattr(time, "perf_counter", lambda: later)
        assert await ask(greedy) == 200

    asyncio.run(go())


@pytest.mark.usefixtures("at_work")
def test_debts_that_are_paid_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> None:
        share = Share()
        share.charge(60.0, "greedy")
        for number in range(shares._DEBTORS):
            share.charge(0.02, str(number))
        later = time.perf_counter() + 60
        monkeypatch.setattr(time, "perf_counter", lambda: later)
        share.charge(0.02, "late")
        assert set(share.debts) == {"greedy", "late"}

    asyncio.run(go())


def test_session_hears_nothing_while_its_client_does_not_read() -> None:
    async def go() -> None:
        raw, echo = Raw(), Echo()
        echo.hold = _grants(raw)
        client = Client(echo, Share())
        client.connection.data_received(UPGRADE)
        client.connection.pause_writing()
        client.connection.data_received(b"ping" * 10_000)
        await turns()
        assert raw.received == b""
        assert not client.transport.reading
        client.connection.resume_writing()
        await turns()
        assert raw.received == b"ping" * 10_000
        assert client.transport.reading

    asyncio.run(go())


def test_429_says_when_to_come_again() -> None:
    assert (b"Retry-After", b"1") in TOO_MANY_REQUESTS.headers


def test_lost_connection_leaves_the_line() -> None:
    async def go() -> None:
        share = Share()
        client = Client(Echo(), share)
        share.charge(0.005, "")
        client.connection.data_received(encode_request("GET", "/a"))
        assert share.in_line["somebody"] == 1
        client.connection.connection_lost(None)
        await turns()
        assert not share.in_line
        assert client.transport.written == b""

    asyncio.run(go())


def test_steps_are_done_in_the_order_they_came_until_the_budget_is_spent() -> None:
    async def go() -> None:
        share, done = Share(), []

        def pace(name: str) -> Pace:
            def step() -> bool:
                done.append(name)
                share.charge(0.005, "")
                return len(done) < 4

            return Pace(share, name, step)

        for name in "ab":
            pace(name).line_up()
        assert done == []
        await asyncio.sleep(0)
        assert done == ["a"]
        await turns(5)
        assert done == ["a", "b", "a", "b", "a"]

    asyncio.run(go())
