"""Signed tokens of service accounts: JSON Web Signatures with RSA or P-256, and the keys that check them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.certs.pem import PrivateKey

_HASH: Final = hashes.SHA256()
_HALF: Final = 32  #: bytes of each number of a P-256 signature


class TokenSigner:
    """Signs claims and checks its own signatures. RS256 for an RSA key, ES256 for a P-256 key."""

    def __init__(self, key: PrivateKey) -> None:
        self._key: Any = key
        self._public: Any = key.public_key()
        self._is_rsa = isinstance(key, rsa.RSAPrivateKey)
        self.algorithm = "RS256" if self._is_rsa else "ES256"
        encoded = self._public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self._key_id = _encode(hashlib.sha256(encoded).digest())

    def sign(self, claims: JsonObject) -> str:
        """Return the claims as a compact token."""
        header = {"alg": self.algorithm, "kid": self._key_id}
        signed = f"{_encode(orjson.dumps(header))}.{_encode(orjson.dumps(claims))}"
        return f"{signed}.{_encode(self._signature(signed.encode()))}"

    def verify(self, token: str) -> JsonObject | None:
        """Return the claims of a token that this key has signed; None: of no other."""
        signed, _, signature = token.rpartition(".")
        header, _, payload = signed.partition(".")
        try:
            known = orjson.loads(_decode(header)) == {"alg": self.algorithm, "kid": self._key_id}
            if not known or not self._is_signed(signed.encode(), _decode(signature)):
                return None
            claims = orjson.loads(_decode(payload))
        except (ValueError, binascii.Error):
            return None
        return claims if isinstance(claims, dict) else None

    def key_set(self) -> JsonObject:
        """Return the JSON Web Key Set by which others check the tokens."""
        head = {"use": "sig", "kid": self._key_id, "alg": self.algorithm}
        numbers = self._public.public_numbers()
        if self._is_rsa:
            parts = {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
        else:
            point = {"x": _number(numbers.x, _HALF), "y": _number(numbers.y, _HALF)}
            parts = {"kty": "EC", "crv": "P-256", **point}
        return {"keys": [head | parts]}

    def _signature(self, signed: bytes) -> bytes:
        if self._is_rsa:
            made: bytes = self._key.sign(signed, padding.PKCS1v15(), _HASH)
            return made
        r, s = decode_dss_signature(self._key.sign(signed, ec.ECDSA(_HASH)))
        return r.to_bytes(_HALF) + s.to_bytes(_HALF)

    def _is_signed(self, signed: bytes, signature: bytes) -> bool:
        try:
            if self._is_rsa:
                self._public.verify(signature, signed, padding.PKCS1v15(), _HASH)
            else:
                r, s = signature[:_HALF], signature[_HALF:]
                encoded = encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
                self._public.verify(encoded, signed, ec.ECDSA(_HASH))
        except InvalidSignature:
            return False
        return True


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _number(value: int, size: int = 0) -> str:
    return _encode(value.to_bytes(size or (value.bit_length() + 7) // 8))
