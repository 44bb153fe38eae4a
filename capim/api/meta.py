"""Object metadata as plain JSON: times, durations, conditions, owner references.

Times are seconds since the epoch (float) inside and RFC 3339 in JSON; metav1.Time has whole seconds.
"""

from __future__ import annotations

import datetime
import functools
import re
from typing import Any, Final, TypeAlias

JsonObject: TypeAlias = dict[str, Any]

_UTC: Final = datetime.UTC
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNIT_S: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}


def format_time(seconds: float) -> str:
    """Write metav1.Time: RFC 3339, UTC, whole seconds."""
    return _format_second(int(seconds))


@functools.lru_cache(maxsize=64)  # who writes at all writes the same second again and again
def _format_second(second: int) -> str:
    return datetime.datetime.fromtimestamp(second, _UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(seconds: float) -> str:
    """Write metav1.MicroTime: RFC 3339, UTC, microseconds (leases, events)."""
    return datetime.datetime.fromtimestamp(seconds, _UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> float:
    """Read an RFC 3339 time. Raises ValueError for anything else."""
    return datetime.datetime.fromisoformat(text).timestamp()


def parse_duration(text: str) -> float:
    """Read a Go duration (`300ms`, `1h30m`, `0`) as seconds.

    Raises:
        ValueError: not a duration; the message quotes the text and shows what one looks like.
    """
    sign, rest = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    total, end = 0.0, 0
    while part := _DURATION_PART.match(rest, end):
        total += float(part[1]) * _UNIT_S[part[2]]
        end = part.end()
    if end == 0 or end != len(rest):
        raise ValueError(f"{text!r} is not a duration: write for example 10s, 1m30s or 500ms")
    return sign * total


def get_condition(obj: JsonObject, kind: str) -> JsonObject | None:
    """Return the condition of this type from an object's status, or None."""
    conditions: list[JsonObject] = (obj.get("status") or {}).get("conditions") or []
    return next((condition for condition in conditions if condition.get("type") == kind), None)


def without_condition(status: JsonObject, kind: str) -> list[JsonObject]:
    """Return a status's conditions but for those of this type."""
    return [condition for condition in status.get("conditions") or () if condition["type"] != kind]


def with_condition(status: JsonObject, made: JsonObject) -> JsonObject:
    """Return a status with a condition last, in place of the one of its type."""
    return status | {"conditions": [*without_condition(status, made["type"]), made]}


def owner_reference(owner: JsonObject, *, controller: bool = True) -> JsonObject:
    """Build the reference that makes `owner` the owner of another object."""
    metadata = owner["metadata"]
    reference: JsonObject = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    if controller:
        reference |= {"controller": True, "blockOwnerDeletion": True}
    return reference
