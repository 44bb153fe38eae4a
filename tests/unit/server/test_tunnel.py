from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from capim.aio.spdystreams import HELD_BYTES
from capim.api.errors import APIError
from capim.server.tunnel import IDLE_TIMEOUT_S, InnerTransport, TunnelSession, upgrade
from capim.wire import spdy
from capim.wire.portforward import PAIR_TIMEOUT_S, pair_headers
from capim.wire.websocket import Tunnel
from tests.support.portforward import ECHO_PORT, SILENT_PORT, Echo, Pod

if TYPE_CHECKING:
    from collections.abc import Callable

SPDY = {
    "Connection": "Upgrade",
    "Upgrade": "SPDY/3.1",
    "X-Stream-Protocol-Version": "portforward.k8s.io",
}
WEBSOCKET = {
    "connection": "keep-alive, Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-protocol": "v4.channel.k8s.io,SPDY/3.1+portforward.k8s.io",
}


# --- the upgrade ------------------------------------------------------------------------------------


def test_spdy_upgrade_is_granted_with_the_protocols_name() -> None:
    reply = upgrade(SPDY)
    assert reply is not None
    assert not reply.websocket
    assert reply.response == (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
        b"X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n"
    )


def test_websocket_upgrade_is_granted_with_the_tunnels_name() -> None:
    reply = upgrade(WEBSOCKET)
    assert reply is not None
    assert reply.websocket
    assert reply.response == (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n\r\n"
    )


@pytest.mark.parametrize(
    "headers", [{}, {"Upgrade": "SPDY/3.1"}, {**SPDY, "Upgrade": "h2c"}], ids=str
)
def test_request_without_an_upgrade_we_know_is_none(headers: dict[str, str]) -> None:
    assert upgrade(headers) is None


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param({**SPDY, "X-Stream-Protocol-Version": " "}, 400, id="spdy-no-protocol"),
        pytest.param({**SPDY, "X-Stream-Protocol-Version": "v9"}, 403, id="spdy-other-protocol"),
        pytest.param(
            {**WEBSOCKET, "sec-websocket-protocol": "v4.channel.k8s.io"}, 400, id="channel"
        ),
        pytest.param({**WEBSOCKET, "sec-websocket-version": "8"}, 400, id="old-websocket"),
        pytest.param({**WEBSOCKET, "sec-websocket-key": "?"}, 400, id="no-key"),
    ],
)
def test_upgrade_asked_for_wrongly_is_refused(headers: dict[str, str], code: int) -> None:
    with pytest.raises(APIError, match="unable to upgrade") as refused:
        upgrade(headers)
    assert refused.value.code == code


# --- sessions ---------------------------------------------------------------------------------------


class Client:
    """A port-forward client joined in memory to a session; `settle` runs what is due on the loop."""

    def __init__(
        self,
        connect: Callable[[int, InnerTransport], asyncio.Protocol | None],
        *,
        websocket: bool = False,
        **options: Any,
    ) -> None:
        self.spdy = spdy.Connection(client=True)
        self.tunnel = Tunnel(client=True) if websocket else None
        self.written: list[bytes] = []
        self.closed = 0
        self.reading: list[bool] = []
        self.session = TunnelSession(
            self.written.append,
            self._close,
            connect,
            websocket=websocket,
            pod="default/web",
            set_reading=self.reading.append,
            **options,
        )

    def _close(self) -> None:
        self.closed += 1

    async def settle(self) -> list[spdy.Event]:
        """Send what waits, let callbacks run, return what the server did."""
        data = self.spdy.data_to_send()
        if self.tunnel is not None:
            self.tunnel.send_data(data)
            data = self.tunnel.data_to_send()
        if data:
            self.session.receive_data(data)
        for _ in range(3):
            await asyncio.sleep(0)
        answer = b"".join(self.written)
        self.written.clear()
        if self.tunnel is not None:
            answer = self.tunnel.receive_data(answer)
        return list(self.spdy.receive_data(answer))

    async def open(self, port: int, request_id: str = "0") -> tuple[int, int, list[spdy.Event]]:
        """Open a pair as client-go does; return error stream, data stream, and what else came."""
        error_headers, data_headers = pair_headers(port, request_id)
        error = self.spdy.open_stream(error_headers)
        assert await self.settle() == [spdy.StreamReplied(error, {})]
        self.spdy.send_data(error, b"", end=True)
        data = self.spdy.open_stream(data_headers)
        replied, *rest = await self.settle()
        assert replied == spdy.StreamReplied(data, {})
        return error, data, rest


