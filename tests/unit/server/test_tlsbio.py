from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capim.server.tlsbio import TlsOverProtocol
from tests.support.portforward import Echo, tls_contexts

if TYPE_CHECKING:
    from collections.abc import Callable

SERVER_CONTEXT, CA_PEM = tls_contexts()


class Wire(asyncio.Transport):
    """The outer transport: keeps what is written, records what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.asked: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)
        self.asked.append("write")

    def close(self) -> None:
        self.asked.append("close")

    def abort(self) -> None:
        self.asked.append("abort")

    def pause_reading(self) -> None:
        self.asked.append("pause")

    def resume_reading(self) -> None:
        self.asked.append("resume")

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("10.0.0.1", 1)}.get(name, default)

    def taken(self) -> bytes:
        data, self.written = self.written, b""
        return data


class Peer:
    """A TLS client in memory, joined to a `TlsOverProtocol` with an echo inside."""

    def __init__(
        self, *, inner: Echo | None = None, chunk: int = 1 << 20, trust: bool = True
    ) -> None:
        context = ssl.create_default_context(cadata=CA_PEM.decode() if trust else None)
        context.set_alpn_protocols(["h2"])
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = context.wrap_bio(self.incoming, self.outgoing, server_hostname="etcd-node")
        self.inner = inner or Echo()
        self.asked: list[str | None] = []
        self.wire = Wire()
        self.server = TlsOverProtocol(SERVER_CONTEXT, self._make)
        self.server.connection_made(self.wire)
        self._chunk = chunk

    def _make(self, client: ssl.SSLObject) -> asyncio.Protocol:
        self.asked.append(client.selected_alpn_protocol())
        return self.inner

    def to_server(self) -> None:
        data = self.outgoing.read()
        for start in range(0, len(data), self._chunk):
            self.server.data_received(data[start : start + self._chunk])

    def attempt(self, step: Callable[[], Any]) -> Any:
        """Do a step of the client's TLS, carrying bytes both ways until it is through."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self.to_server()
                data = self.wire.taken()
                if not data:
                    raise
                self.incoming.write(data)
            else:
                self.to_server()
                return result

    def connected(self) -> Peer:
        self.attempt(self.ssl.do_handshake)
        return self

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += cast(bytes, self.attempt(lambda: self.ssl.read(count)))
        return data


def run(scenario: Callable[[], None]) -> None:
    """Run a plain function where there is a loop, then let what it scheduled run."""

    async def main() -> None:
        scenario()
        await asyncio.sleep(0)

    asyncio.run(main())


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20], ids=["bytewise", "pieces", "whole"])
def test_plain_bytes_come_through_whatever_the_chunks(chunk: int) -> None:
    def scenario() -> None:
        peer = Peer(chunk=chunk).connected()
        peer.ssl.write(b"hello" * 50)
        assert peer.read(250) == b"hello" * 50
        assert peer.asked == ["h2"]
        peer.server.connection_lost(None)

    run(scenario)


@settings(max_examples=10)
@given(st.lists(st.binary(min_size=1, max_size=40_000), max_size=4))
def test_what_is_written_comes_back(parts: list[bytes]) -> None:
    def scenario() -> None:
        peer = Peer(chunk=4096).connected()
        for part in parts:
            peer.ssl.write(part)
        peer.to_server()
        data = b"".join(parts)
        assert peer.inner.received == data
        assert peer.read(len(data)) == data
        peer.server.connection_lost(None)

    run(scenario)


def test_inner_protocol_sees_tls_and_the_outer_connection() -> None:
    def scenario() -> None:
        peer = Peer().connected()
        transport = peer.inner.transport
        assert transport is not None
        assert transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        assert transport.get_extra_info("sslcontext") is SERVER_CONTEXT
        assert transport.get_extra_info("cipher")[1].startswith("TLSv1.")
        assert transport.get_extra_info("peercert") is None
        assert transport.get_extra_info("peername") == ("10.0.0.1", 1)
        assert transport.get_extra_info("nothing", "default") == "default"
        assert not transport.can_write_eof()
        assert transport.get_write_buffer_size() == 0
        peer.server.connection_lost(None)

    run(scenario)


def test_answers_to_one_piece_are_one_write() -> None:
    def scenario() -> None:
        peer = Peer().connected()
        peer.wire.asked.clear()
        for _ in range(5):
            peer.ssl.write(b"x")
        peer.to_server()
        assert peer.wire.asked == ["write"]
        peer.server.connection_lost(None)

    run(scenario)


