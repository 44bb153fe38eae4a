"""What a request's head may say: version, host, framing and expectations, as Go's net/http judges them.

Wherever two readers of one connection could disagree about where a request ends, the request is
refused: a body framed twice, a transfer coding other than `chunked`, one of an HTTP/1.0 client.
Departure: Go takes a Content-Length beside `chunked`, a length repeated with one value, and lines that
end or go on oddly; llhttp refuses these with 400.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: 1 MiB in Go; no client certificate, token or selector of ours comes near this
HEADER_LIMIT_BYTES: Final = 64 << 10
#: what a header counts beside its text, as in HTTP/2: else 64 KiB are ten thousand headers
HEADER_OVERHEAD_BYTES: Final = 32
_HOST: Final = re.compile(rb"[A-Za-z0-9!$&'()*+,;=:\[\]._~%-]*")


class HeadRefusedError(Exception):
    """A head that is refused: the status, and what to say besides."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def check_head(version: str, headers: Mapping[bytes, bytes]) -> None:
    """Let a head pass or not; header names are in lower case, repeated ones joined by comma.

    Raises:
        HeadRefusedError: 400, 417, 501 or 505.
    """
    if version not in {"1.0", "1.1"}:
        status = 400 if version < "1" else 505
        raise HeadRefusedError(status, "" if status == 400 else "unsupported protocol version")
    _check_host(version, headers.get(b"host"))
    coding = headers.get(b"transfer-encoding")
    if coding is not None:
        if coding.lower() != b"chunked":
            raise HeadRefusedError(501, "Unsupported transfer encoding")
        if version == "1.0":
            raise HeadRefusedError(400)
    if headers.get(b"expect", b"100-continue").lower() != b"100-continue":
        raise HeadRefusedError(417)


def _check_host(version: str, host: bytes | None) -> None:
    if host is None:
        if version == "1.1":
            raise HeadRefusedError(400, "missing required Host header")
    elif b"," in host:  # two of them; a name has none
        raise HeadRefusedError(400)
    elif not _HOST.fullmatch(host):
        raise HeadRefusedError(400, "malformed Host header")


def path_of(target: bytes) -> bytes:
    """Return the path and query of a target that names a host as well, as a proxy's client sends it."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in {b"http", b"https"}:
        return target
    _, slash, path = rest.partition(b"/")
    return slash + path or b"/"
