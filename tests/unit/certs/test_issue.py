"""Certificates verify against RSA and ECDSA authorities, and broken Secrets are named."""

from __future__ import annotations

import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from capim.api.workload import KeyPair
from capim.certs.contexts import server_context
from capim.certs.issue import (
    api_server_hosts,
    client_certificate,
    new_key,
    self_signed_ca,
    serving_certificate,
)
from capim.certs.pem import CertificateError, check_key_pair, dump_private_key

NOW = 1_750_000_000.0
RSA = rsa.generate_private_key(65537, 2048)
ECDSA = ec.generate_private_key(ec.SECP384R1())


def _pair(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, form: PrivateFormat) -> KeyPair:
    made = self_signed_ca("kubernetes", NOW, key)
    return KeyPair(made.certificate, key.private_bytes(Encoding.PEM, form, NoEncryption()))


AUTHORITIES = [
    pytest.param(_pair(RSA, PrivateFormat.TraditionalOpenSSL), id="rsa-pkcs1"),
    pytest.param(_pair(RSA, PrivateFormat.PKCS8), id="rsa-pkcs8"),
    pytest.param(_pair(ECDSA, PrivateFormat.TraditionalOpenSSL), id="ecdsa-sec1"),
    pytest.param(_pair(ECDSA, PrivateFormat.PKCS8), id="ecdsa-pkcs8"),
]


@pytest.mark.parametrize("ca", AUTHORITIES)
def test_serving_certificate_verifies_for_every_host(ca: KeyPair) -> None:
    hosts = api_server_hosts("10.1.2.3", "10.128.0.1")
    pem = serving_certificate(ca, new_key(), common_name="kube-apiserver", hosts=hosts, now=NOW)
    leaf = x509.load_pem_x509_certificate(pem)
    store = Store([x509.load_pem_x509_certificate(ca.certificate)])
    policy = PolicyBuilder().store(store).time(leaf.not_valid_before_utc)
    policy.build_server_verifier(x509.DNSName("kubernetes.default.svc")).verify(leaf, [])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == [
        "127.0.0.1",
        "::1",
        "10.1.2.3",
        "10.128.0.1",
    ]
    assert "kubernetes.default.svc.cluster.local" in names.get_values_for_type(x509.DNSName)
    assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "kube-apiserver"


def test_certificate_starts_in_the_past_and_lives_a_year() -> None:
    ca = self_signed_ca("kubernetes", NOW)
    pem = serving_certificate(ca, new_key(), common_name="x", hosts=["x"], now=NOW)
    leaf = x509.load_pem_x509_certificate(pem)
    assert leaf.not_valid_before_utc.timestamp() == NOW - 300
    assert leaf.not_valid_after_utc.timestamp() == NOW + 365 * 86400


def test_etcd_certificate_is_for_client_and_server() -> None:
    ca = self_signed_ca("etcd-ca", NOW)
    pem = serving_certificate(
        ca, new_key(), common_name="etcd-n", hosts=["etcd-n"], now=NOW, client_auth=True
    )
    leaf = x509.load_pem_x509_certificate(pem)
    usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usages) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_client_certificate_carries_user_and_groups() -> None:
    ca = self_signed_ca("kubernetes", NOW)
    pem = client_certificate(
        ca, new_key(), common_name="admin", organizations=["system:masters", "dev"], now=NOW
    )
    subject = x509.load_pem_x509_certificate(pem).subject
    groups = [it.value for it in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    assert groups == ["system:masters", "dev"]
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "admin"


@pytest.mark.parametrize("ca", AUTHORITIES)
def test_usable_authority_passes(ca: KeyPair) -> None:
    check_key_pair(ca, "default/demo-ca")


def _leaf() -> KeyPair:
    key = new_key()
    pem = serving_certificate(self_signed_ca("c", NOW), key, common_name="x", hosts=["x"], now=NOW)
    return KeyPair(pem, dump_private_key(key))


_GOOD = self_signed_ca("kubernetes", NOW)
_OTHER = self_signed_ca("kubernetes", NOW)
_ED25519 = ed25519.Ed25519PrivateKey.generate().private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        pytest.param(KeyPair(b"", _GOOD.key), "tls.crt holds no certificate", id="no-certificate"),
        pytest.param(KeyPair(_GOOD.certificate, b"junk"), "tls.key holds no usable", id="bad-key"),
        pytest.param(KeyPair(_GOOD.certificate, b""), "tls.key holds no usable", id="no-key"),
        pytest.param(KeyPair(_GOOD.certificate, _ED25519), "neither RSA nor ECDSA", id="ed25519"),
        pytest.param(KeyPair(_GOOD.certificate, _OTHER.key), "does not belong", id="mismatch"),
        pytest.param(_leaf(), "no certificate authority", id="leaf"),
    ],
)
def test_unusable_authority_is_named_with_the_fix(pair: KeyPair, said: str) -> None:
    with pytest.raises(CertificateError, match=said) as caught:
        check_key_pair(pair, "default/demo-ca")
    assert "default/demo-ca" in str(caught.value)
    assert "mint it again" in str(caught.value)


def test_context_asks_for_a_certificate_and_makes_no_tickets() -> None:
    ca = self_signed_ca("kubernetes", NOW)
    key = new_key()
    pem = serving_certificate(ca, key, common_name="x", hosts=["x"], now=NOW)
    context = server_context(pem, dump_private_key(key), ca.certificate, ["http/1.1"])
    assert context.verify_mode is ssl.CERT_OPTIONAL
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.num_tickets == 0
    assert context.options & ssl.OP_NO_TICKET
    assert context.get_ca_certs(binary_form=True) == [
        ssl.PEM_cert_to_DER_cert(ca.certificate.decode())
    ]


def test_context_refuses_a_key_of_another_certificate() -> None:
    ca = self_signed_ca("kubernetes", NOW)
    pem = serving_certificate(ca, new_key(), common_name="x", hosts=["x"], now=NOW)
    with pytest.raises(ssl.SSLError):
        server_context(pem, dump_private_key(new_key()), None, ["h2"])
