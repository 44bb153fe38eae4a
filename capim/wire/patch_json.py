"""RFC 6902, JSON patch, as a Kubernetes API server applies it.

It uses evanphx/json-patch v4, whose departures from the RFC are kept because clients see them: a negative
index counts from the end, `replace` of an absent member adds it, an absent `value` is null.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from capim.wire.patch_values import BAD_REQUEST, PatchError, copied, same

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.meta import JsonObject

_TOO_LARGE: Final = 413
_OPERATIONS_MAX: Final = 10_000  # kube-apiserver's maxJSONPatchOperations
#: what copies may add, in bytes of JSON: each can double a document
_COPIED_MAX: Final = 3 << 20
_INDEX: Final = re.compile(r"[+-]?[0-9]{1,18}")

Container: TypeAlias = dict[str, Any] | list[Any]


def json_patch(obj: JsonObject, ops: Any) -> JsonObject:
    """Return `obj` after all operations in order, or raise and leave it as it is.

    Raises:
        PatchError: the patch is no list of operations (400), has too many (413), or one of them does not
            apply or a `test` fails (422).
    """
    if not isinstance(ops, list) or not all(isinstance(op, dict) for op in ops):
        raise PatchError("a JSON patch is a list of operations, each an object", code=BAD_REQUEST)
    if len(ops) > _OPERATIONS_MAX:
        raise PatchError(
            f"The allowed maximum operations in a JSON patch is {_OPERATIONS_MAX}, got {len(ops)}",
            code=_TOO_LARGE,
        )
    try:
        document: Container = copied(obj)
        copied_bytes = 0
        for op in ops:
            if op.get("op") == "copy":
                copied_bytes += _copy_bytes(document, op)
                if copied_bytes > _COPIED_MAX:
                    raise PatchError(f"copies of {copied_bytes} bytes, limit {_COPIED_MAX}")
            document = _apply(document, op)
    except RecursionError:
        raise PatchError("the object would be nested too deeply") from None
    if not isinstance(document, dict):
        raise PatchError("the patched document is not an object")
    return document


def _apply(document: Container, op: JsonObject) -> Container:
    kind = op.get("op")
    operation = _OPERATIONS.get(kind) if isinstance(kind, str) else None
    if operation is None:
        raise PatchError(f"Unexpected kind: {kind if isinstance(kind, str) else 'unknown'}")
    return operation(document, op)


def _add(document: Container, op: JsonObject) -> Container:
    container, key = _find(document, op, "path")
    _insert(container, key, copied(op.get("value")), op)
    return document


def _remove(document: Container, op: JsonObject) -> Container:
    container, key = _find(document, op, "path")
    _delete(container, key, op)
    return document


def _replace(document: Container, op: JsonObject) -> Container:
    value = copied(op.get("value"))
    if op.get("path") == "":
        if not isinstance(value, dict | list):
            raise PatchError("replace operation value must be object or array")
        return value
    container, key = _find(document, op, "path")
    if isinstance(container, dict):
        container[key] = value
    else:
        container[_index(container, key, op)] = value
    return document


def _move(document: Container, op: JsonObject) -> Container:
    source, key = _find(document, op, "from")
    value = _read(source, key, op)
    _delete(source, key, op)
    target, key = _find(document, op, "path")
    _insert(target, key, value, op)
    return document


def _copy_bytes(document: Container, op: JsonObject) -> int:
    source, key = _find(document, op, "from")
    return len(orjson.dumps(_read(source, key, op)))


def _copy(document: Container, op: JsonObject) -> Container:
    source, key = _find(document, op, "from")
    value = copied(_read(source, key, op))
    target, key = _find(document, op, "path")
    _insert(target, key, value, op)
    return document


def _test(document: Container, op: JsonObject) -> Container:
    if op.get("path") == "":
        found: Any = document
    else:
        container, key = _find(document, op, "path")
        found = _read(container, key, op)
    if not same(found, op.get("value")):
        raise PatchError(f"testing value {op.get('path')} failed: test failed")
    return document


_OPERATIONS: Final[dict[str, Callable[[Container, JsonObject], Container]]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def _find(document: Container, op: JsonObject, member: str) -> tuple[Container, str]:
    """Return the container the pointer in `path` or `from` leads to, and the last key of the pointer."""
    pointer = op.get(member)
    if not isinstance(pointer, str):
        raise PatchError(f"{op['op']} operation failed to decode {member}: missing value")
    keys = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")]
    found: Any = document
    for key in keys[1:-1]:
        found = _step(found, key)
    if len(keys) < 2 or not isinstance(found, dict | list):
        place = "from path" if member == "from" else "path"
        missing = f'doc is missing {place}: "{pointer}": missing value'
        raise PatchError(f"{op['op']} operation does not apply: {missing}")
    return found, keys[-1]


def _step(container: Any, key: str) -> Any:
    """Return a member on the way, or None where the way ends."""
    if isinstance(container, dict):
        return container.get(key)
    if isinstance(container, list) and _INDEX.fullmatch(key):
        index = int(key)
        return container[index] if -len(container) <= index < len(container) else None
    return None


def _index(container: list[Any], key: str, op: JsonObject, *, size: int | None = None) -> int:
    """Read an index below `size`, the list's length unless given; a negative one counts from there."""
    size = len(container) if size is None else size
    if not _INDEX.fullmatch(key):
        raise PatchError(
            f"error in {op['op']} for path: '{op.get('path')}': value was not a proper array index: '{key}'"
        )
    index = int(key)
    if not -size <= index < size:
        raise PatchError(
            f"error in {op['op']} for path: '{op.get('path')}': "
            f"Unable to access invalid index: {index}: invalid index referenced"
        )
    return index + size if index < 0 else index


def _read(container: Container, key: str, op: JsonObject) -> Any:
    if isinstance(container, dict):
        return container.get(key)
    return container[_index(container, key, op)]


def _insert(container: Container, key: str, value: Any, op: JsonObject) -> None:
    if isinstance(container, dict):
        container[key] = value
    elif key == "-":
        container.append(value)
    else:
        container.insert(_index(container, key, op, size=len(container) + 1), value)


def _delete(container: Container, key: str, op: JsonObject) -> None:
    if isinstance(container, list):
        del container[_index(container, key, op)]
    elif key in container:
        del container[key]
    else:
        raise PatchError(
            f"error in {op['op']} for path: '{op.get('path')}': "
            f"Unable to remove nonexistent key: {key}: missing value"
        )
