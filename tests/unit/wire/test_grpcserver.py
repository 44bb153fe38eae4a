"""The gRPC server against a bare h2 client: framing, refusals, flow control. No sockets."""

from __future__ import annotations

import struct
import urllib.parse

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capim.wire.grpcserver import MAX_MESSAGE_BYTES, GrpcCode, GrpcConnection, GrpcError

ECHO = "/test.Service/Echo"
FAIL = "/test.Service/Fail"
BIG = "/test.Service/Big"
BIG_ANSWER = bytes(range(256)) * 1024


def answer(authority: str, path: str, message: bytes) -> bytes:
    if path == FAIL:
        raise GrpcError(GrpcCode.NOT_FOUND, "50% of é are\nmissing")
    if path == BIG:
        return BIG_ANSWER
    return authority.encode() + b"|" + message


class Pair:
    """A client joined to the server in memory; `step` is how many bytes travel at a time."""

    def __init__(self, *, step: int = 1 << 20) -> None:
        self.client = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        )
        self.server = GrpcConnection(answer, methods={ECHO, FAIL, BIG})
        self.step = step
        self.headers: dict[int, dict[str, str]] = {}
        self.data: dict[int, bytes] = {}
        self.reset: dict[int, int] = {}
        self.ended: set[int] = set()
        self.take_data = True
        self.client.initiate_connection()

    def pump(self) -> None:
        """Carry bytes both ways until nobody has any."""
        while True:
            outgoing = self.client.data_to_send()
            for start in range(0, len(outgoing), self.step):
                self.server.receive_data(outgoing[start : start + self.step])
            incoming = self.server.data_to_send()
            for start in range(0, len(incoming), self.step):
                for event in self.client.receive_data(incoming[start : start + self.step]):
                    self.on_event(event)
            if not outgoing and not incoming:
                return

    def on_event(self, event: h2.events.Event) -> None:
        """Keep what the server answered."""
        match event:
            case h2.events.ResponseReceived() | h2.events.TrailersReceived():
                got = {str(key): str(value) for key, value in event.headers}
                self.headers.setdefault(event.stream_id, {}).update(got)
            case h2.events.DataReceived():
                self.data[event.stream_id] = self.data.get(event.stream_id, b"") + event.data
                if self.take_data:
                    self.client.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
            case h2.events.StreamReset():
                self.reset[event.stream_id] = event.error_code
            case h2.events.StreamEnded():
                self.ended.add(event.stream_id)
            case _:
                pass

    def start(self, path: str, content_type: str = "application/grpc") -> int:
        """Queue the headers of a call and return its stream."""
        stream_id = self.client.get_next_available_stream_id()
        headers = [
            (":method", "POST"),
            (":scheme", "https"),
            (":path", path),
            (":authority", "etcd-one"),
            ("content-type", content_type),
            ("te", "trailers"),
            ("grpc-timeout", "5S"),
        ]
        self.client.send_headers(stream_id, headers)
        return stream_id

    def call(
        self, path: str, body: bytes, *, content_type: str = "application/grpc", end: bool = True
    ) -> int:
        """Send one request in frames, as far as the server wants it, and return its stream."""
        stream_id = self.start(path, content_type)
        self.pump()
        while body[16384:] and stream_id not in self.ended:
            self.client.send_data(stream_id, body[:16384])
            body = body[16384:]
            self.pump()
        if stream_id not in self.ended:
            self.client.send_data(stream_id, body, end_stream=end)
            self.pump()
        return stream_id

    def status(self, stream_id: int) -> tuple[int, str]:
        """Return the code and the decoded message."""
        got = self.headers[stream_id]
        return int(got["grpc-status"]), urllib.parse.unquote(got.get("grpc-message", ""))


def framed(message: bytes, *, compressed: int = 0) -> bytes:
    return struct.pack(">BI", compressed, len(message)) + message


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_call_is_answered_however_the_bytes_are_cut(step: int) -> None:
    pair = Pair(step=step)
    stream = pair.call(ECHO, framed(b"hello"))
    assert pair.data[stream] == framed(b"etcd-one|hello")
    assert pair.headers[stream][":status"] == "200"
    assert pair.status(stream) == (0, "")


def test_error_travels_in_trailers_alone_and_percent_encoded() -> None:
    pair = Pair()
    stream = pair.call(FAIL, framed(b""))
    assert stream not in pair.data
    assert pair.headers[stream]["grpc-message"] == "50%25 of %C3%A9 are%0Amissing"
    assert pair.status(stream) == (GrpcCode.NOT_FOUND, "50% of é are\nmissing")


