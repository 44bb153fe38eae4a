"""The fake etcd on a real TLS socket, with grpcio as the client: a second implementation of gRPC."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from capim.aio.clock import wall_clock
from capim.certs.contexts import server_context
from capim.certs.issue import client_certificate, new_key, self_signed_ca, serving_certificate
from capim.runtime import etcdservice
from capim.runtime.etcdmembers import EtcdCluster
from capim.server.etcd import EtcdProtocol
from capim.wire import etcdrpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

CA = self_signed_ca("etcd-ca", wall_clock())


def pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def tls() -> ssl.SSLContext:
    key = new_key()
    certificate = serving_certificate(
        CA, key, common_name="etcd-a", hosts=["etcd-a", "localhost"], now=wall_clock()
    )
    context = server_context(certificate, pem(key), CA.certificate, ["h2"])
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class Client:
    """What KubeadmControlPlane's client calls, over grpcio."""

    def __init__(self, port: int) -> None:
        key = new_key()
        certificate = client_certificate(CA, key, common_name="kcp", now=wall_clock())
        self.channel = grpc.secure_channel(
            f"127.0.0.1:{port}",
            grpc.ssl_channel_credentials(CA.certificate, pem(key), certificate),
            options=[
                ("grpc.ssl_target_name_override", "etcd-a"),
                ("grpc.default_authority", "etcd-a:2379"),
            ],
        )

    def call(self, service: str, name: str, request: str = "", **fields: Any) -> Any:
        """Call a method by its name; the request's fields are keywords."""
        method = self.channel.unary_unary(etcdrpc.method(service, name))
        message = etcdrpc.new(request or f"{name}Request", **fields).SerializeToString()
        return etcdrpc.decode(f"{name}Response", method(message, timeout=10))


class Connection(EtcdProtocol):
    """An etcd connection whose end can be awaited."""

    def __init__(self, etcd: EtcdCluster, **options: Any) -> None:
        super().__init__(etcd, **options)
        self.lost = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        super().connection_lost(exc)
        self.lost.set()


def with_server(
    etcd: EtcdCluster, client: Callable[[int], None], **options: Any
) -> list[Connection]:
    """Serve `etcd` while `client(port)` runs in a thread; returns the connections made."""

    async def main() -> list[Connection]:
        connections: list[Connection] = []

        def connect() -> Connection:
            connections.append(Connection(etcd, **options))
            return connections[-1]

        loop = asyncio.get_running_loop()
        server = await loop.create_server(connect, "127.0.0.1", 0, ssl=tls())
        try:
            await asyncio.to_thread(client, server.sockets[0].getsockname()[1])
        finally:
            server.close()
            await server.wait_closed()
        for connection in connections:
            await asyncio.wait_for(connection.lost.wait(), 10)
        return connections

    return asyncio.run(main())


def cluster(*names: str) -> EtcdCluster:
    etcd = EtcdCluster(2**64 - 1, revision=lambda: 5)
    for number, name in enumerate(names, start=1):
        etcd.add(name, number)
    return etcd


def test_kubeadm_control_planes_session_over_tls() -> None:
    seen: list[str] = []

    def session(port: int) -> None:
        client = Client(port)
        with client.channel:
            status = client.call("Maintenance", "Status")
            members = client.call("Cluster", "MemberList")
            alarms = client.call("Maintenance", "Alarm")
        assert (status.leader, status.header.cluster_id) == (1, 2**64 - 1)
        assert [member.name for member in members.members] == ["a", "b"]
        assert list(alarms.alarms) == []

    connections = with_server(
        cluster("a", "b"), session, observe=lambda method, _: seen.append(method)
    )
    assert seen == ["Status", "MemberList", "Alarm"]
    assert len(connections) == 1


def test_leadership_and_membership_change_over_tls() -> None:
    etcd = cluster("a", "b")

    def session(port: int) -> None:
        client = Client(port)
        with client.channel:
            client.call("Maintenance", "MoveLeader", targetID=2)
            left = client.call("Cluster", "MemberRemove", ID=1)
        assert [member.name for member in left.members] == ["b"]

    with_server(etcd, session)
    assert etcd.leader_id == 2


def test_refusals_reach_the_client_as_grpc_status() -> None:
    def session(port: int) -> None:
        client = Client(port)
        with client.channel:
            with pytest.raises(grpc.RpcError) as error:
                client.call("Maintenance", "Status")
            assert error.value.code() is grpc.StatusCode.NOT_FOUND
            assert error.value.details() == "etcdserver: member not found"
            with pytest.raises(grpc.RpcError) as error:
                client.channel.unary_unary("/etcdserverpb.KV/Range")(b"", timeout=10)
            assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED

    with_server(cluster("b"), session)


def test_compressed_request_is_refused() -> None:
    def session(port: int) -> None:
        client = Client(port)
        with client.channel:
            method = client.channel.unary_unary(etcdrpc.method("Cluster", "MemberRemove"))
            with pytest.raises(grpc.RpcError) as error:
                method(bytes(1000), timeout=10, compression=grpc.Compression.Gzip)
            assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED

    with_server(cluster("a"), session)


def test_bug_in_a_handler_is_an_internal_error_not_a_dead_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(etcdservice.EtcdService, "handle", broken)

    def session(port: int) -> None:
        client = Client(port)
        with client.channel:
            for _ in range(2):
                with pytest.raises(grpc.RpcError) as error:
                    client.call("Maintenance", "Status")
                assert error.value.code() is grpc.StatusCode.INTERNAL

    assert len(with_server(cluster("a"), session)) == 1


class RecordingTransport(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep what would go to the client."""
        self.written += bytes(data)

    def close(self) -> None:
        """Close at once."""
        self.closed = True

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return self.closed

    def pause_reading(self) -> None:
        """Note it."""
        self.reading = False

    def resume_reading(self) -> None:
        """Note it."""
        self.reading = True


def test_close_sends_goaway_and_closes_the_transport() -> None:
    transport = RecordingTransport()
    protocol = EtcdProtocol(cluster("a"))
    protocol.connection_made(transport)
    transport.written = b""
    protocol.close()
    assert transport.closed
    assert transport.written[3] == 7  # the frame type of GOAWAY
    protocol.connection_lost(None)
    protocol.data_received(b"late")


def test_slow_client_is_not_read_from() -> None:
    transport = RecordingTransport()
    protocol = EtcdProtocol(cluster("a"))
    protocol.connection_made(transport)
    protocol.pause_writing()
    assert not transport.reading
    protocol.resume_writing()
    assert transport.reading