def run(scenario: Callable[[], Any]) -> None:
    asyncio.run(scenario())


@pytest.mark.parametrize("websocket", [False, True], ids=["spdy", "websocket"])
def test_bytes_go_to_the_ports_protocol_and_back(websocket: bool) -> None:
    async def scenario() -> None:
        client = Client(Pod().connect, websocket=websocket)
        _, data, rest = await client.open(ECHO_PORT)
        assert rest == []
        client.spdy.send_data(data, b"hello")
        assert await client.settle() == [spdy.DataReceived(data, b"hello", False)]
        client.session.close()

    run(scenario)


def test_port_nobody_serves_is_told_on_the_error_stream_and_the_session_lives() -> None:
    async def scenario() -> None:
        client = Client(Pod().connect)
        error, data, told = await client.open(SILENT_PORT)
        text = (
            b"error forwarding port 5000 to pod default/web: "
            b"dial tcp4 127.0.0.1:5000: connect: connection refused"
        )
        assert told == [spdy.DataReceived(error, text, True), spdy.DataReceived(data, b"", True)]
        assert client.session.pairs == 0
        _, _, rest = await client.open(ECHO_PORT, "1")
        assert rest == []
        assert not client.closed
        client.session.close()

    run(scenario)


def test_target_that_fails_to_start_is_told_and_the_session_lives() -> None:
    async def scenario() -> None:
        def connect(port: int, transport: InnerTransport) -> asyncio.Protocol | None:
            if port == SILENT_PORT:
                raise RuntimeError("no certificate")
            return Pod().connect(port, transport)

        client = Client(connect)
        error, data, told = await client.open(SILENT_PORT)
        text = b"error forwarding port 5000 to pod default/web: internal error"
        assert told == [spdy.DataReceived(error, text, True), spdy.DataReceived(data, b"", True)]
        assert (await client.open(ECHO_PORT, "1"))[2] == []
        client.session.close()

    run(scenario)


def test_pairs_of_one_session_end_one_by_one() -> None:
    async def scenario() -> None:
        pod = Pod()
        client = Client(pod.connect)
        streams = [(await client.open(ECHO_PORT, str(n)))[:2] for n in range(3)]
        assert client.session.pairs == 3
        error, data = streams[1]
        client.spdy.send_data(data, b"bye", end=True)
        assert await client.settle() == [
            spdy.DataReceived(data, b"bye", False),
            spdy.DataReceived(data, b"", True),
            spdy.DataReceived(error, b"", True),
        ]
        assert [echo.events for echo in pod.connections] == [
            ["made"],
            ["made", "eof", "lost"],
            ["made"],
        ]
        assert client.session.pairs == 2
        client.session.close()

    run(scenario)


def test_reset_of_the_data_stream_is_a_lost_connection() -> None:
    async def scenario() -> None:
        pod = Pod()
        client = Client(pod.connect)
        error, data, _ = await client.open(ECHO_PORT)
        client.spdy.reset(data)
        assert await client.settle() == [spdy.DataReceived(error, b"", True)]
        assert pod.connections[0].events == ["made", "lost"]
        assert isinstance(pod.connections[0].lost_with, ConnectionResetError)
        client.session.close()

    run(scenario)


