"""What `--tls-min-version` and `--tls-cipher-suites` mean, in the words Kubernetes programs use.

Names of suites are IANA's, as Go has them; OpenSSL's differ. As in Go, suites concern TLS 1.2 and
older: those of TLS 1.3 are all good and cannot be chosen.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Final, Self

_VERSIONS: Final = {
    # accepted because Go's flags know them; nothing older than 1.2 is offered all the same
    "VersionTLS10": ssl.TLSVersion.TLSv1_2,
    "VersionTLS11": ssl.TLSVersion.TLSv1_2,
    "VersionTLS12": ssl.TLSVersion.TLSv1_2,
    "VersionTLS13": ssl.TLSVersion.TLSv1_3,
}
_CIPHERS: Final = {
    "AES_128_CBC_SHA": "AES128-SHA",
    "AES_256_CBC_SHA": "AES256-SHA",
    "AES_128_CBC_SHA256": "AES128-SHA256",
    "AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "CHACHA20_POLY1305": "CHACHA20-POLY1305",
    "CHACHA20_POLY1305_SHA256": "CHACHA20-POLY1305",
}
_KEY_EXCHANGES: Final = {"ECDHE_ECDSA": "ECDHE-ECDSA-", "ECDHE_RSA": "ECDHE-RSA-", "RSA": ""}
_TLS13_SUITES: Final = frozenset(
    {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
)


@dataclass(frozen=True, slots=True)
class TLSOptions:
    """A floor for the version and the allowed suites of TLS 1.2; no suites: OpenSSL's choice."""

    min_version: ssl.TLSVersion
    ciphers: tuple[str, ...]  #: OpenSSL's names

    @classmethod
    def parse(cls, min_version: str = "VersionTLS12", cipher_suites: str = "") -> Self:
        """Read the two flags; suites are separated by commas.

        Raises:
            ValueError: an unknown version or suite, or one that is no longer safe to offer.
        """
        if min_version not in _VERSIONS:
            raise ValueError(
                f"--tls-min-version must be one of {', '.join(_VERSIONS)}, is {min_version!r}"
            )
        suites = [suite.strip() for suite in cipher_suites.split(",") if suite.strip()]
        chosen = tuple(_openssl_name(suite) for suite in suites if suite not in _TLS13_SUITES)
        return cls(_VERSIONS[min_version], chosen)

    def apply(self, context: ssl.SSLContext) -> None:
        """Narrow what the context offers."""
        context.minimum_version = self.min_version
        if self.ciphers:
            context.set_ciphers(":".join(self.ciphers))


def _openssl_name(suite: str) -> str:
    exchange, _, cipher = suite.removeprefix("TLS_").partition("_WITH_")
    if exchange not in _KEY_EXCHANGES or cipher not in _CIPHERS:
        raise ValueError(
            f"--tls-cipher-suites: {suite!r} is unknown or unsafe: write for example"
            " TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
        )
    return _KEY_EXCHANGES[exchange] + _CIPHERS[cipher]
