from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capim.wire.clienthello import ServerName


def hello(name: str | None) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname = False
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


HELLO = hello("etcd-node-1")


@pytest.mark.parametrize("name", ["etcd-node-1", "kubernetes.default.svc.cluster.local", None])
def test_name_of_a_real_hello_is_read(name: str | None) -> None:
    found = ServerName()
    found.feed(hello(name))
    assert found.value == name


def test_pieces_and_several_records_do_not_matter() -> None:
    found = ServerName()
    body = HELLO[5:]
    records = b"".join(
        HELLO[:3] + len(part).to_bytes(2, "big") + part
        for part in (body[:3], body[3:50], body[50:])
    )
    for byte in records:
        assert found.value is None
        found.feed(bytes([byte]))
    assert found.value == "etcd-node-1"


@given(
    st.binary(max_size=100)
    | st.builds(
        lambda at, value: HELLO[:at] + bytes([value]) + HELLO[at + 1 :],
        st.integers(0, len(HELLO) - 1),
        st.integers(0, 255),
    )
    | st.integers(0, len(HELLO)).map(lambda end: HELLO[:end])
)
def test_whatever_comes_nothing_is_raised(data: bytes) -> None:
    found = ServerName()
    found.feed(data)
    assert found.value is None or found.value.isascii()


def test_search_ends_when_it_has_no_prospect() -> None:
    found = ServerName()
    found.feed(b"\x16\x03\x01\xff\xff\x01\xff\xff\xff" + bytes(17_000))
    found.feed(HELLO)
    assert found.value is None
