"""HTTP without an application: order, limits, framing, upgrades, and clients that do not read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from capim.server.http import BODY_LIMIT_BYTES, Exchange, Response
from capim.server.httphead import HEADER_LIMIT_BYTES
from capim.server.streams import BUFFER_LIMIT_BYTES, Stream
from tests.support.memory import MemoryClient, encode_request

if TYPE_CHECKING:
    from collections.abc import Callable

GET = encode_request("GET", "/a")


class Echo:
    """Answers with what it was asked; keeps what it is told to keep."""

    def __init__(self) -> None:
        self.seen: list[Exchange] = []
        self.hold: Callable[[Exchange], bool] = lambda _: False

    def handle(self, exchange: Exchange) -> None:
        self.seen.append(exchange)
        if not self.hold(exchange):
            self.reply(exchange)

    def reply(self, exchange: Exchange) -> None:
        said = exchange.method.encode() + b" " + exchange.target + b" " + exchange.body
        exchange.respond(Response(200, said, b"text/plain"))

    def refuse(self, status: int, message: str) -> Response:
        return Response(status, message.encode(), b"text/plain")

    def date(self) -> bytes:
        return b"Thu, 01 Jan 1970 00:00:00 GMT"


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def client(echo: Echo) -> MemoryClient:
    return MemoryClient(echo, peer="somebody")


def run(step: Callable[[], Any]) -> Any:
    """Run on a loop: what pauses and streams do needs one."""

    async def go() -> Any:
        return step()

    return asyncio.run(go())


def test_answer_is_framed_and_the_connection_stays(client: MemoryClient, echo: Echo) -> None:
    answer = client.ask("POST", "/x?y=1", b"body", User_Agent="me")
    assert (answer.status, answer.body) == (200, b"POST /x?y=1 body")
    assert answer.headers["Content-Type"] == "text/plain"
    assert echo.seen[0].headers[b"user-agent"] == b"me"
    assert echo.seen[0].peer == "somebody"
    assert not client.transport.closed


def test_any_split_of_a_request_is_the_same_request(client: MemoryClient) -> None:
    request = encode_request("PUT", "/x", b"0123456789")
    answers = [answer for byte in request for answer in client.send(bytes([byte]))]
    assert [it.body for it in answers] == [b"PUT /x 0123456789"]


def test_chunked_body_is_joined(client: MemoryClient) -> None:
    head = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    (answer,) = client.send(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert answer.body == b"POST /x abcde"


def test_pipelined_requests_are_answered_in_order(client: MemoryClient, echo: Echo) -> None:
    echo.hold = lambda exchange: exchange.target == b"/slow"

    async def go() -> list[bytes]:
        assert client.send(encode_request("GET", "/slow") + GET) == []
        echo.reply(echo.seen[0])
        await asyncio.sleep(0)
        return [it.body for it in client.reader.feed(client.transport.take())]

    assert asyncio.run(go()) == [b"GET /slow ", b"GET /a "]


def test_client_that_pipelines_without_end_is_not_read(client: MemoryClient, echo: Echo) -> None:
    echo.hold = lambda _: True

    async def flood_and_drain() -> None:
        client.send(GET * 20)
        assert not client.transport.reading
        while echo.seen:
            echo.reply(echo.seen.pop(0))
            await asyncio.sleep(0)

    asyncio.run(flood_and_drain())
    assert client.transport.reading
    assert len(client.reader.feed(client.transport.take())) == 20


def test_connection_close_is_honoured(client: MemoryClient) -> None:
    answer = client.ask("GET", "/a", Connection="close")
    assert answer.headers["Connection"] == "close"
    assert client.transport.closed


def test_http_1_0_closes(client: MemoryClient) -> None:
    (answer,) = client.send(b"GET /a HTTP/1.0\r\n\r\n")
    assert answer.status == 200
    assert client.transport.closed


def test_head_has_a_length_and_no_body(client: MemoryClient) -> None:
    client.connection.data_received(encode_request("HEAD", "/a"))
    head, _, body = client.transport.written.partition(b"\r\n\r\n")
    assert b"Content-Length: 8" in head
    assert body == b""


def test_continue_is_sent_before_the_body(client: MemoryClient) -> None:
    head, body = encode_request("POST", "/x", b"body", Expect="100-continue").split(b"\r\n\r\n")
    client.connection.data_received(head + b"\r\n\r\n")
    assert client.transport.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert client.send(body)[0].body == b"POST /x body"


LONG_HEADER = b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * HEADER_LIMIT_BYTES
MANY_HEADERS = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a:b\r\n" * 2000
HUGE = str(BODY_LIMIT_BYTES + 1).encode()
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"nonsense\r\n\r\n", 400, id="not-http"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no-host"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="http-2"),
        pytest.param(LONG_HEADER, 431, id="header-without-end"),
        pytest.param(MANY_HEADERS + b"\r\n", 431, id="too-many-headers"),
        pytest.param(LONG_HEADER + b"\r\n\r\n", 431, id="header-too-long"),
    ],
)
def test_what_breaks_a_limit_is_refused_and_closed(
    client: MemoryClient, echo: Echo, data: bytes, status: int
) -> None:
    (answer,) = client.send(data)
    assert answer.status == status
    assert client.transport.closed
    assert echo.seen == []
    assert client.send(GET) == []


TOO_LARGE = [
    pytest.param(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + HUGE + b"\r\n\r\n", id="announced"
    ),
    pytest.param(
        CHUNKED + b"%x\r\n" % (BODY_LIMIT_BYTES + 1) + b"a" * (BODY_LIMIT_BYTES + 1), id="chunked"
    ),
]


@pytest.mark.parametrize("data", TOO_LARGE)
def test_who_sends_too_large_a_body_comes_to_read_the_answer(
    client: MemoryClient, echo: Echo, data: bytes
) -> None:
    (answer,) = client.send(data)
    assert answer.status == 413
    assert client.send(b"a" * (BODY_LIMIT_BYTES - 1)) == []
    assert not client.transport.is_closing()
    assert client.send(GET) == []
    assert client.transport.closed
    assert echo.seen == []


@pytest.mark.parametrize("data", TOO_LARGE)
def test_who_sends_too_large_a_body_slowly_is_closed_in_time(
    client: MemoryClient, data: bytes
) -> None:
    client.send(data)
    for _ in range(2):
        client.connection.sweep(head_sweeps=1, body_sweeps=9, idle_sweeps=9)
    assert client.transport.closed


def test_requests_before_a_broken_one_are_answered(client: MemoryClient) -> None:
    assert [it.status for it in client.send(GET + GET + b"nonsense\r\n\r\n")] == [200, 200, 400]


def test_nothing_is_answered_while_the_client_does_not_read(client: MemoryClient) -> None:
    client.connection.pause_writing()
    assert client.send(GET) == []
    client.connection.resume_writing()
    assert client.reader.feed(client.transport.take())[0].status == 200


def test_answer_after_the_client_has_gone_goes_nowhere(client: MemoryClient, echo: Echo) -> None:
    echo.hold = lambda _: True
    client.send(GET)
    client.connection.connection_lost(None)
    echo.reply(echo.seen[0])
    assert client.transport.written == b""


# --- streams ---------------------------------------------------------------------------------------


def _open_stream(client: MemoryClient, echo: Echo) -> Stream:
    echo.hold = lambda exchange: exchange.target == b"/watch"
    client.send(encode_request("GET", "/watch"))
    return echo.seen[0].start_stream(200, b"application/json")


def test_stream_ends_properly_and_the_connection_carries_on(
    client: MemoryClient, echo: Echo
) -> None:
    async def go() -> None:
        stream = _open_stream(client, echo)
        stream.write(b"one\n")
        stream.write(b"two\n")
        await asyncio.sleep(0)
        assert client.transport.written.endswith(b"\r\n\r\n8\r\none\ntwo\n\r\n")
        stream.close()

    asyncio.run(go())
    (answer,) = client.reader.feed(client.transport.take())
    assert (answer.status, answer.body) == (200, b"one\ntwo\n")
    assert client.ask("GET", "/a").status == 200


def test_lost_client_tells_the_writer_once(client: MemoryClient, echo: Echo) -> None:
    told: list[str] = []

    def go() -> None:
        stream = _open_stream(client, echo)
        stream.on_lost = lambda: told.append("lost")
        client.connection.connection_lost(None)
        stream.write(b"late")
        stream.close()

    run(go)
    assert told == ["lost"]


def test_watcher_that_does_not_read_is_cut_off(client: MemoryClient, echo: Echo) -> None:
    async def go() -> None:
        stream = _open_stream(client, echo)
        client.transport.waiting = BUFFER_LIMIT_BYTES + 1
        stream.write(b"event\n")
        await asyncio.sleep(0)

    asyncio.run(go())
    assert client.transport.aborted


def test_first_state_larger_than_the_bound_is_sent(client: MemoryClient, echo: Echo) -> None:
    large = b"x" * (BUFFER_LIMIT_BYTES + 1)

    async def go() -> None:
        stream = _open_stream(client, echo)
        stream.write(large)
        await asyncio.sleep(0)
        client.transport.waiting = len(large)
        stream.write(b"event\n")
        await asyncio.sleep(0)

    asyncio.run(go())
    assert not client.transport.aborted
    assert client.transport.written.endswith(b"6\r\nevent\n\r\n")


def test_close_ends_streams_properly(client: MemoryClient, echo: Echo) -> None:
    def go() -> None:
        _open_stream(client, echo)
        client.connection.close()

    run(go)
    assert client.transport.written.endswith(b"0\r\n\r\n")
    assert client.transport.closed


# --- standing still --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "sweeps"),
    [
        pytest.param(b"GET / HT", 2, id="half-a-request"),
        pytest.param(GET, 4, id="idle"),
        pytest.param(b"", 2, id="silent"),
    ],
)
def test_connection_that_stands_still_is_closed(
    client: MemoryClient, sent: bytes, sweeps: int
) -> None:
    client.send(sent)
    for _ in range(sweeps):
        sweep(client)
        assert not client.transport.closed
    sweep(client)
    assert client.transport.closed


def sweep(client: MemoryClient) -> None:
    client.connection.sweep(head_sweeps=2, body_sweeps=3, idle_sweeps=4)


def test_head_that_comes_byte_by_byte_has_its_time_and_no_more(client: MemoryClient) -> None:
    client.send(GET)
    for byte in b"GET":
        assert not client.transport.closed
        client.send(bytes([byte]))
        sweep(client)
    assert client.transport.closed


def test_body_that_comes_byte_by_byte_is_refused_when_its_time_is_over(
    client: MemoryClient, echo: Echo
) -> None:
    client.send(encode_request("POST", "/x", b"0123456789").partition(b"0123")[0])
    for byte in b"012":
        assert client.send(bytes([byte])) == []
        sweep(client)
    sweep(client)
    (answer,) = client.reader.feed(client.transport.take())
    assert (answer.status, client.transport.closed, echo.seen) == (504, True, [])


def test_slow_answer_is_not_standing_still(client: MemoryClient, echo: Echo) -> None:
    echo.hold = lambda _: True
    client.send(GET)
    for _ in range(10):
        sweep(client)
    assert not client.transport.closed


# --- upgrades --------------------------------------------------------------------------------------

UPGRADE = encode_request(
    "POST", "/up", Connection="Upgrade", Upgrade="SPDY/3.1", Content_Length="0"
)


class Raw:
    """A session that remembers."""

    def __init__(self) -> None:
        self.received = b""
        self.calls: list[str] = []

    def receive_data(self, data: bytes) -> None:
        self.received += data

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def connection_lost(self) -> None:
        self.calls.append("lost")

    def close(self) -> None:
        self.calls.append("close")


def _grants(raw: Raw) -> Callable[[Exchange], bool]:
    """Upgrade what asks for it; other requests stay unanswered."""

    def hold(exchange: Exchange) -> bool:
        if exchange.target == b"/up":
            exchange.upgrade([("Upgrade", "SPDY/3.1")], lambda _: raw)
        return True

    return hold


@pytest.mark.parametrize("early", [b"", b"raw"], ids=["later", "at-once"])
def test_upgrade_hands_over_every_byte_that_follows(
    client: MemoryClient, echo: Echo, early: bytes
) -> None:
    raw = Raw()
    echo.hold = _grants(raw)
    client.connection.data_received(UPGRADE + early)
    assert (
        client.transport.written == b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\n\r\n"
    )
    client.connection.data_received(b" and more")
    client.connection.pause_writing()
    client.connection.resume_writing()
    client.connection.connection_lost(None)
    assert raw.received == early + b" and more"
    assert raw.calls == ["pause", "resume", "lost"]


def test_closing_says_goodbye_to_a_session(client: MemoryClient, echo: Echo) -> None:
    raw = Raw()
    echo.hold = _grants(raw)
    client.connection.data_received(UPGRADE)
    client.connection.close()
    assert raw.calls == ["close"]


def test_upgrade_that_is_not_granted_ends_the_connection(client: MemoryClient) -> None:
    (answer,) = client.send(UPGRADE)
    assert (answer.status, answer.headers["Connection"]) == (200, "close")


def test_upgrade_waits_for_its_turn(client: MemoryClient, echo: Echo) -> None:
    raw = Raw()
    echo.hold = _grants(raw)

    async def go() -> None:
        client.connection.data_received(GET + UPGRADE + b"raw")
        client.connection.data_received(b" data")
        echo.reply(echo.seen[0])
        await asyncio.sleep(0)

    asyncio.run(go())
    assert raw.received == b"raw data"
    assert client.transport.reading
