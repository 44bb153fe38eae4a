"""What KubeadmControlPlane asks of etcd and of certificates, through port-forwards to static pods."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import ssl
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from cryptography import x509

from capim.aio.clock import wall_clock
from capim.certs.issue import client_certificate, new_key
from capim.certs.pem import dump_private_key
from capim.dialer import ApiServer, Dialer, forwarded_port
from capim.wire import etcdrpc, spdy
from capim.wire.portforward import pair_headers
from capim.wire.websocket import Tunnel, accept_key
from tests.unit.catalogue.site import CONTROL_PLANE, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.catalogue.site import Site

_PODS = "/api/v1/namespaces/kube-system/pods"
_NAMES = ["demo-cp-0", "demo-cp-1", "demo-cp-2"]
_GET = 0


@pytest.fixture
def three() -> Iterator[Site]:
    """Serve a cluster of three control plane machines."""
    with serve(*_NAMES) as served:
        yield served


# --- the ways in --------------------------------------------------------------------------------------


class _Upgraded:
    """A blocking SPDY client on an upgraded connection, in a WebSocket tunnel or not."""

    def __init__(self, site: Site, head: str, *, websocket: bool) -> None:
        port = site.running.listener.port
        plain = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._socket = site.context.wrap_socket(plain, server_hostname="127.0.0.1")
        self._socket.sendall(head.format(port=port).replace("\n", "\r\n").encode())
        self._spdy = spdy.Connection(client=True)
        self._tunnel = Tunnel(client=True) if websocket else None
        head_bytes = b""
        while b"\r\n\r\n" not in head_bytes:
            head_bytes += self._socket.recv(1)  # whatever follows is not ours to read here
        lines = head_bytes.decode().split("\r\n")
        self.status = lines[0]
        self.headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)

    def open_pair(self, port: int) -> tuple[int, int]:
        """Open a port's error and data streams and wait until both are taken."""
        error, data = (self._spdy.open_stream(it) for it in pair_headers(port, "0"))
        self._spdy.send_data(error, b"", end=True)
        wanted = {error, data}
        while wanted:
            wanted -= {it.stream_id for it in self._events() if isinstance(it, spdy.StreamReplied)}
        return error, data

    def exchange(self, stream: int, data: bytes) -> bytes:
        """Send on a stream and return the first piece that comes back on it."""
        self._spdy.send_data(stream, data)
        while True:
            for event in self._events():
                if isinstance(event, spdy.DataReceived) and event.stream_id == stream:
                    return event.data

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _events(self) -> list[spdy.Event]:
        out = self._spdy.data_to_send()
        if self._tunnel is not None:
            self._tunnel.send_data(out)
            out = self._tunnel.data_to_send()
        if out:
            self._socket.sendall(out)
        data = self._socket.recv(65536)
        assert data, "the server hung up"
        if self._tunnel is not None:
            data = self._tunnel.receive_data(data)
        return list(self._spdy.receive_data(data))


@contextlib.contextmanager
def _upgraded(site: Site, head: str, *, websocket: bool) -> Iterator[_Upgraded]:
    client = _Upgraded(site, head, websocket=websocket)
    try:
        yield client
    finally:
        client.close()


