"""How strictly a write of a custom resource is read: its `fieldValidation`. Pure.

Departure: fields that a body has twice are looked for only where a client asks for validation by name,
as kubectl does; a decoder that notices them costs ten times as much.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from capim.runtime.strictness import Strictness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.server.http import Exchange
    from capim.server.routes import RequestInfo

WRITES: Final = frozenset({"create", "update", "patch"})
_JSON: Final = ("", "application/json")


def strictness_of(exchange: Exchange, info: RequestInfo) -> Strictness | None:
    """Return how a write is to be checked; None where unknown fields are dropped without a word."""
    level = info.query.get("fieldValidation")
    if level == "Ignore":
        return None
    patched = info.verb == "patch"
    media = exchange.headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip()
    looks = level is not None and not patched and media in _JSON
    return Strictness(level == "Strict", patched, tuple(doubled_in(exchange.body)) if looks else ())


class _Pairs(list[tuple[str, Any]]):
    """An object's fields as they stand."""


def doubled_in(data: bytes) -> Iterator[str]:
    """Yield the path of every field that is there again in its object."""
    try:
        body = json.loads(data, object_pairs_hook=_Pairs)
    except ValueError:
        return  # whoever decodes the body says so
    yield from _doubled(body, "")


def _doubled(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for name, member in value:
            where = f"{path}.{name}" if path else name
            if name in seen:
                yield where
            seen.add(name)
            yield from _doubled(member, where)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _doubled(item, f"{path}[{index}]")
