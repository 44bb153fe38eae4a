from __future__ import annotations

import itertools
import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capim.wire import spdyheaders
from capim.wire.spdy import (
    MAX_STREAMS,
    Connection,
    DataReceived,
    Event,
    GoAway,
    GoAwayStatus,
    LocalProtocolError,
    PingReceived,
    RemoteProtocolError,
    Settings,
    Status,
    StreamOpened,
    StreamReplied,
    StreamReset,
    WindowUpdated,
)
from capim.wire.spdyframes import MAX_CONTROL_BYTES, FrameType, encode_control, encode_data

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What moby/spdystream v0.5.1 writes for these frames, in this order on one connection.
GOLDEN = [
    pytest.param(
        "800300010000003e0000000100000000000078f9e3c6a7c202253a703a2b294a4dcc851625aca9a0808614cb45"
        "e01c60646c6ec9c0c0c0590489c64c50f2663400000000ffff",
        StreamOpened(1, {"streamtype": "error", "port": "2379", "requestid": "0"}),
        id="SYN_STREAM",
    ),
    pytest.param(
        "800300010000001800000003000000000000c2aa19540e2512d60b000000ffff",
        StreamOpened(3, {"streamtype": "data", "port": "2379", "requestid": "0"}),
        id="SYN_STREAM-compressed-by-the-first",
    ),
    pytest.param("0000000101000000", DataReceived(1, b"", True), id="empty-DATA-with-FIN"),
    pytest.param("000000030000000568656c6c6f", DataReceived(3, b"hello", False), id="DATA"),
    pytest.param("80030003000000080000000300000005", StreamReset(3, 5), id="RST_STREAM"),
    pytest.param("800300060000000400000001", PingReceived(1), id="PING"),
    pytest.param("800300040000000c000000010000000700010000", Settings({7: 65536}), id="SETTINGS"),
    pytest.param("800300090000000800000001000003e8", WindowUpdated(1, 1000), id="WINDOW_UPDATE"),
    pytest.param("80030007000000080000000000000000", GoAway(0, 0), id="GOAWAY"),
]


def golden_bytes(until: int | None = None) -> bytes:
    return b"".join(bytes.fromhex(str(row.values[0])) for row in GOLDEN[:until])


def merged(events: Sequence[Event]) -> list[Event]:
    """Join neighbouring data of one stream: pieces are as they come, what they add up to is not."""
    result: list[Event] = []
    for event in events:
        last = result[-1] if result else None
        if (
            isinstance(event, DataReceived)
            and isinstance(last, DataReceived)
            and last.stream_id == event.stream_id
        ):
            result[-1] = DataReceived(event.stream_id, last.data + event.data, event.end)
        else:
            result.append(event)
    return result


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(borders)]


class ConnectionPair:
    """A client and a server joined in memory."""

    def __init__(self) -> None:
        self.client = Connection(client=True)
        self.server = Connection(client=False)

    def to_server(self) -> list[Event]:
        return list(self.server.receive_data(self.client.data_to_send()))

    def to_client(self) -> list[Event]:
        return list(self.client.receive_data(self.server.data_to_send()))

    def opened(self) -> int:
        """Open a stream by the client and accept it."""
        stream_id = self.client.open_stream({"streamType": "data"})
        self.to_server()
        self.server.reply(stream_id)
        assert self.to_client() == [StreamReplied(stream_id, {})]
        return stream_id


# --- what spdystream writes, we read, and the other way ---------------------------------------------


@pytest.mark.parametrize(("frame", "event"), GOLDEN)
def test_frames_of_spdystream_are_understood(frame: str, event: Event) -> None:
    server = Connection(client=False)
    before = golden_bytes([str(row.values[0]) for row in GOLDEN].index(frame))
    list(server.receive_data(before))
    assert list(server.receive_data(bytes.fromhex(frame))) == [event]


@given(st.lists(st.integers(0, 400), max_size=12))
def test_any_chunking_gives_the_same_events(cuts: list[int]) -> None:
    server = Connection(client=False)
    events = [e for piece in pieces(golden_bytes(), cuts) for e in server.receive_data(piece)]
    assert merged(events) == [row.values[1] for row in GOLDEN]


