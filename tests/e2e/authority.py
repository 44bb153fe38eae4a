"""A certificate authority for one testbed, written to files as Kubernetes wants them."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import warnings
from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_HOUR: Final = datetime.timedelta(hours=1)
_DAY: Final = datetime.timedelta(days=1)
_SIGNS_CERTIFICATES: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def key_pem(key: PrivateKey) -> bytes:
    """Write a private key as PKCS#8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


class Authority:
    """Signs server and client certificates: a new one with a P-256 key, or one that exists."""

    def __init__(self, name: str) -> None:
        self._key: PrivateKey = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = self._sign(self._name, self._key, is_authority=True)

    @classmethod
    def load(cls, certificate_pem: bytes, key_pem: bytes) -> Authority:
        """Return the authority that a Secret of Cluster API holds."""
        loaded = cls.__new__(cls)
        with warnings.catch_warnings():
            # Cluster API 1.7 gives its authorities the serial number 0, which RFC 5280 forbids
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            loaded._certificate = x509.load_pem_x509_certificate(certificate_pem)
        loaded._name = loaded._certificate.subject
        key = serialization.load_pem_private_key(key_pem, password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
        loaded._key = key
        return loaded

    @property
    def certificate_pem(self) -> bytes:
        """The authority's own certificate."""
        return _pem(self._certificate)

    @property
    def bundle(self) -> str:
        """The certificate as `caBundle` fields carry it."""
        return base64.b64encode(self.certificate_pem).decode()

    @property
    def key_pem(self) -> bytes:
        """The authority's private key."""
        return key_pem(self._key)

    def server(self, *names: str) -> tuple[bytes, bytes]:
        """Return certificate and key, PEM, for host names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        return _pem(self._sign(subject, key, names=names)), key_pem(key)

    def client(self, user: str, group: str) -> tuple[bytes, bytes]:
        """Return certificate and key, PEM, of a Kubernetes user."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, user),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, group),
            ]
        )
        return _pem(self._sign(subject, key)), key_pem(key)

    def _sign(
        self,
        subject: x509.Name,
        key: PrivateKey,
        *,
        names: tuple[str, ...] = (),
        is_authority: bool = False,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)  # noqa: TID251 (a test's certificate starts now)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _HOUR)
            .not_valid_after(now + 365 * _DAY)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(self._key_identifier(), critical=False)
        )
        if is_authority:
            # Python 3.13 verifies strictly: an authority must say that it is one in all three places
            identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
            builder = builder.add_extension(identifier, critical=False)
            builder = builder.add_extension(_SIGNS_CERTIFICATES, critical=True)
        if names:
            alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _key_identifier(self) -> x509.AuthorityKeyIdentifier:
        """Return the identifier that the authority itself states: there are several ways to make one."""
        if not hasattr(self, "_certificate"):
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        stated = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(stated.value)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def write_service_account_key(folder: Path) -> None:
    """Write `sa.key` and `sa.pub`, which sign and verify service account tokens."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (folder / "sa.key").write_bytes(key_pem(key))
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / "sa.pub").write_bytes(public)
