"""Which certificate a client sees, and which it is asked for, over real handshakes in memory."""

from __future__ import annotations

import dataclasses
import gc
import ssl
import weakref
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from capim.aio.clock import ManualClock, wall_clock
from capim.certs.issue import LIFETIME_S, self_signed_ca
from capim.server.served import Authorities
from capim.server.tls import Contexts, ServingKey
from tests.support.served import load_client, make_served

if TYPE_CHECKING:
    from capim.api.workload import KeyPair
    from capim.server.served import Served

NOW = wall_clock()
KEY = ServingKey()
RSA = rsa.generate_private_key(65537, 2048)
ECDSA = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(params=[RSA, ECDSA], ids=["rsa", "ecdsa"])
def served(request: pytest.FixtureRequest) -> Served:
    ca = self_signed_ca("kubernetes", NOW, request.param)
    etcd_ca = self_signed_ca("etcd-ca", NOW, request.param)
    served = make_served(authorities=Authorities(ca, etcd_ca))
    served.etcd.add("node-1", 7)
    return served


def handshake(
    context: ssl.SSLContext, client: ssl.SSLContext, name: str | None
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Shake hands in memory; returns the server's and the client's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = context.wrap_bio(to_server, to_client, server_side=True)
    client_side = client.wrap_bio(to_client, to_server, server_hostname=name)
    waiting = [client_side, server_side]
    for _ in range(10):
        for side in tuple(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
    assert not waiting
    return server_side, client_side


def client_of(ca: KeyPair, *, alpn: str, check: bool = True) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca.certificate.decode())
    context.check_hostname = check
    context.set_alpn_protocols([alpn])
    return context


def certificate(side: ssl.SSLObject) -> x509.Certificate:
    der = side.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


def common_name(side: ssl.SSLObject) -> str:
    return str(certificate(side).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def authorities(served: Served) -> Authorities:
    assert served.authorities is not None
    return served.authorities


@pytest.mark.parametrize(
    "name", ["localhost", "127.0.0.1", "::1", "kubernetes.default.svc", "10.128.0.1"]
)
def test_any_name_of_the_api_server_verifies(served: Served, name: str) -> None:
    contexts = Contexts(served, KEY, lambda: NOW)
    client = client_of(authorities(served).ca, alpn="http/1.1")
    server_side, client_side = handshake(contexts.api(), client, name)
    assert common_name(client_side) == "kube-apiserver"
    assert client_side.selected_alpn_protocol() == "http/1.1"
    assert contexts.member_of(server_side.context) is None


def test_client_without_a_server_name_gets_the_api_server(served: Served) -> None:
    contexts = Contexts(served, KEY, lambda: NOW)
    client = client_of(authorities(served).ca, alpn="http/1.1", check=False)
    assert common_name(handshake(contexts.api(), client, None)[1]) == "kube-apiserver"


def test_member_name_gets_the_members_certificate_and_h2(served: Served) -> None:
    contexts = Contexts(served, KEY, lambda: NOW)
    client = client_of(authorities(served).etcd_ca, alpn="h2")
    load_client(client, authorities(served).etcd_ca, "etcd-client")
    server_side, client_side = handshake(contexts.api(), client, "etcd-node-1")
    assert common_name(client_side) == "etcd-node-1"
    assert client_side.selected_alpn_protocol() == "h2"
    assert contexts.member_of(server_side.context) == "node-1"
    assert server_side.getpeercert()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "node-1"])
def test_member_behind_a_forwarded_port_has_its_certificate(served: Served, name: str) -> None:
    context = Contexts(served, KEY, lambda: NOW).etcd("node-1")
    client = client_of(authorities(served).etcd_ca, alpn="h2")
    load_client(client, authorities(served).etcd_ca, "etcd-client")
    assert context is not None
    assert common_name(handshake(context, client, name)[1]) == "etcd-node-1"


