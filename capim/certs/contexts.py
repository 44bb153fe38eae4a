"""Certificates to `ssl.SSLContext`: what a TLS server of ours allows."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def server_context(
    cert_pem: bytes, key_pem: bytes, client_ca_pem: bytes | None, alpn: Sequence[str]
) -> ssl.SSLContext:
    """Make a server's context: TLS 1.2 or newer, no tickets, a client certificate if it has one.

    A certificate is asked for optionally: whether one is needed depends on the server name, and a
    context that SNI chooses later keeps the verify mode of the first. Without `client_ca_pem` none is
    asked for.

    Raises:
        ssl.SSLError: certificate and key do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0  # two tickets a connection doubled the cost of a handshake
    context.set_alpn_protocols(list(alpn))
    if client_ca_pem is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=client_ca_pem.decode("ascii"))
    load_chain(context, cert_pem, key_pem)
    return context


def load_chain(context: ssl.SSLContext, cert_pem: bytes, key_pem: bytes) -> None:
    """Hand the key to OpenSSL, which reads paths only, without it ever touching a disk."""
    descriptor = os.memfd_create("key", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(cert_pem + b"\n" + key_pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
