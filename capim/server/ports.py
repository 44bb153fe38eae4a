"""A port that is held before it listens.

`bind` without `listen` refuses connections and keeps the port from others, which is what a cluster
wants whose first API server is not up yet. Linux lets two sockets bind one port as long as both allow
reuse and neither listens; so reuse is allowed only from the moment of listening, and needed then, or
the connections that linger after a restart would keep the port from us.
"""

from __future__ import annotations

import errno
import ipaddress
import socket


class PortOccupied(OSError):
    """The port belongs to another process; the message says what to do."""

    def __init__(self, host: str, port: int) -> None:
        where = f"{host or 'all interfaces'} port {port}"
        super().__init__(
            errno.EADDRINUSE,
            f"{where} is taken by another process: stop it, or give CAPIM another port range",
        )
        self.port = port


def bind_port(host: str, port: int) -> socket.socket:
    """Bind without listening. An empty host binds all interfaces, IPv6 too where there is one.

    Raises:
        PortOccupied: another process has it.
        OSError: the host is no address of this machine.
    """
    family = _family(host)
    for reuse in (False, True):
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(bool(host)))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
            bound.bind((host, port))
        except OSError as error:
            bound.close()
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        bound.setblocking(False)
        return bound
    raise PortOccupied(host, port)


def allow_listen(bound: socket.socket) -> None:
    """Prepare a bound socket for listening: from here on the listening keeps others away."""
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def _family(host: str) -> socket.AddressFamily:
    if not host:
        return socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    return socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