def test_dictionary_is_the_protocols() -> None:
    assert len(spdyheaders.DICTIONARY) == 1423
    assert zlib.adler32(spdyheaders.DICTIONARY) == 0xE3C6A7C2


def test_control_frames_we_write_have_the_specified_form() -> None:
    pair = ConnectionPair()
    stream_id = pair.opened()
    pair.client.reset(stream_id)
    pair.client.go_away(GoAwayStatus.OK)
    expected = "8003000300000008" + "0000000100000005" + "8003000700000008" + "0000000000000000"
    assert pair.client.data_to_send().hex() == expected


# --- streams ----------------------------------------------------------------------------------------


LATIN_1 = st.characters(max_codepoint=255)
NAMES = st.text(st.characters(max_codepoint=127), min_size=1, max_size=20).map(str.lower)
HEADERS = st.dictionaries(NAMES, st.text(LATIN_1, max_size=50), max_size=8)


@given(st.lists(HEADERS, min_size=1, max_size=5))
def test_headers_come_over_as_they_are_block_after_block(blocks: list[dict[str, str]]) -> None:
    pair = ConnectionPair()
    for block in blocks:
        stream_id = pair.client.open_stream(block)
        assert pair.to_server() == [StreamOpened(stream_id, block)]


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=200)), max_size=20))
def test_data_comes_over_in_order_in_both_directions(sends: list[tuple[bool, bytes]]) -> None:
    pair = ConnectionPair()
    stream_id = pair.opened()
    for to_server, data in sends:
        (pair.client if to_server else pair.server).send_data(stream_id, data)
    at_server, at_client = merged(pair.to_server()), merged(pair.to_client())
    for direction, events in ((True, at_server), (False, at_client)):
        sent = b"".join(data for to_server, data in sends if to_server is direction)
        assert events == ([DataReceived(stream_id, sent, False)] if sent else [])


def test_large_data_is_cut_into_frames_and_only_the_last_ends_the_stream() -> None:
    data = bytes(100_000)
    encoded = encode_data(1, data, end=True)
    flags = []
    while encoded:
        word = int.from_bytes(encoded[4:8], "big")
        flags.append(word >> 24)
        encoded = encoded[8 + (word & 0xFFFFFF) :]
    assert flags == [0, 0, 0, 1]


def test_stream_is_forgotten_when_both_sides_ended_it() -> None:
    pair = ConnectionPair()
    stream_id = pair.opened()
    pair.client.send_data(stream_id, b"question", end=True)
    assert pair.to_server() == [DataReceived(stream_id, b"question", True)]
    pair.server.send_data(stream_id, b"answer", end=True)
    assert pair.to_client() == [DataReceived(stream_id, b"answer", True)]
    for side in (pair.client, pair.server):
        assert not side.writable(stream_id)
        side.reset(stream_id)
        assert side.data_to_send() == b""


def test_what_crosses_a_reset_is_ignored() -> None:
    pair = ConnectionPair()
    stream_id = pair.opened()
    pair.server.reset(stream_id)
    pair.client.send_data(stream_id, b"too late")
    pair.client.reset(stream_id)
    assert pair.to_server() == []
    assert pair.to_client() == []


def test_reset_while_events_are_handled_holds_for_the_next_frame() -> None:
    pair = ConnectionPair()
    stream_id = pair.client.open_stream({})
    pair.client.send_data(stream_id, b"dropped")
    events = pair.server.receive_data(pair.client.data_to_send())
    assert next(events) == StreamOpened(stream_id, {})
    pair.server.reset(stream_id, Status.REFUSED_STREAM)
    assert list(events) == []
    assert pair.to_client() == [StreamReset(stream_id, 3)]


def test_ping_is_answered_and_its_answer_is_not() -> None:
    server, client = Connection(client=False), Connection(client=True)
    ping = encode_control(FrameType.PING, b"\0\0\0\7")
    assert list(server.receive_data(ping)) == [PingReceived(7)]
    assert server.data_to_send() == ping
    assert list(client.receive_data(ping)) == []
    assert client.data_to_send() == b""


