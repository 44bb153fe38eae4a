"""The scale subresource of a custom resource: its definition says where the numbers are.

Source: k8s.io/apiextensions-apiserver, `pkg/registry/customresource`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource

#: in a Scale: the object does not say how many replicas it wants
UNSET: Final = -(1 << 31)


def paths_of(resource: Resource) -> Mapping[str, str] | None:
    """Return where a definition says that the numbers are; None for a kind that has no definition."""
    return resource.custom_version.scale if resource.custom_version is not None else None


def numbers(obj: JsonObject, paths: Mapping[str, str]) -> tuple[int, int, str]:
    """Return how many replicas are wanted (or UNSET) and how many there are, and the selector's text."""
    wanted = at_path(obj, paths["specReplicasPath"])
    return (
        UNSET if wanted is None else wanted,
        at_path(obj, paths["statusReplicasPath"]) or 0,
        at_path(obj, paths.get("labelSelectorPath", "")) or "",
    )


def check_shown(resource: Resource, scale: JsonObject) -> None:
    """Refuse to show the scale of an object without replicas. Raises APIError: InternalError."""
    paths = paths_of(resource)
    if paths is not None and scale["spec"].get("replicas") == UNSET:
        why = f'the spec replicas field "{paths["specReplicasPath"]}" does not exist'
        details = {"causes": [{"message": why}]}
        text = f"Internal error occurred: {why}"
        raise errors.APIError("InternalError", 500, text, details=details)


def set_replicas(obj: JsonObject, paths: Mapping[str, str], replicas: int) -> None:
    """Set how many replicas are wanted, in an object whose parts are not the caller's own.

    Raises:
        APIError: BadRequest, where a patch did not say how many.
    """
    path = paths["specReplicasPath"]
    if replicas == UNSET:
        raise errors.bad_request(f'the spec replicas field "{path}" cannot be empty')
    *above, last = path.removeprefix(".").split(".")
    for name in above:
        obj[name] = dict(obj.get(name) or {})
        obj = obj[name]
    obj[last] = replicas


def at_path(obj: JsonObject, path: str) -> Any:
    """Return what lies at a path of fields such as `.spec.replicas`, or None."""
    value: Any = obj
    for name in path.removeprefix(".").split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
