"""SPDY/3 header blocks: names and values, compressed by one zlib stream for each direction.

The dictionary below is part of the protocol (SPDY Protocol Draft 3, section 2.6.10.1): frequent names
and values, most with a length before them as a header block has it. Both ends must have it byte by
byte; its Adler-32 is 0xe3c6a7c2. Departure: a name that is not lower case is taken, and made so.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

from capim.wire.spdyframes import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Bytes a header block may unpack to: zlib turns 1 kB into 1 MB.
MAX_HEADER_BYTES: Final = 64 * 1024

_LENGTH: Final = struct.Struct("!I")
_SHORTEST_PAIR_BYTES: Final = 9  # two lengths and a name of one letter

_WORDS: Final = (
    "options,head,post,put,delete,trace,accept,accept-charset,accept-encoding,accept-language,"
    "accept-ranges,age,allow,authorization,cache-control,connection,content-base,"
    "content-encoding,content-language,content-length,content-location,content-md5,"
    "content-range,content-type,date,etag,expect,expires,from,host,if-match,if-modified-since,"
    "if-none-match,if-range,if-unmodified-since,last-modified,location,max-forwards,pragma,"
    "proxy-authenticate,proxy-authorization,range,referer,retry-after,server,te,trailer,"
    "transfer-encoding,upgrade,user-agent,vary,via,warning,www-authenticate,method,get,status,"
    "200 OK,version,HTTP/1.1,url,public,set-cookie,keep-alive,origin"
)
_TAIL: Final = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request"
    "401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented"
    "503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 "
    "Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,"
    "application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age="
    "gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _text(text: str) -> bytes:
    encoded = text.encode("latin-1")
    return _LENGTH.pack(len(encoded)) + encoded


DICTIONARY: Final = b"".join(map(_text, _WORDS.split(","))) + _TAIL.encode("ascii")


class HeaderEncoder:
    """Packs header blocks for one direction of one connection."""

    def __init__(self) -> None:
        # A window of 2 kB is enough for headers that repeat: 9 kB of memory instead of 256.
        self._zlib = zlib.compressobj(
            zlib.Z_BEST_COMPRESSION, zlib.DEFLATED, 11, 1, zlib.Z_DEFAULT_STRATEGY, DICTIONARY
        )

    def encode(self, headers: Mapping[str, str]) -> bytes:
        """Return the compressed block; names become lower case.

        Raises:
            LocalProtocolError: a name is empty, text is not Latin-1, or there is too much of it.
        """
        if "" in headers:
            raise LocalProtocolError("a header has no name")
        pairs = [_LENGTH.pack(len(headers))]
        try:
            for name, value in headers.items():
                pairs += (_text(name.lower()), _text(value))
        except UnicodeEncodeError as error:
            raise LocalProtocolError(f"a header is not Latin-1: {error}") from error
        plain = b"".join(pairs)
        if len(plain) >= MAX_HEADER_BYTES:
            raise LocalProtocolError(f"headers of {len(plain)} bytes, limit {MAX_HEADER_BYTES}")
        return self._zlib.compress(plain) + self._zlib.flush(zlib.Z_SYNC_FLUSH)


class HeaderDecoder:
    """Unpacks header blocks of one direction of one connection; every block must pass through."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zdict=DICTIONARY)

    def decode(self, block: bytes) -> dict[str, str]:
        """Return names (lower case) and values; several values of one name have NUL between them.

        Raises:
            RemoteProtocolError: not zlib with our dictionary, too large, or not a header block.
        """
        try:
            plain = self._zlib.decompress(block, MAX_HEADER_BYTES)
        except zlib.error as error:
            raise RemoteProtocolError(f"header block: {error}") from error
        if len(plain) >= MAX_HEADER_BYTES:
            raise RemoteProtocolError(f"headers of {MAX_HEADER_BYTES} bytes or more")
        try:
            return _parse_pairs(plain)
        except struct.error as error:
            raise RemoteProtocolError("header block ends too early") from error


def _parse_pairs(plain: bytes) -> dict[str, str]:
    (count,) = _LENGTH.unpack_from(plain)
    if count * _SHORTEST_PAIR_BYTES > len(plain):
        raise RemoteProtocolError(f"{count} headers do not fit in {len(plain)} bytes")
    headers: dict[str, str] = {}
    end = _LENGTH.size
    for _ in range(count):
        name, end = _parse_text(plain, end)
        value, end = _parse_text(plain, end)
        name = name.lower()
        if not name or name in headers:
            raise RemoteProtocolError(f"header name {name!r} is empty or comes twice")
        headers[name] = value
    return headers


def _parse_text(plain: bytes, start: int) -> tuple[str, int]:
    (length,) = _LENGTH.unpack_from(plain, start)
    start += _LENGTH.size
    if length > len(plain) - start:
        raise RemoteProtocolError("header text is longer than its block")
    return plain[start : start + length].decode("latin-1"), start + length
