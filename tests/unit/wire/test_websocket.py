from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capim.wire.websocket import Tunnel, accept_key

PING = bytes.fromhex("89 82 00000000 6869")  # masked with zeros: "hi"
PONG = bytes.fromhex("8a 02 6869")
BINARY = bytes.fromhex("82 83 00000000 616263")  # "abc"
TEXT = bytes.fromhex("81 83 00000000 616263")
CLOSE = bytes.fromhex("88 82 00000000 03e8")  # 1000
CLOSE_ANSWER = bytes.fromhex("88 02 03e8")


def test_accept_key_is_the_one_of_the_rfc() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize("key", ["", "short", "c2hvcnQ=", "\u20ac" * 24, "!" * 24])
def test_what_is_no_key_has_no_accept_key(key: str) -> None:
    assert accept_key(key) is None


@given(st.lists(st.binary(max_size=300), max_size=5), st.lists(st.integers(0, 2000), max_size=8))
def test_bytes_come_through_whatever_the_messages_and_the_chunks(
    messages: list[bytes], cuts: list[int]
) -> None:
    client, server = Tunnel(client=True), Tunnel(client=False)
    for message in messages:
        client.send_data(message)
    data = client.data_to_send()
    borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    received = [server.receive_data(data[a:b]) for a, b in itertools.pairwise(borders)]
    assert b"".join(received) == b"".join(messages)
    assert server.data_to_send() == b""


def test_ping_is_answered_between_messages() -> None:
    server = Tunnel(client=False)
    assert server.receive_data(BINARY + PING + BINARY) == b"abcabc"
    assert server.data_to_send() == PONG
    assert not server.closed


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        pytest.param(CLOSE, CLOSE_ANSWER, id="close"),
        pytest.param(TEXT, bytes.fromhex("88 02 03eb"), id="text"),
        pytest.param(b"\x82\x03abc", bytes.fromhex("88 02 03ea"), id="unmasked"),
        pytest.param(b"\xff\xff", bytes.fromhex("88 02 03ea"), id="nonsense"),
    ],
)
def test_tunnel_ends_after_what_came_before(data: bytes, answer: bytes) -> None:
    server = Tunnel(client=False)
    assert server.receive_data(BINARY + data + BINARY) == b"abc"
    assert server.closed
    assert server.data_to_send() == answer
    server.send_data(b"late")
    server.close()
    assert server.receive_data(BINARY) == b""
    assert server.data_to_send() == b""


def test_close_is_said_once_and_answered() -> None:
    client, server = Tunnel(client=True), Tunnel(client=False)
    server.send_data(b"last")
    server.close()
    assert client.receive_data(server.data_to_send()) == b"last"
    assert client.closed
    assert server.receive_data(client.data_to_send()) == b""


@given(st.lists(st.binary(max_size=20) | st.sampled_from([PING, BINARY, TEXT, CLOSE]), max_size=6))
def test_whatever_comes_nothing_is_raised_and_chunks_do_not_matter(parts: list[bytes]) -> None:
    data = b"".join(parts)
    whole, bytewise = Tunnel(client=False), Tunnel(client=False)
    received = whole.receive_data(data)
    piecewise = b"".join(bytewise.receive_data(bytes([byte])) for byte in data)
    assert received == piecewise
    assert whole.closed == bytewise.closed
    said, said_bytewise = whole.data_to_send(), bytewise.data_to_send()
    assert bool(said) == bool(said_bytewise)
    # a close names the first of two faults that the parser has seen by then
    assert whole.closed or said == said_bytewise
