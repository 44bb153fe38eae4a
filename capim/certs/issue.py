"""Certificates of a fake cluster, signed by its real authorities.

One P-256 key serves a whole process: clients pin the authority, never the key, and a key costs more
than a signature. Certificates live a year, as kubeadm's do, and start a little in the past so that a
client whose clock is behind takes them.
"""

from __future__ import annotations

import datetime
import ipaddress
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from capim.api.workload import KeyPair
from capim.certs.pem import PrivateKey, dump_private_key, load_certificate, load_private_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: one year, as kubeadm's serving certificates
LIFETIME_S: Final = 365 * 24 * 3600
_AUTHORITY_LIFETIME_S: Final = 10 * LIFETIME_S
_BACKDATED_S: Final = 300
_CLIENT: Final = ExtendedKeyUsageOID.CLIENT_AUTH
_SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH
_USAGES: Final = {"client auth": _CLIENT, "server auth": _SERVER}


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a P-256 key: signing with it costs a tenth of RSA in every handshake."""
    return ec.generate_private_key(ec.SECP256R1())


def serving_certificate(
    ca: KeyPair,
    key: PrivateKey,
    *,
    common_name: str,
    hosts: Iterable[str],
    now: float,
    client_auth: bool = False,
) -> bytes:
    """Issue a serving certificate for `hosts` (DNS names and IP literals), as PEM.

    With `client_auth` it is also usable as a client, as an etcd member is towards its peers.

    Raises:
        CertificateError: the authority cannot sign; see `check_key_pair`.
    """
    usages = [_SERVER, _CLIENT] if client_auth else [_SERVER]
    subject = _subject(common_name)
    builder = _builder(subject, key, usages, now, LIFETIME_S)
    names = x509.SubjectAlternativeName([_general_name(host) for host in dict.fromkeys(hosts)])
    return _sign(builder.add_extension(names, critical=False), ca)


def client_certificate(
    ca: KeyPair, key: PrivateKey, *, common_name: str, organizations: Sequence[str] = (), now: float
) -> bytes:
    """Issue a client certificate, as PEM: user `common_name` in groups `organizations`."""
    builder = _builder(_subject(common_name, organizations), key, [_CLIENT], now, LIFETIME_S)
    return _sign(builder, ca)


def signed_request(
    ca: KeyPair, request: bytes, usages: Sequence[str], now: float, lifetime_s: int
) -> bytes:
    """Sign a PEM certificate request with its own subject and names, as PEM.

    `usages` are those of a CertificateSigningRequest: `client auth` and `server auth` count.

    Raises:
        ValueError: the request cannot be read, or its signature is wrong.
        CertificateError: the authority cannot sign.
    """
    asked = x509.load_pem_x509_csr(request)
    if not asked.is_signature_valid:
        raise ValueError("the request is not signed by its own key")
    wanted = [_USAGES[usage] for usage in usages if usage in _USAGES]
    start = datetime.datetime.fromtimestamp(int(now), datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(asked.subject)
        .public_key(asked.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - datetime.timedelta(seconds=_BACKDATED_S))
        .not_valid_after(start + datetime.timedelta(seconds=lifetime_s))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    if wanted:
        builder = builder.add_extension(x509.ExtendedKeyUsage(wanted), critical=False)
    for extension in asked.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            builder = builder.add_extension(extension.value, critical=False)
    return _sign(builder, ca)


def self_signed_ca(name: str, now: float, key: PrivateKey | None = None) -> KeyPair:
    """Make an authority of ten years; a P-256 key unless one is given."""
    key = key or new_key()
    subject = _subject(name)
    builder = _dated(subject, key, now, _AUTHORITY_LIFETIME_S).issuer_name(subject)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(authority=True), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    return KeyPair(certificate.public_bytes(Encoding.PEM), dump_private_key(key))


def api_server_hosts(advertised: str, service_ip: str, domain: str = "cluster.local") -> list[str]:
    """Name every host by which a client may call the API server.

    Localhost comes with it because a person reaches a fake cluster through `kubectl port-forward`.
    """
    service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    hosts = ["localhost", "127.0.0.1", "::1", advertised, *service]
    return [host for host in [*hosts, f"kubernetes.default.svc.{domain}", service_ip] if host]


def _subject(common_name: str, organizations: Sequence[str] = ()) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _dated(
    subject: x509.Name, key: PrivateKey, now: float, lifetime_s: int
) -> x509.CertificateBuilder:
    start = datetime.datetime.fromtimestamp(int(now), datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - datetime.timedelta(seconds=_BACKDATED_S))
        .not_valid_after(start + datetime.timedelta(seconds=lifetime_s))
    )


def _builder(
    subject: x509.Name,
    key: PrivateKey,
    usages: Sequence[x509.ObjectIdentifier],
    now: float,
    lifetime_s: int,
) -> x509.CertificateBuilder:
    builder = _dated(subject, key, now, lifetime_s)
    builder = builder.add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    builder = builder.add_extension(_key_usage(authority=False), critical=True)
    return builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _sign(builder: x509.CertificateBuilder, ca: KeyPair) -> bytes:
    authority = load_certificate(ca.certificate, "certificate authority")
    key = load_private_key(ca.key, "certificate authority")
    builder = builder.issuer_name(authority.subject)
    builder = builder.add_extension(_authority_identifier(authority, key), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _authority_identifier(
    authority: x509.Certificate, key: PrivateKey
) -> x509.AuthorityKeyIdentifier:
    """Repeat the authority's own identifier: verifiers compare the two byte for byte."""
    try:
        known = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known.value)
