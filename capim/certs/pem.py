"""PEM text to key and certificate objects: Cluster API's Secrets in every shape it writes them.

The keys of a cluster's authorities come from Secrets that kubeadm's provider mints (PKCS1 RSA or SEC1
ECDSA) or that a user brought along (PKCS8 too). What cannot be used is named by Secret key, with the fix.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.utils import CryptographyDeprecationWarning

if TYPE_CHECKING:
    from capim.api.workload import KeyPair

#: what signs here: Cluster API mints RSA and, from 1.12 on, ECDSA
PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_CURE: Final = "delete the Secret and let Cluster API mint it again, or put a matching pair into it"


class CertificateError(ValueError):
    """A certificate or key that cannot be used; the message names the Secret's key and the fix."""


def load_private_key(pem: bytes, field: str) -> PrivateKey:
    """Read an RSA or ECDSA key in PKCS1, PKCS8 or SEC1 form.

    Raises:
        CertificateError: no such key; `field` says which Secret it came from.
    """
    try:
        # Checking that RSA factors are prime takes 50 ms a key, and there are three a cluster; whoever
        # wrote the Secret owns the cluster. A pair that does not match is found by `check_key_pair`.
        key = load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError) as error:
        raise CertificateError(f"{field}: tls.key holds no usable private key: {_CURE}") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise CertificateError(f"{field}: tls.key is neither RSA nor ECDSA: {_CURE}")
    return key


def load_certificate(pem: bytes, field: str) -> x509.Certificate:
    """Read the first certificate of a PEM text.

    Raises:
        CertificateError: there is none; `field` says which Secret it came from.
    """
    try:
        with warnings.catch_warnings():
            # Cluster API's own authorities have serial number 0; a person can do nothing about it
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise CertificateError(f"{field}: tls.crt holds no certificate in PEM: {_CURE}") from error


def dump_private_key(key: PrivateKey) -> bytes:
    """Write a key as PKCS8 PEM, which every TLS library reads."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def check_key_pair(pair: KeyPair, field: str) -> None:
    """Make sure that the pair can sign: both parse, they belong together, and it is an authority.

    Args:
        pair: certificate and key as the Secret holds them.
        field: the Secret, as a person would look for it: `default/demo-ca`.

    Raises:
        CertificateError: naming the Secret's key (`tls.crt`, `tls.key`) and the fix.
    """
    certificate = load_certificate(pair.certificate, field)
    key = load_private_key(pair.key, field)
    if _public_bytes(certificate.public_key()) != _public_bytes(key.public_key()):
        raise CertificateError(f"{field}: tls.key does not belong to tls.crt: {_CURE}")
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        raise CertificateError(
            f"{field}: tls.crt is no certificate authority (no basic constraints): {_CURE}"
        ) from None
    if not constraints.ca:
        raise CertificateError(f"{field}: tls.crt is no certificate authority: {_CURE}")


def _public_bytes(key: object) -> bytes:
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return b""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
