"""Nobody gets in by a foreign certificate, another name, or a port that is not his to reach."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

import pytest

from capim.aio.clock import wall_clock
from capim.certs.issue import LIFETIME_S, client_certificate, new_key, self_signed_ca
from capim.certs.pem import dump_private_key
from capim.wire.portforward import pair_headers
from capim.wire.spdy import MAX_STREAMS, Connection, DataReceived, StreamOpened, StreamReset
from capim.wire.spdyframes import FrameType, encode_control
from tests.support.served import Running, make_authorities, make_served, resource, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from capim.api.workload import KeyPair

GET = b"GET /api/v1/nodes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
NOW = wall_clock()
FOREIGN = make_authorities(NOW)


def context(
    folder: Path, ca: KeyPair | None, *, now: float = NOW, alpn: str = "http/1.1"
) -> ssl.SSLContext:
    """Make a client's context that trusts anybody and shows a certificate of `ca`, if any."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.set_alpn_protocols([alpn])
    if ca is not None:
        key = new_key()
        pem = client_certificate(
            ca, key, common_name="intruder", organizations=("system:masters",), now=now
        )
        path = folder / "client.pem"
        path.write_bytes(pem + dump_private_key(key))
        made.load_cert_chain(path)
    return made


async def said(it: Running, client: ssl.SSLContext, name: str, sent: bytes = GET) -> bytes:
    """Send bytes under a server name and return all that comes; nothing, when the handshake fails."""
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", it.listener.port, ssl=client, server_hostname=name
        )
    except OSError:
        return b""
    writer.write(sent)
    with contextlib.suppress(OSError):
        return await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return b""


@contextlib.asynccontextmanager
async def site() -> AsyncIterator[Running]:
    """Run a cluster with an etcd member and a node that nobody may see."""
    served = make_served()
    served.etcd.add("n1", 7)
    served.group.create(resource("nodes"), "", {"metadata": {"name": "inside"}})
    async with running(served) as it:
        yield it
        assert it.listener._door is not None
        assert it.listener._door.half_open == 0
        assert b"inside" in await asyncio.wait_for(honest(it), 5)


async def honest(it: Running) -> bytes:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", it.listener.port, ssl=it.client_context()
    )
    writer.write(GET)
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("name", ["127.0.0.1", "etcd-n1", "etcd-n2", "other", "etcd-" + "a" * 50])
@pytest.mark.parametrize(
    ("authority", "now"),
    [
        pytest.param(lambda _: FOREIGN.ca, NOW, id="another-clusters"),
        pytest.param(lambda _: FOREIGN.etcd_ca, NOW, id="another-clusters-etcd"),
        pytest.param(lambda _: self_signed_ca("kubernetes", NOW), NOW, id="of-the-same-name"),
        pytest.param(lambda it: it.authorities.ca, NOW - 2 * LIFETIME_S, id="expired"),
        pytest.param(lambda it: it.authorities.ca, NOW + LIFETIME_S, id="of-the-future"),
        pytest.param(lambda it: it.authorities.etcd_ca, NOW - 2 * LIFETIME_S, id="expired-etcd"),
    ],
)
def test_foreign_certificate_ends_in_the_handshake_under_any_name(
    authority: Callable[[Running], KeyPair], now: float, name: str, tmp_path: Path
) -> None:
    async def go() -> None:
        async with site() as it:
            assert await said(it, context(tmp_path, authority(it), now=now), name) == b""

    asyncio.run(go())


@pytest.mark.parametrize(
    ("authority", "name", "alpn"),
    [
        pytest.param("etcd_ca", "127.0.0.1", "http/1.1", id="etcds-at-the-api"),
        pytest.param("etcd_ca", "etcd-n2", "h2", id="etcds-under-an-absent-members-name"),
        pytest.param("ca", "etcd-n1", "h2", id="the-apis-at-etcd"),
        pytest.param("ca", "etcd-n1", "http/1.1", id="the-apis-at-etcd-by-http"),
    ],
)
def test_certificate_of_the_other_authority_opens_nothing(
    authority: str, name: str, alpn: str, tmp_path: Path
) -> None:
    async def go() -> None:
        async with site() as it:
            client = context(tmp_path, getattr(it.authorities, authority), alpn=alpn)
            assert await said(it, client, name) == b""

    asyncio.run(go())