def test_unknown_method_is_refused_before_the_client_ends_its_side() -> None:
    pair = Pair()
    stream = pair.call("/etcdserverpb.Watch/Watch", framed(b""), end=False)
    assert pair.status(stream) == (
        GrpcCode.UNIMPLEMENTED,
        "unknown method Watch for service etcdserverpb.Watch",
    )
    assert pair.status(pair.call(ECHO, framed(b"next")))[0] == 0


def test_refused_call_that_came_whole_in_one_piece_leaves_the_connection_alone() -> None:
    pair = Pair()
    stream = pair.start("/etcdserverpb.KV/Range")
    pair.client.send_data(stream, framed(b""), end_stream=True)
    other = pair.start(ECHO)
    pair.client.send_data(other, framed(b"beside"), end_stream=True)
    pair.pump()
    assert pair.status(stream)[0] == GrpcCode.UNIMPLEMENTED
    assert pair.data[other] == framed(b"etcd-one|beside")


def test_call_cancelled_in_the_piece_that_completes_it_is_not_answered() -> None:
    pair = Pair()
    stream = pair.start(ECHO)
    pair.client.send_data(stream, framed(b"never mind"), end_stream=True)
    pair.client.reset_stream(stream)
    pair.pump()
    assert stream not in pair.headers
    assert pair.status(pair.call(ECHO, framed(b"next")))[0] == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(framed(b"zip", compressed=1), GrpcCode.UNIMPLEMENTED, id="compressed"),
        pytest.param(b"\0\0", GrpcCode.INTERNAL, id="no-whole-prefix"),
        pytest.param(framed(b"abc")[:-1], GrpcCode.INTERNAL, id="cut-short"),
        pytest.param(framed(b"a") + framed(b"b"), GrpcCode.INTERNAL, id="two-messages"),
        pytest.param(
            framed(bytes(MAX_MESSAGE_BYTES + 1)), GrpcCode.RESOURCE_EXHAUSTED, id="too-large"
        ),
    ],
)
def test_malformed_requests_fail_alone(body: bytes, code: GrpcCode) -> None:
    pair = Pair()
    assert pair.status(pair.call(ECHO, body))[0] == code
    assert pair.status(pair.call(ECHO, framed(b"next")))[0] == 0


def test_request_that_is_not_grpc_gets_415() -> None:
    pair = Pair()
    stream = pair.call(ECHO, b"{}", content_type="application/json")
    assert pair.headers[stream] == {":status": "415", "content-type": "text/plain"}


def test_large_answer_waits_for_the_clients_window() -> None:
    pair = Pair()
    pair.take_data = False
    stream = pair.call(BIG, framed(b""))
    assert len(pair.data[stream]) == 65_535
    assert stream not in pair.ended
    pair.take_data = True
    pair.client.increment_flow_control_window(1 << 20)
    pair.client.increment_flow_control_window(1 << 20, stream)
    pair.pump()
    assert pair.data[stream] == framed(BIG_ANSWER)
    assert pair.status(stream) == (0, "")


def test_broken_frame_closes_the_connection_with_goaway() -> None:
    pair = Pair()
    pair.pump()
    pair.server.receive_data(b"\x00\x00\x00\x00\x00\x00\x00\x00\x00")  # DATA on stream 0
    assert pair.server.closed
    assert pair.server.data_to_send()[3] == 7  # the frame type of GOAWAY


def test_client_that_speaks_http1_is_cut_off() -> None:
    server = GrpcConnection(answer)
    server.receive_data(b"GET / HTTP/1.1\r\nhost: etcd\r\n\r\n")
    assert server.closed
    server.receive_data(b"more")
    assert server.closed


def test_close_says_goodbye_once() -> None:
    pair = Pair()
    pair.pump()
    pair.server.close()
    events = pair.client.receive_data(pair.server.data_to_send())
    assert [type(event) for event in events] == [h2.events.ConnectionTerminated]
    pair.server.close()
    assert pair.server.data_to_send() == b""


@given(
    st.lists(st.tuples(st.integers(24, 400), st.integers(0, 255)), max_size=4),
    st.integers(1, 400),
)
def test_damaged_bytes_close_the_connection_and_raise_nothing(
    damage: list[tuple[int, int]], cut: int
) -> None:
    pair = Pair()
    for path in (ECHO, FAIL, "/nobody/knows"):
        stream = pair.start(path)
        pair.client.send_data(stream, framed(b"hello"), end_stream=True)
    data = bytearray(pair.client.data_to_send())
    for position, value in damage:
        if position < len(data):
            data[position] = value
    pair.server.receive_data(bytes(data[:cut]))
    pair.server.receive_data(bytes(data[cut:]))
    assert pair.server.data_to_send() or pair.server.closed