def test_member_that_left_is_the_api_server_again(served: Served) -> None:
    contexts = Contexts(served, KEY, lambda: NOW)
    assert contexts.etcd("node-1") is not None
    served.etcd.remove(7)
    client = client_of(authorities(served).ca, alpn="http/1.1", check=False)
    assert common_name(handshake(contexts.api(), client, "etcd-node-1")[1]) == "kube-apiserver"
    assert contexts.etcd("node-1") is None


def test_member_that_leaves_during_a_handshake_makes_nobody_a_client_of_the_api_server(
    served: Served,
) -> None:
    contexts = Contexts(served, KEY, lambda: NOW)
    client = client_of(authorities(served).etcd_ca, alpn="h2")
    load_client(client, authorities(served).etcd_ca, "etcd-client")
    server_side, _ = handshake(contexts.api(), client, "etcd-node-1")
    served.etcd.remove(7)
    assert contexts.etcd("node-1") is None
    assert contexts.member_of(server_side.context) == "node-1"


def test_client_certificate_of_the_cluster_is_known(served: Served) -> None:
    contexts = Contexts(served, KEY, lambda: NOW)
    client = client_of(authorities(served).ca, alpn="http/1.1")
    load_client(client, authorities(served).ca, "admin")
    server_side, _ = handshake(contexts.api(), client, "localhost")
    peer = server_side.getpeercert()
    assert peer is not None
    assert (("commonName", "admin"),) in peer["subject"]


@pytest.mark.parametrize("name", ["localhost", "etcd-node-1"])
def test_client_certificate_of_another_authority_is_refused(served: Served, name: str) -> None:
    contexts = Contexts(served, KEY, lambda: NOW)
    client = client_of(authorities(served).ca, alpn="http/1.1", check=False)
    client.verify_mode = ssl.CERT_NONE
    wrong = authorities(served).etcd_ca if name == "localhost" else authorities(served).ca
    load_client(client, wrong, "admin")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(contexts.api(), client, name)


def test_tls_below_1_2_is_refused(served: Served) -> None:
    assert Contexts(served, KEY, lambda: NOW).api().minimum_version is ssl.TLSVersion.TLSv1_2


def test_tls_1_2_makes_no_tickets(served: Served) -> None:
    client = client_of(authorities(served).ca, alpn="http/1.1")
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    api = Contexts(served, KEY, lambda: NOW).api()
    _, client_side = handshake(api, client, "localhost")
    assert client_side.version() == "TLSv1.2"
    assert client_side.session is not None
    assert not client_side.session.has_ticket


def test_certificates_are_kept_until_something_changes() -> None:
    clock = ManualClock(NOW)
    served = make_served()
    contexts = Contexts(served, KEY, clock)
    first = contexts.api()
    assert contexts.api() is first
    served.advertised_host = "10.9.9.9"
    moved = contexts.api()
    assert moved is not first
    served.authorities = dataclasses.replace(
        authorities(served), ca=self_signed_ca("kubernetes", NOW)
    )
    resigned = contexts.api()
    assert resigned is not moved
    clock.advance(LIFETIME_S / 2)
    assert contexts.api() is not resigned


def test_contexts_are_freed_when_they_are_closed(served: Served) -> None:
    contexts = Contexts(served, KEY, wall_clock)
    alive = [weakref.ref(it) for it in (contexts.api(), contexts.etcd("node-1")) if it]
    gc.disable()  # it would find them, in a large process once in an hour
    try:
        contexts.close()
        assert [it() for it in alive] == [None, None]
    finally:
        gc.enable()


def test_open_listener_serves_a_certificate_issued_anew() -> None:
    served = make_served()
    contexts = Contexts(served, KEY, lambda: NOW)
    base = contexts.api()
    served.advertised_host = "new.example.com"
    client = client_of(authorities(served).ca, alpn="http/1.1")
    handshake(base, client, "new.example.com")
