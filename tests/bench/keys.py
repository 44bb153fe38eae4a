"""The keys and certificates of the clusters that are measured: RSA, as Cluster API makes them.

Both providers are given the same authorities, and clients show the same certificates to both.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from capim.aio.clock import wall_clock
from capim.api.workload import KeyPair
from capim.certs.issue import client_certificate, self_signed_ca
from capim.certs.pem import dump_private_key

_BITS: Final = 2048
#: authority -> the client that it signs for: name of the files, user, groups
_CLIENTS: Final = {
    "ca": ("client", "kubernetes-admin", ("system:masters",)),
    "etcd-ca": ("etcd-client", "etcd-client", ()),
}


@dataclass(frozen=True, slots=True)
class Keys:
    """A folder with `ca`, `etcd-ca`, `client` and `etcd-client`, each a `.crt` and a `.key`."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Keys:
        """Make the folder and everything in it."""
        folder.mkdir(parents=True)
        keys = cls(folder)
        now = wall_clock()
        for authority, (client, user, groups) in _CLIENTS.items():
            ca = self_signed_ca(authority, now, _new_key())
            keys._write(authority, ca.certificate, ca.key)
            key = _new_key()
            certificate = client_certificate(
                ca, key, common_name=user, organizations=groups, now=now
            )
            keys._write(client, certificate, dump_private_key(key))
        return keys

    def pair(self, name: str) -> KeyPair:
        """Return a certificate with its key, both PEM."""
        certificate, key = self._files(name)
        return KeyPair(certificate.read_bytes(), key.read_bytes())

    def _write(self, name: str, certificate: bytes, key: bytes) -> None:
        for file, content in zip(self._files(name), (certificate, key), strict=True):
            file.write_bytes(content)

    def _files(self, name: str) -> tuple[Path, Path]:
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, _BITS)