@pytest.mark.parametrize("end", ["goaway", "outer", "ours", "violation", "websocket"])
def test_every_pair_learns_of_the_sessions_end_once(end: str) -> None:
    async def scenario() -> None:
        pod = Pod()
        client = Client(pod.connect, websocket=end == "websocket")
        for n in range(3):
            await client.open(ECHO_PORT, str(n))
        if end == "goaway":
            client.spdy.go_away()
        elif end == "outer":
            client.session.connection_lost(ConnectionResetError())
        elif end == "ours":
            client.session.close()
        elif end == "violation":
            client.session.receive_data(bytes(8))
        elif client.tunnel is not None:
            client.tunnel.close()
            client.session.receive_data(client.tunnel.data_to_send())
        await client.settle()
        assert [echo.events for echo in pod.connections] == [["made", "lost"]] * 3
        assert client.session.pairs == 0
        assert client.closed == (end != "outer")
        client.session.close()
        client.session.connection_lost()
        client.session.receive_data(b"late")
        await client.settle()
        assert [echo.events for echo in pod.connections] == [["made", "lost"]] * 3
        assert client.closed == (end != "outer")

    run(scenario)


def test_end_of_the_session_says_goodbye() -> None:
    async def scenario() -> None:
        client = Client(Pod().connect)
        client.session.close()
        assert await client.settle() == [spdy.GoAway(0, 0)]

    run(scenario)


def test_stream_with_bad_headers_is_reset_and_the_session_lives() -> None:
    async def scenario() -> None:
        client = Client(Pod().connect)
        stream_id = client.spdy.open_stream({"streamType": "stdin"})
        assert await client.settle() == [spdy.StreamReset(stream_id, spdy.Status.REFUSED_STREAM)]
        await client.open(ECHO_PORT)
        client.session.close()

    run(scenario)


def test_lone_stream_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        client = Client(Pod().connect)
        error = client.spdy.open_stream(pair_headers(ECHO_PORT, "9")[0])
        await client.settle()
        start = loop.time()
        monkeypatch.setattr(loop, "time", lambda: start + PAIR_TIMEOUT_S + 1)
        text = b"request 9: timed out waiting for streams"
        assert await client.settle() == [spdy.DataReceived(error, text, True)]
        client.session.close()

    run(scenario)


def test_silent_client_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        pod = Pod()
        client = Client(pod.connect)
        await client.open(ECHO_PORT)
        start = loop.time()
        monkeypatch.setattr(loop, "time", lambda: start + IDLE_TIMEOUT_S + 1)
        assert (await client.settle())[-1] == spdy.GoAway(3, 0)
        assert client.closed == 1
        assert pod.connections[0].events == ["made", "lost"]

    run(scenario)


# --- the pairs' transports --------------------------------------------------------------------------


def transport_of(echo: Echo) -> InnerTransport:
    assert isinstance(echo.transport, InnerTransport)
    return echo.transport


async def echoing(pod: Pod) -> tuple[Client, int, int, InnerTransport]:
    client = Client(pod.connect)
    error, data, _ = await client.open(ECHO_PORT)
    return client, error, data, transport_of(pod.connections[0])


def test_outer_back_pressure_reaches_every_pair_even_new_ones() -> None:
    async def scenario() -> None:
        pod = Pod()
        client, *_ = await echoing(pod)
        client.session.pause_writing()
        await client.open(ECHO_PORT, "1")
        client.session.resume_writing()
        assert [echo.events for echo in pod.connections] == [["made", "paused", "resumed"]] * 2
        client.session.close()

    run(scenario)


def test_pair_that_does_not_read_keeps_its_data_and_then_stops_the_client() -> None:
    async def scenario() -> None:
        pod = Pod()
        client, error, data, transport = await echoing(pod)
        transport.pause_reading()
        client.spdy.send_data(data, bytes(HELD_BYTES))
        assert await client.settle() == []
        assert client.reading == []
        client.spdy.send_data(data, b"x", end=True)
        assert await client.settle() == []
        assert client.reading == [False]
        assert not transport.is_reading()
        transport.resume_reading()
        answer = await client.settle()
        assert client.reading == [False, True]
        assert pod.connections[0].received == bytes(HELD_BYTES) + b"x"
        assert answer[-2:] == [
            spdy.DataReceived(data, b"", True),
            spdy.DataReceived(error, b"", True),
        ]
        client.session.close()

    run(scenario)


