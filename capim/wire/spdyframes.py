"""SPDY/3.1 frames: bytes to `DataFrame` and `ControlFrame` and back. Knows no streams and no headers.

A data frame's content is handed on as it arrives, so a frame of 16 MiB costs no memory here; control
frames are small by nature, held until whole, and bounded. Source: SPDY Protocol Draft 3.1, section 2.2.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION: Final = 3
FLAG_FIN: Final = 0x01
MAX_STREAM_ID: Final = 0x7FFF_FFFF
#: Bytes of a control frame we take; port-forward's are below 200, a whole browser's headers fit.
MAX_CONTROL_BYTES: Final = 64 * 1024
#: Bytes of one data frame we send; io.Copy, on the other side of most connections, uses the same.
DATA_CHUNK_BYTES: Final = 32 * 1024

_HEADER_BYTES: Final = 8
_CONTROL_BIT: Final = 0x8000_0000
_HEADER: Final = struct.Struct("!II")


class ProtocolError(Exception):
    """The protocol's rules were broken; the subclass says by whom."""


class LocalProtocolError(ProtocolError):
    """The caller asked for what the connection's state does not allow: a bug on this side."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol: the connection is of no further use."""


class FrameType(enum.IntEnum):
    """Control frames that mean something; others are ignored, as the specification asks."""

    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    HEADERS = 8
    WINDOW_UPDATE = 9


@dataclass(frozen=True, slots=True)
class DataFrame:
    """A part of a stream's data; `end` on the last part of the frame that carries FIN."""

    stream_id: int
    data: bytes
    end: bool


@dataclass(frozen=True, slots=True)
class ControlFrame:
    """A whole control frame: its type (known or not), flags and what follows its head."""

    kind: int
    flags: int
    payload: bytes


class FrameReader:
    """Cuts a byte stream into frames, in whatever pieces it arrives."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._stream_id = 0
        self._data_left = 0  # bytes of the current data frame that have not arrived
        self._data_fin = False

    def feed(self, data: bytes) -> None:
        """Take bytes from the peer; `frames` cuts them."""
        self._buffer += data

    def frames(self) -> Iterator[DataFrame | ControlFrame]:
        """Yield what is complete, each frame once.

        Raises:
            RemoteProtocolError: another version, data for stream 0, or a control frame above the limit.
        """
        while True:
            frame = self._data_part() if self._data_left else self._next()
            if frame is None:
                return
            yield frame

    def _take(self, count: int) -> bytes:
        taken = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return taken

    def _data_part(self) -> DataFrame | None:
        if not self._buffer:
            return None
        part = self._take(self._data_left)
        self._data_left -= len(part)
        return DataFrame(self._stream_id, part, self._data_fin and not self._data_left)

    def _next(self) -> DataFrame | ControlFrame | None:
        if len(self._buffer) < _HEADER_BYTES:
            return None
        word, flags_and_length = _HEADER.unpack_from(self._buffer)
        flags, length = flags_and_length >> 24, flags_and_length & 0xFF_FFFF
        if word & _CONTROL_BIT:
            return self._control(word, flags, length)
        if not word:
            raise RemoteProtocolError("data for stream 0")
        self._take(_HEADER_BYTES)
        self._stream_id, self._data_left, self._data_fin = word, length, bool(flags & FLAG_FIN)
        return self._data_part() if length else DataFrame(word, b"", self._data_fin)

    def _control(self, word: int, flags: int, length: int) -> ControlFrame | None:
        version, kind = (word >> 16) & 0x7FFF, word & 0xFFFF
        if version != VERSION:
            raise RemoteProtocolError(f"SPDY version {version} instead of {VERSION}")
        if length > MAX_CONTROL_BYTES:
            raise RemoteProtocolError(f"control frame of {length} bytes, limit {MAX_CONTROL_BYTES}")
        if len(self._buffer) < _HEADER_BYTES + length:
            return None
        self._take(_HEADER_BYTES)
        return ControlFrame(kind, flags, self._take(length))


def encode_control(kind: FrameType, payload: bytes, *, flags: int = 0) -> bytes:
    """Build a control frame around `payload`."""
    word = _CONTROL_BIT | VERSION << 16 | kind
    return _HEADER.pack(word, flags << 24 | len(payload)) + payload


def encode_data(stream_id: int, data: bytes, *, end: bool) -> bytes:
    """Build the data frames that carry `data`: at least one, none above `DATA_CHUNK_BYTES`."""
    parts: list[bytes] = []
    last = max(len(data) - 1, 0) // DATA_CHUNK_BYTES
    for index in range(last + 1):
        part = data[index * DATA_CHUNK_BYTES : (index + 1) * DATA_CHUNK_BYTES]
        flags = FLAG_FIN if end and index == last else 0
        parts += (_HEADER.pack(stream_id, flags << 24 | len(part)), part)
    return b"".join(parts)
