"""Port-forward, sans-IO: which two streams make one forwarded connection, and what is said on errors.

For every TCP connection a client opens an error stream and a data stream that carry the same
`requestID`; they may come in either order, and streams of many requests may mix. Text on the error
stream means failure: kubectl shows it and, since 1.29, gives up the whole connection.
Source: k8s.io/client-go tools/portforward and the kubelet's pkg/kubelet/server/portforward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The stream protocol's name, in X-Stream-Protocol-Version and behind the tunnel's prefix.
PROTOCOL: Final = "portforward.k8s.io"
#: Seconds a stream waits for the other of its pair; client-go waits as long for a stream's reply.
PAIR_TIMEOUT_S: Final = 30.0

_ERROR: Final = "error"
_DATA: Final = "data"
_MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Pair:
    """A complete request: bytes of the forwarded connection run on `data`."""

    request_id: str
    port: int
    data: int  #: stream id
    error: int  #: stream id


@dataclass(frozen=True, slots=True)
class Rejected:
    """Streams to reset; `text` goes to the stream `error` and ends it, where there is one."""

    streams: tuple[int, ...]
    text: str
    error: int | None = None


Outcome: TypeAlias = Pair | Rejected | None


@dataclass(slots=True)
class _Half:
    stream_id: int
    kind: str
    port: int
    expires_at: float


class Pairing:
    """Holds the streams of one connection that wait for the other of their pair."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Half] = {}

    def opened(self, stream_id: int, headers: Mapping[str, str], now: float) -> Outcome:
        """Take a new stream: None while it waits, else its pair, or why it is refused.

        Args:
            stream_id: the new stream.
            headers: as received, names in lower case.
            now: seconds on any clock that does not go back.
        """
        kind = headers.get("streamtype", "")
        if kind not in {_ERROR, _DATA}:
            return Rejected((stream_id,), f'invalid stream type "{kind}"')
        port = parse_port(headers.get("port", ""))
        if port is None:
            text = f'"{headers.get("port", "")}" is not a port between 1 and {_MAX_PORT}'
            return Rejected((stream_id,), text)
        request_id = headers.get("requestid") or _guessed_request_id(stream_id, kind)
        other = self._waiting.get(request_id)
        if other is None:
            self._waiting[request_id] = _Half(stream_id, kind, port, now + PAIR_TIMEOUT_S)
            return None
        if other.kind == kind:
            return _doubled(request_id, stream_id, other)
        del self._waiting[request_id]
        if kind == _DATA:
            return Pair(request_id, port, data=stream_id, error=other.stream_id)
        return Pair(request_id, other.port, data=other.stream_id, error=stream_id)

    def reset(self, stream_id: int) -> None:
        """Forget a waiting stream that its client gave up; any other is no concern of ours."""
        for request_id, half in self._waiting.items():
            if half.stream_id == stream_id:
                del self._waiting[request_id]
                return

    def expire(self, now: float) -> list[Rejected]:
        """Give up the streams that waited too long, and return them."""
        late = [(name, half) for name, half in self._waiting.items() if half.expires_at <= now]
        return [self._give_up(request_id, half) for request_id, half in late]

    def next_deadline(self) -> float | None:
        """Return when `expire` has something to do; None while nothing waits."""
        return min((half.expires_at for half in self._waiting.values()), default=None)

    def _give_up(self, request_id: str, half: _Half) -> Rejected:
        del self._waiting[request_id]
        text = f"request {request_id}: timed out waiting for streams"
        if half.kind == _ERROR:
            return Rejected((), text, half.stream_id)
        return Rejected((half.stream_id,), text)


def _guessed_request_id(stream_id: int, kind: str) -> str:
    # Clients from before requestID open error, then data, with ids two apart and nothing between.
    return str(stream_id if kind == _ERROR else stream_id - 2)


def _doubled(request_id: str, stream_id: int, first: _Half) -> Rejected:
    # The first keeps waiting: it may be the second that is wrong.
    text = f"error processing stream for request {request_id}: {first.kind} stream already assigned"
    return Rejected((stream_id,), text)


def parse_port(text: str) -> int | None:
    """Read a port number between 1 and 65535; None for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_PORT))):
        return None
    port = int(text)
    return port if 1 <= port <= _MAX_PORT else None


def pair_headers(port: int, request_id: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers with which a client opens the error and the data stream of a request."""
    common = {"port": str(port), "requestID": request_id}
    return {"streamType": _ERROR, **common}, {"streamType": _DATA, **common}


def failure_text(port: int, pod: str, reason: str) -> str:
    """Say on an error stream that forwarding failed, in the words kubectl's users know."""
    return f"error forwarding port {port} to pod {pod}: {reason}"


def refused_reason(port: int) -> str:
    """Say that nothing in the pod serves this port."""
    return f"dial tcp4 127.0.0.1:{port}: connect: connection refused"
