"""Bodies of built-in kinds read as structs: what a write may rely on before it looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.canonical import MismatchError, canonical
from capim.api.errors import APIError

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource

#: kinds without defaults, which are read here alone: 3 to 4 us each
_SIMPLE: Final = frozenset(
    {
        ("", "configmaps"),
        ("", "secrets"),
        ("", "namespaces"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
    }
)
_STRUCTS: Final = ("spec", "status")


class UnreadableError(APIError):
    """400: an object whose decoder refuses it; `why` is what the decoder says.

    `converted` is what is said of the same in an object that a strategic merge patch has made.
    """

    def __init__(self, resource: Resource, why: str, converted: str = "") -> None:
        kind = resource.kind
        text = f'{kind} in version "{resource.version}" cannot be handled as a {kind}: {why}'
        super().__init__("BadRequest", 400, text)
        self.why, self.converted = why, converted or why


def typed(resource: Resource, body: JsonObject) -> JsonObject:
    """Return an object as a typed server reads it: no unknown field, no empty one.

    Raises:
        UnreadableError: a value is not of its field's type.
    """
    try:
        return canonical(resource.gvk, body)
    except MismatchError as error:
        raise UnreadableError(resource, str(error), error.converted) from error


def checked(resource: Resource, body: JsonObject) -> JsonObject:
    """Return a body that can be looked at: of a simple kind read whole, of others with structs as structs.

    Raises:
        UnreadableError: as `typed`.
    """
    if resource.group_resource in _SIMPLE:
        return typed(resource, body)
    for key in _STRUCTS:
        if type(body.get(key, body)) is not dict and not resource.custom:
            return typed(resource, body)  # which says what is wrong, or leaves it out
    return body