def test_streams_beyond_the_limit_are_refused() -> None:
    pair = ConnectionPair()
    for _ in range(MAX_STREAMS):
        pair.client.open_stream({})
    assert len(pair.to_server()) == MAX_STREAMS
    refused = pair.client.open_stream({})
    assert pair.to_server() == []
    assert pair.to_client() == [StreamReset(refused, 3)]


def test_headers_frame_counts_for_its_end_and_keeps_compression_in_step() -> None:
    server = Connection(client=False)
    encoder = spdyheaders.HeaderEncoder()
    frames = syn_stream(1, encoder.encode({"a": "b"}))
    frames += encode_control(
        FrameType.HEADERS, struct.pack("!I", 1) + encoder.encode({"x": "y"}), flags=1
    )
    frames += syn_stream(3, encoder.encode({"a": "b", "x": "y"}))
    assert list(server.receive_data(frames)) == [
        StreamOpened(1, {"a": "b"}),
        DataReceived(1, b"", True),
        StreamOpened(3, {"a": "b", "x": "y"}),
    ]


def test_frames_with_no_meaning_for_us_are_skipped() -> None:
    server = Connection(client=False)
    unknown = struct.pack("!HHI", 0x8003, 10, 4) + b"abcd"
    for_nobody = encode_data(7, b"data", end=True)
    assert list(server.receive_data(unknown + for_nobody + golden_bytes(1))) == [
        GOLDEN[0].values[1]
    ]


# --- misuse -----------------------------------------------------------------------------------------


def test_misuse_of_a_stream_is_local() -> None:
    pair = ConnectionPair()
    stream_id = pair.opened()
    with pytest.raises(LocalProtocolError):
        pair.server.reply(stream_id)
    with pytest.raises(LocalProtocolError):
        pair.client.reply(stream_id)
    with pytest.raises(LocalProtocolError):
        pair.client.send_data(99, b"")
    pair.client.send_data(stream_id, b"", end=True)
    with pytest.raises(LocalProtocolError):
        pair.client.send_data(stream_id, b"more")


@pytest.mark.parametrize(
    "headers",
    [{"": "x"}, {"name": "\u20ac"}, {"name": "x" * 70_000}],
    ids=["no-name", "not-latin-1", "too-long"],
)
def test_bad_headers_are_local_and_leave_the_connection_usable(headers: dict[str, str]) -> None:
    pair = ConnectionPair()
    with pytest.raises(LocalProtocolError):
        pair.client.open_stream(headers)
    assert pair.opened() == 1


def test_no_stream_is_opened_or_taken_after_goaway() -> None:
    pair = ConnectionPair()
    late = Connection(client=True)
    late.open_stream({})
    pair.server.go_away()
    assert list(pair.server.receive_data(late.data_to_send())) == []
    assert pair.to_client() == [GoAway(0, 0)]
    with pytest.raises(LocalProtocolError):
        pair.client.open_stream({})


# --- misbehaviour -----------------------------------------------------------------------------------


def syn_stream(stream_id: int, block: bytes) -> bytes:
    return encode_control(FrameType.SYN_STREAM, struct.pack("!IIH", stream_id, 0, 0) + block)


def packed(plain: bytes, dictionary: bytes = spdyheaders.DICTIONARY) -> bytes:
    compressor = zlib.compressobj(zdict=dictionary)
    return compressor.compress(plain) + compressor.flush(zlib.Z_SYNC_FLUSH)


def falling_ids() -> bytes:
    encoder = spdyheaders.HeaderEncoder()
    return b"".join(syn_stream(stream_id, encoder.encode({})) for stream_id in (3, 1))