def test_clients_goodbye_ends_input_and_is_answered() -> None:
    def scenario() -> None:
        peer = Peer().connected()
        with pytest.raises(ssl.SSLWantReadError):
            peer.ssl.unwrap()
        peer.to_server()
        peer.incoming.write(peer.wire.taken())
        peer.ssl.unwrap()
        assert peer.inner.events == ["made", "eof"]
        assert peer.wire.asked[-1] == "close"
        peer.server.eof_received()
        peer.server.connection_lost(None)
        assert peer.inner.events == ["made", "eof", "lost"]

    run(scenario)


def test_close_sends_the_goodbye_after_the_last_words() -> None:
    def scenario() -> None:
        peer = Peer().connected()
        transport = peer.inner.transport
        assert transport is not None
        transport.writelines([b"last ", b"words"])
        transport.close()
        transport.close()
        transport.write(b"lost")
        assert transport.is_closing()
        peer.incoming.write(peer.wire.taken())
        assert peer.ssl.read(100) == b"last words"
        assert peer.ssl.read(100) == b""  # close_notify
        assert peer.wire.asked.count("close") == 1
        peer.server.connection_lost(None)

    run(scenario)


def test_stream_that_ends_without_goodbye_ends_input() -> None:
    def scenario() -> None:
        peer = Peer().connected()
        assert not peer.server.eof_received()
        assert peer.inner.events == ["made", "eof"]
        assert peer.wire.asked[-1] == "close"
        peer.server.connection_lost(ConnectionResetError())
        assert isinstance(peer.inner.lost_with, ConnectionResetError)

    run(scenario)


def test_nonsense_instead_of_a_hello_is_answered_with_an_alert() -> None:
    def scenario() -> None:
        peer = Peer()
        peer.server.data_received(b"\x16\x03\x01\x00\x05hello")
        peer.server.data_received(b"more")
        assert peer.wire.asked == ["write", "close"]
        assert peer.wire.written[0] == 21  # an alert's record
        peer.server.connection_lost(None)
        assert peer.inner.events == []

    run(scenario)


def test_client_that_does_not_trust_us_never_reaches_the_inner_protocol() -> None:
    def scenario() -> None:
        peer = Peer(trust=False)
        with pytest.raises(ssl.SSLCertVerificationError):
            peer.connected()
        peer.to_server()
        assert peer.wire.asked[-1] == "close"
        assert peer.asked == []
        peer.server.connection_lost(None)

    run(scenario)


def test_broken_record_ends_the_connection_with_an_alert() -> None:
    def scenario() -> None:
        peer = Peer().connected()
        peer.ssl.write(b"hello")
        data = bytearray(peer.outgoing.read())
        data[-1] ^= 1
        peer.server.data_received(bytes(data))
        assert peer.wire.asked[-2:] == ["write", "close"]
        assert peer.inner.received == b""
        peer.server.connection_lost(None)
        assert peer.inner.events == ["made", "lost"]

    run(scenario)


def test_inner_protocol_that_does_not_read_stops_the_outer_transport() -> None:
    async def main() -> None:
        peer = Peer().connected()
        transport = peer.inner.transport
        assert transport is not None
        transport.pause_reading()
        transport.pause_reading()
        peer.ssl.write(b"waits")
        peer.to_server()
        assert peer.inner.received == b""
        transport.resume_reading()
        await asyncio.sleep(0)
        assert peer.inner.received == b"waits"
        assert [word for word in peer.wire.asked if word != "write"] == ["pause", "resume"]
        peer.server.connection_lost(None)

    asyncio.run(main())


def test_back_pressure_is_passed_on_even_from_before_the_handshake() -> None:
    def scenario() -> None:
        peer = Peer()
        peer.server.pause_writing()
        peer.connected()
        peer.server.resume_writing()
        assert peer.inner.events == ["made", "paused", "resumed"]
        peer.server.connection_lost(None)

    run(scenario)


def test_handshake_that_does_not_come_is_cut_off() -> None:
    async def main() -> None:
        wire = Wire()
        cut = asyncio.Event()
        wire.abort = cut.set  # type: ignore[method-assign]
        server = TlsOverProtocol(SERVER_CONTEXT, lambda *_: Echo(), handshake_timeout_s=0.001)
        server.connection_made(wire)
        await cut.wait()
        server.connection_lost(None)

    asyncio.run(main())


@given(st.binary(max_size=300))
def test_whatever_comes_nothing_is_raised(data: bytes) -> None:
    def scenario() -> None:
        peer = Peer()
        peer.server.data_received(data)
        peer.server.eof_received()
        peer.server.connection_lost(None)
        assert peer.asked == []

    run(scenario)
