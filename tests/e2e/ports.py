"""Free ports, outside the range the kernel hands to outgoing connections."""

from __future__ import annotations

import random
import socket
from typing import Final

# Linux gives outgoing connections 32768-60999, and the Go provider listens from 20000 to 24000
_CANDIDATES: Final = range(24_100, 32_000)
_RANDOM: Final = random.SystemRandom()  # two runs side by side must not try the same ports


def free_range(size: int) -> range:
    """Return `size` ports in a row that nobody listens on now."""
    for _ in range(1000):
        first = _RANDOM.choice(_CANDIDATES[:-size])
        ports = range(first, first + size)
        if all(is_free(port) for port in ports):
            return ports
    message = f"no {size} free ports in a row in {_CANDIDATES}"
    raise OSError(message)


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that nobody listens on now."""
    return list(free_range(count))


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Say whether `port` could be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
