"""The server name a TLS client asks for, read from its ClientHello on the way past.

Python's `ssl` tells it only through the context's `sni_callback`, which a context shared by many
connections needs for choosing certificates. Reading is lenient: what is not a ClientHello has no name,
and TLS itself will say what is wrong with it. Source: RFC 8446, sections 4.1.2 and 5.1; RFC 6066.
"""

from __future__ import annotations

import struct
from typing import Final

_RECORD_HEAD: Final = struct.Struct("!BHH")  # type, version, length
_HANDSHAKE_RECORD: Final = 22
_CLIENT_HELLO: Final = 1
_SERVER_NAME: Final = 0
_FIXED_BYTES: Final = 2 + 32  # version, random
#: Bytes of a hello we look at; post-quantum key shares make about 2 kB.
_LIMIT_BYTES: Final = 16 * 1024


class ServerName:
    """Collects the first bytes of a TLS client until they tell its server name."""

    def __init__(self) -> None:
        self._buffer: bytes | None = b""  # None: the search is over
        self.value: str | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the client; `value` is set once they tell."""
        if self._buffer is None:
            return
        self._buffer += data
        hello = _handshake_message(self._buffer)
        if hello is not None:
            self.value = _server_name(hello)
        if hello is not None or len(self._buffer) > _LIMIT_BYTES:
            self._buffer = None


def _handshake_message(data: bytes) -> bytes | None:
    """Join records until the first handshake message is whole; None: more is needed."""
    message, start = b"", 0
    while len(data) - start >= _RECORD_HEAD.size:
        kind, _, length = _RECORD_HEAD.unpack_from(data, start)
        if kind != _HANDSHAKE_RECORD:
            return b""
        start += _RECORD_HEAD.size
        message += data[start : start + length]
        start += length
        if len(message) >= 4 and len(message) - 4 >= int.from_bytes(message[1:4], "big"):
            return message
    return None


def _server_name(message: bytes) -> str | None:
    if not message or message[0] != _CLIENT_HELLO:
        return None
    try:
        body, _ = _block(message, 1, 3)
        end = _FIXED_BYTES
        for length_bytes in (1, 2, 1):  # session id, cipher suites, compression methods
            _, end = _block(body, end, length_bytes)
        extensions, _ = _block(body, end, 2)
        return _name_in(extensions)
    except ValueError:
        return None


def _name_in(extensions: bytes) -> str | None:
    end = 0
    while end < len(extensions):
        kind = int.from_bytes(extensions[end : end + 2], "big")
        content, end = _block(extensions, end + 2, 2)
        if kind == _SERVER_NAME:
            names, _ = _block(content, 0, 2)
            name, _ = _block(names, 1, 2)  # one list entry: its type, 0 for a host, then the name
            return name.decode("ascii") or None
    return None


def _block(data: bytes, start: int, length_bytes: int) -> tuple[bytes, int]:
    """Read a block with its length before it; returns it and where it ends."""
    begin = start + length_bytes
    end = begin + int.from_bytes(data[start:begin], "big")
    if begin > len(data) or end > len(data):
        raise ValueError("block is longer than what holds it")
    return data[begin:end], end
