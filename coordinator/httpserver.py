"""A small HTTP server on one address, for health, diagnostics and debugging."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

import structlog

from coordinator.httpbounds import BoundedServer

if TYPE_CHECKING:
    import ssl

    from aiohttp import web

_log = structlog.get_logger(__name__)

#: What Go programs take for "off" in an address flag.
_OFF: Final = frozenset({"", "0"})


def split_address(address: str) -> tuple[str | None, int]:
    """Split `host:port`; no host means all addresses."""
    host, _, port = address.rpartition(":")
    return host.strip("[]") or None, int(port)


def is_off(address: str) -> bool:
    """Say whether nothing is to be served."""
    return address in _OFF


def is_loopback(address: str) -> bool:
    """Say whether only processes of this host reach an address."""
    if is_off(address):
        return False
    host, _ = split_address(address)
    if host is None or host == "localhost":
        return host is not None
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name may be anything


class HttpServer:
    """Serves an application on an address such as `:9440`; none when the address is off."""

    def __init__(
        self,
        flag: str,
        address: str,
        application: web.Application,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._flag = flag
        self._address = address
        self._server = BoundedServer(application, grace_s=2.0)
        self._ssl_context = ssl_context

    @property
    def port(self) -> int:
        """The port that is listened on, for an address that asked for any; 0 when none is."""
        return self._server.port or 0

    async def start(self) -> None:
        """Listen.

        Raises:
            ValueError: the address cannot be bound; the message names the flag.
        """
        if is_off(self._address):
            return
        host, port = split_address(self._address)
        try:
            await self._server.start(host, port, self._ssl_context)
        except OSError as error:
            raise ValueError(
                f"{self._flag}: cannot listen on {self._address}: {error.strerror}:"
                " choose another address, or end what holds it"
            ) from error
        _log.info("listening", flag=self._flag, address=self._address)

    async def stop(self) -> None:
        """Close."""
        await self._server.stop()
