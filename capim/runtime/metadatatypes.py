"""The types of an object's metadata, checked as a typed server does when it reads a body.

What is no field of metadata is left out, a value of another type is refused in the words of Go's decoder.
A table of Python types rather than `capim.api.canonical`: every write of every kind comes through here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api.canonical import go_kind
from capim.runtime.typed import UnreadableError

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource

#: field -> its type, and what Go calls it
_TYPES: Final[dict[str, tuple[type, str]]] = {
    **dict.fromkeys(
        (
            "name",
            "generateName",
            "namespace",
            "selfLink",
            "resourceVersion",
            "creationTimestamp",
            "deletionTimestamp",
        ),
        (str, "string"),
    ),
    "uid": (str, "types.UID"),
    "generation": (int, "int64"),
    "deletionGracePeriodSeconds": (int, "int64"),
    "labels": (dict, "map[string]string"),
    "annotations": (dict, "map[string]string"),
    "finalizers": (list, "[]string"),
    "ownerReferences": (list, "[]v1.OwnerReference"),
    "managedFields": (list, "[]v1.ManagedFieldsEntry"),
}
#: what is not stored
_EMPTY: Final[tuple[Any, ...]] = (None, {}, [], "")
_OWNER: Final[dict[str, tuple[type, str]]] = {
    **dict.fromkeys(("apiVersion", "kind", "name"), (str, "string")),
    "uid": (str, "types.UID"),
    **dict.fromkeys(("controller", "blockOwnerDeletion"), (bool, "bool")),
}


class _MismatchError(Exception):
    """A value's type, its struct and field, and the type it should have."""

    def __init__(self, value: object, field: str, wanted: str, struct: str = "ObjectMeta") -> None:
        super().__init__(go_kind(value), struct, field, wanted)


def checked_metadata(resource: Resource, metadata: Any) -> JsonObject:
    """Return the fields that metadata has and that are not empty.

    Raises:
        UnreadableError: a value has another type than its field.
    """
    if metadata is None:
        return {}
    try:
        return _checked_fields(resource, metadata)
    except _MismatchError as error:
        raise _refused(resource, *error.args) from None


def _checked_fields(resource: Resource, metadata: Any) -> JsonObject:
    if type(metadata) is not dict:
        raise _MismatchError(metadata, "metadata", "v1.ObjectMeta", resource.kind)
    kept: dict[str, Any] = {}
    for field, value in metadata.items():
        known = _TYPES.get(field)
        if known is None or value in _EMPTY:
            continue
        kind, wanted = known
        if type(value) is not kind:
            raise _MismatchError(value, field, wanted)
        kept[field] = value if kind is str else _checked(field, value, wanted)
    return kept


def _checked(field: str, value: Any, wanted: str) -> Any:
    """Return a value whose parts have their types; null is Go's empty text."""
    if wanted == "map[string]string":
        return {key: _text(field, item) for key, item in value.items()}
    if wanted == "[]string":
        return [_text(field, item) for item in value]
    if field == "ownerReferences":
        return [_owner(item) for item in value]
    return value


def _text(field: str, value: object) -> str:
    if type(value) is str:
        return value
    if value is None:
        return ""
    raise _MismatchError(value, field, "string")


def _owner(owner: Any) -> JsonObject:
    if type(owner) is not dict:
        raise _MismatchError(owner, "ownerReferences", "v1.OwnerReference")
    for field, (kind, wanted) in _OWNER.items():
        value = owner.get(field)
        if value is not None and type(value) is not kind:
            raise _MismatchError(value, f"ownerReferences.{field}", wanted, "OwnerReference")
    return {key: value for key, value in owner.items() if key in _OWNER and value is not None}


def _refused(resource: Resource, got: str, struct: str, field: str, wanted: str) -> UnreadableError:
    # metadata of custom resources is decoded alone, so its path begins there
    path = field if resource.custom or struct == resource.kind else f"metadata.{field}"
    why = f"json: cannot unmarshal {got} into Go struct field {struct}.{path} of type {wanted}"
    return UnreadableError(resource, why)
