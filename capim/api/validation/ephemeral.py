"""What is refused of containers that are added to a pod to look at it.

Source: k8s.io/kubernetes `pkg/apis/core/validation/validation.go`. Departure: the difference of a changed
container, in the notation of Go's structs, does not follow the message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.validation import field, pods

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.api.validation.field import Cause

_PATH: Final = "spec.ephemeralContainers"
_NOT_ALLOWED: Final = (
    *("ports", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules"),
    *("livenessProbe", "readinessProbe", "startupProbe", "lifecycle"),
)
_NOT_ALLOWED_TEXT: Final = "cannot be set for an Ephemeral Container"


def causes(spec: JsonObject, old: JsonObject) -> Iterator[Cause]:
    """Check a pod's spec whose ephemeral containers are written; both specs have their defaults."""
    lasting = {it["name"] for key in ("containers", "initContainers") for it in spec.get(key) or ()}
    volumes = {volume["name"] for volume in spec.get("volumes") or ()}
    seen = set(lasting)
    given: list[JsonObject] = spec.get("ephemeralContainers") or []
    for index, container in enumerate(given):
        path, name = f"{_PATH}[{index}]", container.get("name", "")
        yield from pods.container_name(f"{path}.name", name)
        yield from pods.container_fields(path, container, volumes)
        if name and name in seen:
            yield field.duplicate(f"{path}.name", name)
        seen.add(name)
        yield from _fields(path, container, lasting)
    yield from _kept({it.get("name"): it for it in given}, old.get("ephemeralContainers") or [])


def _fields(path: str, container: JsonObject, lasting: set[str]) -> Iterator[Cause]:
    target = container.get("targetContainerName")
    if target and target not in lasting:
        yield field.not_found(f"{path}.targetContainerName", target)
    for key in _NOT_ALLOWED:
        if container.get(key):
            yield field.forbidden(f"{path}.{key}", _NOT_ALLOWED_TEXT)
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        for key in ("subPath", "subPathExpr"):
            if mount.get(key):
                yield field.forbidden(f"{path}.volumeMounts[{index}].{key}", _NOT_ALLOWED_TEXT)


def _kept(given: dict[str | None, JsonObject], old: list[JsonObject]) -> Iterator[Cause]:
    for known in old:
        name = known["name"]
        if name not in given:
            text = f'existing ephemeral containers "{name}" may not be removed\n'
            yield field.forbidden(_PATH, text)
        elif given[name] != known:
            yield field.forbidden(
                _PATH, f'existing ephemeral containers "{name}" may not be changed'
            )
