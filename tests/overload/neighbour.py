"""The client whose answers are timed: one kept connection, a GET every few milliseconds."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.overload.world import Site

REQUEST: Final = b"GET /api/v1/nodes/n1 HTTP/1.1\r\nHost: x\r\n\r\n"
_PAUSE_S: Final = 0.004


@dataclass(frozen=True, slots=True)
class Times:
    """How long answers took, in seconds, sorted."""

    taken: list[float]

    def at(self, share: float) -> float:
        """Return the quantile, in milliseconds."""
        return self.taken[int(share * (len(self.taken) - 1))] * 1000


def client_context(pem: str, *protocols: str) -> ssl.SSLContext:
    """Make a client's context that is somebody and checks nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(pem)
    context.set_alpn_protocols(list(protocols) or ["http/1.1"])
    return context


def connect(site: Site, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Open a connection."""
    plain = socket.create_connection(("127.0.0.1", site.port), timeout=30)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


def timed(step: Callable[[], object]) -> float:
    """Return how long a step takes."""
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def gets(site: Site, seconds: float) -> Times:
    """Time GETs of one node."""
    taken = []
    with connect(site, client_context(site.client)) as connection:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            taken.append(timed(lambda: _get(connection)))
            time.sleep(_PAUSE_S)
    return Times(sorted(taken[20:]))


def _get(connection: ssl.SSLSocket) -> None:
    connection.sendall(REQUEST)
    answer = connection.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 200"), answer[:100]
