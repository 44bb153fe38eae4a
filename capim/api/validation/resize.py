"""What is refused of a pod whose containers are given other resources.

Source: k8s.io/kubernetes `pkg/apis/core/validation/validation.go`. Departure: that a node cannot resize its
pods is never said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api.podqos import qos_class
from capim.api.validation import field, pods

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.api.validation.field import Cause

_LISTS: Final = ("containers", "initContainers")
_RESIZABLE: Final = frozenset({"cpu", "memory"})


def causes(spec: JsonObject, old: JsonObject) -> Iterator[Cause]:
    """Check a pod's spec that a resize has made; both specs have their defaults."""
    for path, container, _ in _pairs(spec, old):
        yield from pods.resources(f"{path}.resources", container.get("resources") or {})
    if not spec.get("containers"):
        yield field.required("spec.containers")
    quality = qos_class(old)
    if qos_class(spec) != quality:
        text = "Pod QOS Class may not change as a result of resizing"
        yield field.invalid("spec", quality, text)
    others = [*_other_containers(spec, old)]
    yield from others
    if others:
        return
    for path, container, was in _pairs(spec, old):
        if "initContainers" not in path or _is_sidecar(was):
            yield from _removed(path, container, was)
    for path, container, was in _pairs(spec, old):
        yield from _fixed(path, container, was)


def _pairs(spec: JsonObject, old: JsonObject) -> Iterator[tuple[str, JsonObject, JsonObject]]:
    for key in _LISTS:
        both = zip(spec.get(key) or (), old.get(key) or (), strict=False)
        for index, (container, was) in enumerate(both):
            yield f"spec.{key}[{index}]", container, was


def _other_containers(spec: JsonObject, old: JsonObject) -> Iterator[Cause]:
    for key in _LISTS:
        if len(spec.get(key) or ()) != len(old.get(key) or ()):
            yield field.forbidden(f"spec.{key}", f"{key} may not be added or removed on resize")
    for path, container, was in _pairs(spec, old):
        key = path.removeprefix("spec.").partition("[")[0]
        if len(spec[key]) == len(old[key]) and container.get("name") != was.get("name"):
            yield field.forbidden(
                f"{path}.name", f"{key} may not be renamed or reordered on resize"
            )


def _removed(path: str, container: JsonObject, was: JsonObject) -> Iterator[Cause]:
    for key in ("requests", "limits"):
        if _held(was, key).keys() - _held(container, key).keys():
            yield field.forbidden(f"{path}.resources.{key}", f"resource {key} cannot be removed")


def _fixed(path: str, container: JsonObject, was: JsonObject) -> Iterator[Cause]:
    if "initContainers" not in path:
        if _rest(container) != _rest(was):
            yield field.forbidden("spec", "only cpu and memory resources are mutable")
    elif _is_sidecar(was):
        if _rest(container) != _rest(was):
            text = "only cpu and memory resources for sidecar containers are mutable"
            yield field.forbidden("spec", text)
    elif container != was:
        yield field.forbidden("spec", "resources for non-sidecar init containers are immutable")


def _is_sidecar(container: JsonObject) -> bool:
    return bool(container.get("restartPolicy") == "Always")


def _held(container: JsonObject, key: str) -> JsonObject:
    return (container.get("resources") or {}).get(key) or {}


def _rest(container: JsonObject) -> dict[str, Any]:
    """Return a container without what a resize may change."""
    held = {key: _held(container, key) for key in ("requests", "limits")}
    kept = {
        key: {name: value for name, value in found.items() if name not in _RESIZABLE}
        for key, found in held.items()
    }
    claims = (container.get("resources") or {}).get("claims")
    return container | {"resources": kept | {"claims": claims}}
