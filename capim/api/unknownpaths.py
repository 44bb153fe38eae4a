"""The fields of a custom resource that its schema does not know, as a real server names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject

_OWN: Final = frozenset({"apiVersion", "kind", "metadata"})
_KEEPS_ALL: Final = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED: Final = "x-kubernetes-embedded-resource"


def unknown_paths(schema: JsonObject, obj: JsonObject) -> list[str]:
    """Return the paths of what would be pruned, sorted; apiVersion, kind and metadata are not looked at."""
    return sorted(_unknown({**schema, _EMBEDDED: True}, obj, ""))


def _unknown(schema: JsonObject, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, list):
        items = schema.get("items") or {}
        if schema.get(_KEEPS_ALL):
            items = {**items, _KEEPS_ALL: True}
        for index, item in enumerate(value):
            yield from _unknown(items, item, f"{path}[{index}]")
    elif isinstance(value, dict):
        own = _OWN if schema.get(_EMBEDDED) else frozenset()
        for key, item in value.items():
            if key not in own:
                yield from _member(schema, key, item, f"{path}.{key}" if path else key)


def _member(schema: JsonObject, key: str, item: Any, path: str) -> Iterator[str]:
    more = schema.get("additionalProperties")
    known = (schema.get("properties") or {}).get(key)
    if known is None and isinstance(more, dict):
        known = more
    if known is not None:
        yield from _unknown(known, item, path)
    elif not schema.get(_KEEPS_ALL) and more is not True:
        yield path
