"""What HTTP/2 lets a client do to a server: each ends its own connection, and soon."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.errors
import h2.events
import hpack
import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from capim.wire.grpcserver import MAX_RESETS, MAX_STREAMS, GrpcConnection

METHOD = "/test.Service/Echo"
HEADERS = [
    (":method", "POST"),
    (":scheme", "https"),
    (":authority", "etcd-n1"),
    (":path", METHOD),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
]


class Attacker:
    """Sends any frames; `answered` is what came back."""

    def __init__(self) -> None:
        self.server = GrpcConnection(lambda _, __, message: message, methods={METHOD})
        self._encoder = hpack.Encoder()
        self._reader = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self._reader.initiate_connection()
        self.server.receive_data(self._reader.data_to_send())
        self.answered: list[bytes] = []

    def send(self, *frames: Frame) -> None:
        self.server.receive_data(b"".join(frame.serialize() for frame in frames))
        self.answered.append(self.server.data_to_send())

    def headers(self, stream: int, *more: tuple[str, str], flags: tuple[str, ...]) -> HeadersFrame:
        return HeadersFrame(stream, self._encoder.encode([*HEADERS, *more]), flags=flags)

    @property
    def ended_with(self) -> int | None:
        """The code of the server's GOAWAY; None: the connection lives."""
        if not self.server.closed:
            return None
        goaway = self.answered[-1].rpartition(b"\x07\x00\x00\x00\x00\x00")[2]
        return int.from_bytes(goaway[4:8], "big")


def test_streams_opened_and_reset_without_end() -> None:
    attacker = Attacker()
    for stream in range(1, 2 * MAX_RESETS + 1, 2):
        attacker.send(
            attacker.headers(stream, flags=("END_HEADERS",)), RstStreamFrame(stream, error_code=8)
        )
        assert attacker.ended_with is None
    last = 2 * MAX_RESETS + 1
    attacker.send(
        attacker.headers(last, flags=("END_HEADERS",)), RstStreamFrame(last, error_code=8)
    )
    assert attacker.ended_with == h2.errors.ErrorCodes.ENHANCE_YOUR_CALM


def test_more_streams_than_are_allowed() -> None:
    attacker = Attacker()
    attacker.send(SettingsFrame(0, flags=("ACK",)))
    for stream in range(1, 2 * MAX_STREAMS + 1, 2):
        attacker.send(attacker.headers(stream, flags=("END_HEADERS",)))
        assert attacker.ended_with is None
    attacker.send(attacker.headers(2 * MAX_STREAMS + 1, flags=("END_HEADERS",)))
    assert attacker.ended_with is not None


def test_continuations_without_end() -> None:
    attacker = Attacker()
    attacker.send(attacker.headers(1, flags=()))
    for _ in range(100):
        attacker.send(ContinuationFrame(1, b"\x00\x01a\x01b"))
    assert attacker.ended_with is not None


def test_headers_that_unpack_to_megabytes() -> None:
    attacker = Attacker()
    attacker.send(attacker.headers(1, ("bomb", "x" * 4000), flags=("END_HEADERS",)))
    reference = b"\xbe" * 8000  # the entry last added, again and again
    attacker.send(HeadersFrame(3, reference, flags=("END_HEADERS",)))
    assert attacker.ended_with is not None


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(WindowUpdateFrame(0, window_increment=2**31 - 1), id="window-overflows"),
        pytest.param(DataFrame(1, b"no stream"), id="data-of-no-stream"),
        pytest.param(SettingsFrame(0, {4: 2**31}), id="window-too-large"),
        pytest.param(SettingsFrame(0, {5: 1}), id="frames-too-small"),
        pytest.param(ContinuationFrame(1, b"x", flags=("END_HEADERS",)), id="lone-continuation"),
        pytest.param(HeadersFrame(2, b"\x82", flags=("END_HEADERS",)), id="even-stream"),
    ],
)
def test_broken_frame_ends_the_connection(frame: Frame) -> None:
    attacker = Attacker()
    attacker.send(frame)
    attacker.send(frame)
    assert attacker.ended_with is not None
    assert attacker.server.data_to_send() == b""


def test_giant_frame_is_not_kept() -> None:
    attacker = Attacker()
    attacker.server.receive_data(b"\xff\xff\xff\x00\x00\x00\x00\x00\x01")
    for _ in range(5):
        attacker.server.receive_data(bytes(16 * 1024))
    attacker.answered.append(attacker.server.data_to_send())
    assert attacker.ended_with == h2.errors.ErrorCodes.FRAME_SIZE_ERROR


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(PingFrame(0, b"12345678"), id="pings"),
        pytest.param(SettingsFrame(0, {4: 65535}), id="settings"),
        pytest.param(PriorityFrame(1, depends_on=3, stream_weight=7), id="priorities"),
        pytest.param(WindowUpdateFrame(0, window_increment=1), id="windows"),
    ],
)
def test_frames_that_mean_nothing_leave_nothing(frame: Frame) -> None:
    attacker = Attacker()
    for _ in range(50):
        attacker.send(*[frame] * 10)
    assert attacker.ended_with is None
    assert max(map(len, attacker.answered)) < 500
