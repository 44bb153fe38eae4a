"""TLS flags in Kubernetes' words."""

from __future__ import annotations

import ssl

import pytest

from coordinator.tlsoptions import TLSOptions


def test_suites_narrow_tls12_and_the_version_is_a_floor() -> None:
    options = TLSOptions.parse(
        "VersionTLS12",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_RSA_WITH_AES_256_GCM_SHA384,"
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,TLS_AES_128_GCM_SHA256",
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    options.apply(context)
    old = {cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"}
    assert old == {
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "ECDHE-RSA-CHACHA20-POLY1305",
    }
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_without_suites_the_defaults_stay() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    before = context.get_ciphers()
    TLSOptions.parse("VersionTLS13").apply(context)
    assert context.get_ciphers() == before
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3


def test_nothing_older_than_tls12_is_offered() -> None:
    assert TLSOptions.parse("VersionTLS10").min_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("version", "suites", "message"),
    [
        ("TLS1.2", "", "--tls-min-version must be one of"),
        ("VersionTLS12", "TLS_RSA_WITH_RC4_128_SHA", "'TLS_RSA_WITH_RC4_128_SHA' is unknown"),
        ("VersionTLS12", "ECDHE-RSA-AES128-GCM-SHA256", "write for example TLS_"),
    ],
)
def test_refuses_with_what_to_write(version: str, suites: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TLSOptions.parse(version, suites)
