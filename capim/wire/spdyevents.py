"""What a SPDY/3.1 peer did, as frozen values. Closed on purpose: nobody derives from these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The peer opened a stream; answer with `reply` or `reset`. `end`: it will send nothing."""

    stream_id: int
    headers: Mapping[str, str]
    end: bool = False


@dataclass(frozen=True, slots=True)
class StreamReplied:
    """The peer accepted a stream of ours; only now may data be sent, or spdystream drops it."""

    stream_id: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DataReceived:
    """Data of a stream, in pieces as they came; `end`: the peer will send no more on it."""

    stream_id: int
    data: bytes
    end: bool


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The peer gave up a stream; it is closed in both directions."""

    stream_id: int
    status: int


@dataclass(frozen=True, slots=True)
class PingReceived:
    """The peer asked for a sign of life; the answer is in `data_to_send` already."""

    ping_id: int


@dataclass(frozen=True, slots=True)
class GoAway:
    """The peer takes no more streams; those above `last_stream_id` were not handled."""

    last_stream_id: int
    status: int


@dataclass(frozen=True, slots=True)
class WindowUpdated:
    """The peer would take more data of a stream; nothing depends on it here."""

    stream_id: int
    delta_bytes: int


@dataclass(frozen=True, slots=True)
class Settings:
    """The peer's settings by their numbers; nothing depends on them here."""

    values: Mapping[int, int]


Event: TypeAlias = (
    StreamOpened
    | StreamReplied
    | DataReceived
    | StreamReset
    | PingReceived
    | GoAway
    | WindowUpdated
    | Settings
)