def test_client_reads_again_when_the_pair_that_stopped_it_ends() -> None:
    async def scenario() -> None:
        pod = Pod()
        client, _, data, transport = await echoing(pod)
        transport.pause_reading()
        client.spdy.send_data(data, bytes(HELD_BYTES + 1))
        await client.settle()
        transport.close()
        assert client.reading == [False, True]
        client.session.close()

    run(scenario)


def test_answers_to_one_piece_are_one_write() -> None:
    async def scenario() -> None:
        pod = Pod()
        client, _, data, _ = await echoing(pod)
        for word in (b"a", b"b", b"c"):
            client.spdy.send_data(data, word)
        client.session.receive_data(client.spdy.data_to_send())
        assert len(client.written) == 1
        client.session.close()

    run(scenario)


def test_half_close_keeps_the_other_direction() -> None:
    async def scenario() -> None:
        pod = Pod()
        client, _, data, transport = await echoing(pod)
        assert transport.can_write_eof()
        transport.writelines([b"a", b"b"])
        transport.write_eof()
        transport.write(b"lost")
        assert await client.settle() == [
            spdy.DataReceived(data, b"ab", False),
            spdy.DataReceived(data, b"", True),
        ]
        client.spdy.send_data(data, b"still heard")
        await client.settle()
        assert pod.connections[0].received == b"still heard"
        client.session.close()

    run(scenario)


def test_abort_resets_the_stream() -> None:
    async def scenario() -> None:
        pod = Pod()
        client, error, data, transport = await echoing(pod)
        transport.abort()
        transport.abort()
        transport.close()
        assert transport.is_closing()
        assert await client.settle() == [
            spdy.StreamReset(data, spdy.Status.CANCEL),
            spdy.DataReceived(error, b"", True),
        ]
        assert pod.connections[0].events == ["made", "lost"]
        client.session.close()

    run(scenario)


class Failing(Echo):
    """Fails at the first data."""

    def data_received(self, data: bytes) -> None:
        raise RuntimeError(data.decode())


def test_error_in_one_protocol_is_reported_and_ends_its_pair_alone() -> None:
    async def scenario() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: reported.append(context)
        )
        pod, failing = Pod(), Failing()
        client = Client(
            lambda port, transport: failing if port == 1 else pod.connect(port, transport)
        )
        error, data, _ = await client.open(1)
        _, other, _ = await client.open(ECHO_PORT, "1")
        client.spdy.send_data(data, b"boom")
        client.spdy.send_data(other, b"fine")
        assert await client.settle() == [
            spdy.StreamReset(data, spdy.Status.CANCEL),
            spdy.DataReceived(error, b"", True),
            spdy.DataReceived(other, b"fine", False),
        ]
        assert [str(context["exception"]) for context in reported] == ["boom"]
        assert failing.events == ["made", "lost"]
        client.session.close()

    run(scenario)


def test_stream_does_not_pass_for_the_outer_connections_tls() -> None:
    async def scenario() -> None:
        pod = Pod()
        info = {
            "peername": ("10.0.0.1", 1),
            "peercert": {"subject": "admin"},
            "ssl_object": object(),
        }
        client = Client(pod.connect, extra_info=info.get)
        await client.open(ECHO_PORT)
        transport = transport_of(pod.connections[0])
        assert transport.get_extra_info("peername") == ("10.0.0.1", 1)
        assert transport.get_extra_info("peercert") is None
        assert transport.get_extra_info("ssl_object", "none") == "none"
        client.session.close()

    run(scenario)