def _peer_certificate(client: _Upgraded, port: int, name: str | None) -> x509.Certificate:
    """Shake hands through a forwarded port, without verifying, and return what it presents."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    _, stream = client.open_pair(port)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            incoming.write(client.exchange(stream, outgoing.read()))
    presented = tls.getpeercert(binary_form=True)
    assert presented is not None
    return x509.load_der_x509_certificate(presented)


def _common_name(certificate: x509.Certificate) -> str:
    [attribute] = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(attribute.value)


def _websocket_head(pod: str, key: str) -> str:
    return (
        f"GET {_PODS}/{pod}/portforward?timeout=10s HTTP/1.1\nHost: 127.0.0.1:{{port}}\n"
        "Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n"
        f"Sec-WebSocket-Key: {key}\nSec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\n\n"
    )


def _spdy_head(pod: str) -> str:
    return (
        f"POST {_PODS}/{pod}/portforward?timeout=10s HTTP/1.1\nHost: 127.0.0.1:{{port}}\n"
        "Content-Length: 0\nConnection: Upgrade\nUpgrade: SPDY/3.1\n"
        "X-Stream-Protocol-Version: portforward.k8s.io\n\n"
    )


def test_R58_get_portforward_as_websocket_reaches_etcd(site: Site) -> None:
    pod = f"etcd-{CONTROL_PLANE}"
    key = base64.b64encode(os.urandom(16)).decode()
    with _upgraded(site, _websocket_head(pod, key), websocket=True) as client:
        assert client.status == "HTTP/1.1 101 Switching Protocols"
        assert client.headers["sec-websocket-accept"] == str(accept_key(key)).lower()
        assert client.headers["sec-websocket-protocol"] == "spdy/3.1+portforward.k8s.io"
        assert _common_name(_peer_certificate(client, 2379, pod)) == pod


@pytest.mark.parametrize("websocket", [True, False], ids=["websocket", "spdy"])
def test_R59_portforward_shows_the_api_servers_certificate(site: Site, *, websocket: bool) -> None:
    pod = f"kube-apiserver-{CONTROL_PLANE}"
    key = base64.b64encode(os.urandom(16)).decode()
    head = _websocket_head(pod, key) if websocket else _spdy_head(pod)
    with _upgraded(site, head, websocket=websocket) as client:
        # without SNI, as the client that only wants to know when the certificate ends
        certificate = _peer_certificate(client, 6443, None)
    assert _common_name(certificate) == "kube-apiserver"
    assert certificate.not_valid_after_utc.timestamp() > wall_clock()


def test_R60_post_portforward_as_spdy_reaches_etcd(site: Site) -> None:
    pod = f"etcd-{CONTROL_PLANE}"
    with _upgraded(site, _spdy_head(pod), websocket=False) as client:
        assert client.status == "HTTP/1.1 101 Switching Protocols"
        assert client.headers["x-stream-protocol-version"] == "portforward.k8s.io"
        assert _common_name(_peer_certificate(client, 2379, pod)) == pod


def test_R60_post_portforward_to_a_pod_that_is_not_there_is_404(site: Site) -> None:
    with _upgraded(site, _spdy_head("etcd-gone"), websocket=False) as client:
        assert client.status == "HTTP/1.1 404 Not Found"


# --- etcd's own calls ---------------------------------------------------------------------------------


class _Etcd:
    """A gRPC client of one member, its certificate from the cluster's etcd authority."""

    def __init__(self, site: Site, node: str) -> None:
        server = ApiServer("127.0.0.1", site.running.listener.port, site.context)
        self._dialer = Dialer(server, "kube-system", f"etcd-{node}", 2379)
        self._name = f"etcd-{node}"
        authority = site.running.authorities.etcd_ca
        key = new_key()
        certificate = client_certificate(
            authority, key, common_name="cluster-api", organizations=(), now=wall_clock()
        )
        self._credentials = grpc.ssl_channel_credentials(
            authority.certificate, dump_private_key(key), certificate
        )

    def call(self, service: str, method: str, request: str, /, **fields: Any) -> Any:
        """Call a method and decode its answer; raises grpc.RpcError."""
        data = etcdrpc.new(request, **fields).SerializeToString()

        def ask(port: int) -> bytes:
            options = [("grpc.ssl_target_name_override", self._name)]
            target = f"127.0.0.1:{port}"
            with grpc.secure_channel(target, self._credentials, options) as channel:
                answer: bytes = channel.unary_unary(etcdrpc.method(service, method))(
                    data, timeout=5
                )
                return answer

        async def run() -> bytes:
            async with forwarded_port(self._dialer) as port:
                return await asyncio.to_thread(ask, port)

        return etcdrpc.decode(request.replace("Request", "Response"), asyncio.run(run()))

    def members(self) -> dict[str, int]:
        """Return names and IDs."""
        answer = self.call("Cluster", "MemberList", "MemberListRequest", linearizable=True)
        return {member.name: member.ID for member in answer.members}


def test_R61_etcd_status(site: Site) -> None:
    answer = _Etcd(site, CONTROL_PLANE).call("Maintenance", "Status", "StatusRequest")
    assert answer.version.startswith("3.")
    assert answer.leader == answer.header.member_id
    assert answer.header.cluster_id == site.cluster.etcd.cluster_id
    assert (list(answer.errors), answer.isLearner) == ([], False)


def test_R62_etcd_member_list(three: Site) -> None:
    answers = [
        _Etcd(three, name).call("Cluster", "MemberList", "MemberListRequest", linearizable=True)
        for name in _NAMES[:2]
    ]
    assert [[member.name for member in answer.members] for answer in answers] == [_NAMES, _NAMES]
    assert answers[0].header.cluster_id == answers[1].header.cluster_id != 0
    assert answers[0].header.member_id != answers[1].header.member_id
    assert not any(member.isLearner for member in answers[0].members)


def test_R63_etcd_alarm_get(three: Site) -> None:
    answer = _Etcd(three, _NAMES[1]).call("Maintenance", "Alarm", "AlarmRequest", action=_GET)
    assert list(answer.alarms) == []


def test_R64_etcd_move_leader(three: Site) -> None:
    leader = _Etcd(three, _NAMES[0])
    target = leader.members()[_NAMES[2]]
    leader.call("Maintenance", "MoveLeader", "MoveLeaderRequest", targetID=target)
    assert three.cluster.etcd.leader_id == target
    with pytest.raises(grpc.RpcError, match="not leader"):
        leader.call("Maintenance", "MoveLeader", "MoveLeaderRequest", targetID=target)


def test_R65_etcd_member_remove(three: Site) -> None:
    client = _Etcd(three, _NAMES[0])
    gone = client.members()[_NAMES[2]]
    answer = client.call("Cluster", "MemberRemove", "MemberRemoveRequest", ID=gone)
    assert [member.name for member in answer.members] == _NAMES[:2]
    with pytest.raises(grpc.RpcError, match="member not found"):
        client.call("Cluster", "MemberRemove", "MemberRemoveRequest", ID=gone)