NO_HEADERS = packed(bytes(4))
OTHER_DICTIONARY = packed(bytes(4), b"another dictionary")
FALLING = falling_ids()
ONE_TWICE = struct.pack("!I", 2) + (struct.pack("!I", 1) + b"a" + struct.pack("!I", 0)) * 2


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(bytes(8), id="data-for-stream-0"),
        pytest.param(b"\x80\x02\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01", id="version-2"),
        pytest.param(b"\x80\x03\x00\x06\x00\xff\xff\xff", id="huge-control-frame"),
        pytest.param(b"\x80\x03\x00\x06\x00\x00\x00\x03abc", id="short-ping"),
        pytest.param(b"\x80\x03\x00\x03\x00\x00\x00\x00", id="empty-reset"),
        pytest.param(b"\x80\x03\x00\x04\x00\x00\x00\x04\x00\x00\x00\x02", id="settings-missing"),
        pytest.param(syn_stream(2, NO_HEADERS), id="id-of-our-own-parity"),
        pytest.param(syn_stream(0, NO_HEADERS), id="id-0"),
        pytest.param(FALLING, id="falling-id"),
        pytest.param(syn_stream(1, b"not zlib"), id="not-compressed"),
        pytest.param(syn_stream(1, b""), id="no-header-block"),
        pytest.param(syn_stream(1, OTHER_DICTIONARY), id="other-dictionary"),
        pytest.param(syn_stream(1, packed(bytes(1 << 20))), id="zlib-bomb"),
        pytest.param(syn_stream(1, packed(b"\xff\xff\xff\xff")), id="four-billion-headers"),
        pytest.param(syn_stream(1, packed(b"\0\0\0\1\0\0\0\xff" + bytes(20))), id="long-name"),
        pytest.param(syn_stream(1, packed(struct.pack("!III", 1, 0, 0) + b"x")), id="no-name"),
        pytest.param(syn_stream(1, packed(ONE_TWICE)), id="name-twice"),
    ],
)
def test_violation_kills_the_connection_and_says_goodbye(data: bytes) -> None:
    server = Connection(client=False)
    ping = bytes.fromhex("800300060000000400000001")
    events = server.receive_data(ping + data)
    assert next(events) == PingReceived(1)
    with pytest.raises(RemoteProtocolError):
        list(events)
    assert list(server.receive_data(ping)) == []
    goodbye = server.data_to_send()[len(ping) :]
    assert goodbye.startswith(bytes.fromhex("8003000700000008"))
    assert goodbye.endswith(bytes([GoAwayStatus.PROTOCOL_ERROR]))


CONTROL = st.builds(
    lambda kind, flags, payload: (
        struct.pack("!HHI", 0x8003, kind, flags << 24 | len(payload)) + payload
    ),
    st.integers(0, 12),
    st.integers(0, 3),
    st.binary(max_size=40) | st.binary(max_size=40).map(packed) | st.just(bytes(10) + NO_HEADERS),
)
MANGLED = st.builds(
    lambda at, value, tail: golden_bytes()[:at] + bytes([value]) + golden_bytes()[at + 1 :] + tail,
    st.integers(0, len(golden_bytes()) - 1),
    st.integers(0, 255),
    st.binary(max_size=20),
)


@given(
    st.lists(CONTROL, max_size=6).map(b"".join) | MANGLED | st.binary(max_size=200), st.booleans()
)
def test_whatever_comes_nothing_but_the_declared_error_is_raised(data: bytes, client: bool) -> None:
    whole, bytewise = Connection(client=client), Connection(client=client)
    outcomes = []
    for connection, chunks in ((whole, [data]), (bytewise, [bytes([b]) for b in data])):
        events: list[Event] = []
        failed = False
        try:
            for chunk in chunks:
                events.extend(connection.receive_data(chunk))
        except RemoteProtocolError:
            failed = True
        outcomes.append((merged(events), failed, connection.data_to_send()))
    assert outcomes[0] == outcomes[1]


def test_control_frame_of_the_greatest_size_is_taken() -> None:
    server = Connection(client=False)
    frame = struct.pack("!HHI", 0x8003, 99, MAX_CONTROL_BYTES) + bytes(MAX_CONTROL_BYTES)
    assert list(server.receive_data(frame + bytes.fromhex("800300060000000400000001"))) == [
        PingReceived(1)
    ]