@pytest.mark.parametrize("name", ["etcd-n1", "127.0.0.1"])
def test_without_a_certificate_etcd_says_nothing_and_the_api_401(name: str, tmp_path: Path) -> None:
    async def go() -> None:
        async with site() as it:
            answer = await said(it, context(tmp_path, None), name)
            assert b"inside" not in answer
            assert answer.startswith(b"HTTP/1.1 401" if name == "127.0.0.1" else b"")

    asyncio.run(go())


# --- port-forward ------------------------------------------------------------------------------------


class Forward:
    """A client's end of a port-forward."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.spdy = Connection(client=True)

    @classmethod
    async def to(cls, it: Running, pod: str) -> Forward:
        """Upgrade a connection of an administrator."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", it.listener.port, ssl=it.client_context()
        )
        path = f"/api/v1/namespaces/{pod.replace('/', '/pods/')}/portforward"
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
            "X-Stream-Protocol-Version: portforward.k8s.io\r\nContent-Length: 0\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        return cls(reader, writer)

    async def error_of(self, port: int) -> bytes:
        """Open a pair and return the text of its error stream."""
        error, data = pair_headers(port, "1")
        stream = self.spdy.open_stream(error, end=True)
        self.spdy.open_stream(data)
        self.send(self.spdy.data_to_send())
        async for event in self.events():
            if isinstance(event, DataReceived) and event.stream_id == stream:
                return event.data
        return b""

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def events(self) -> AsyncIterator[object]:
        while data := await asyncio.wait_for(self._reader.read(65536), 5):
            for event in self.spdy.receive_data(data):
                yield event

    async def is_ended(self) -> bool:
        """Read to the end of the connection."""
        with contextlib.suppress(ConnectionError):
            while await asyncio.wait_for(self._reader.read(65536), 5):
                pass
        return True

    def close(self) -> None:
        self._writer.close()


@pytest.mark.parametrize(
    ("pod", "port"),
    [
        pytest.param("kube-system/etcd-n1", 22, id="ssh"),
        pytest.param("kube-system/etcd-n1", 2380, id="etcds-peers"),
        pytest.param("kube-system/etcd-n1", 6443, id="the-api-at-etcds-pod"),
        pytest.param("kube-system/etcd-n2", 2379, id="an-absent-member"),
        pytest.param("kube-system/kube-apiserver-n1", 2379, id="etcd-at-the-apis-pod"),
        pytest.param("kube-system/plain", 80, id="a-plain-pod"),
        pytest.param("default/etcd-n1", 2379, id="a-namesake-in-another-namespace"),
        pytest.param("default/kube-apiserver-n1", 6443, id="the-apis-namesake"),
    ],
)
def test_port_that_nobody_serves_is_refused(pod: str, port: int) -> None:
    async def go() -> None:
        async with site() as it:
            namespace, name = pod.split("/")
            it.served.group.create(resource("pods"), namespace, {"metadata": {"name": name}})
            forward = await Forward.to(it, pod)
            assert b"connection refused" in await forward.error_of(port)
            forward.close()

    asyncio.run(go())


def test_streams_beyond_the_limit_are_refused_and_the_rest_lives() -> None:
    async def go() -> None:
        async with site() as it:
            it.served.group.create(
                resource("pods"), "kube-system", {"metadata": {"name": "etcd-n1"}}
            )
            forward = await Forward.to(it, "kube-system/etcd-n1")
            for number in range(MAX_STREAMS + 10):
                forward.spdy.open_stream(pair_headers(2379, str(number))[0])
            forward.send(forward.spdy.data_to_send())
            refused = 0
            async for event in forward.events():
                assert not isinstance(event, StreamOpened)
                refused += isinstance(event, StreamReset)
                if refused == 10:
                    break
            forward.close()

    asyncio.run(go())


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x80\x03\x00\x06\x00\xff\xff\xff", id="giant-control-frame"),
        pytest.param(encode_control(FrameType.SYN_STREAM, bytes(10) + b"no zlib"), id="no-zlib"),
    ],
)
def test_broken_frame_ends_the_forward(sent: bytes) -> None:
    async def go() -> None:
        async with site() as it:
            it.served.group.create(
                resource("pods"), "kube-system", {"metadata": {"name": "etcd-n1"}}
            )
            forward = await Forward.to(it, "kube-system/etcd-n1")
            forward.send(sent)
            assert await forward.is_ended()
            forward.close()

    asyncio.run(go())
