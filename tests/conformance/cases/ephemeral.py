"""Containers that are added to a pod to look at it."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import Case, Step, delete, get, patch, post

_PODS: Final = "/api/v1/namespaces/{ns}/pods"
_PATH: Final = f"{_PODS}/lone/ephemeralcontainers"
_STRATEGIC: Final = "application/strategic-merge-patch+json"
_POD: Final[dict[str, Any]] = {
    "metadata": {"name": "lone"},
    "spec": {
        "schedulerName": "nobody",
        "automountServiceAccountToken": False,
        "containers": [{"name": "main", "image": "i"}],
        "initContainers": [{"name": "first", "image": "i"}],
        "volumes": [{"name": "v", "emptyDir": {}}],
    },
}
_COMMAND: Final = {"exec": {"command": ["a"]}}
_MOUNT: Final = {"name": "v", "mountPath": "/v"}

#: what is shown -> fields of the container beside its name and image
_REFUSED: Final[dict[str, dict[str, Any]]] = {
    "a container's name": {"name": "main"},
    "an init container's name": {"name": "first"},
    "no name": {"name": None},
    "a bad name": {"name": "A"},
    "no image": {"image": None},
    "an absent target": {"targetContainerName": "absent"},
    "itself as target": {"targetContainerName": "look"},
    "ports": {"ports": [{"containerPort": 80}]},
    "resources": {"resources": {"limits": {"cpu": "1"}}},
    "a lifecycle": {"lifecycle": {"preStop": _COMMAND}},
    "probes": {"livenessProbe": _COMMAND, "readinessProbe": _COMMAND, "startupProbe": _COMMAND},
    "a path in a volume": {"volumeMounts": [_MOUNT | {"subPath": "x"}]},
    "an expanded path in a volume": {"volumeMounts": [_MOUNT | {"subPathExpr": "x"}]},
    "an absent volume": {"volumeMounts": [{"name": "w", "mountPath": "/v"}]},
}


def _add(**fields: Any) -> Step:
    container = {"name": "look", "image": "i"} | fields
    held = {key: value for key, value in container.items() if value is not None}
    if "name" in held:
        body = {"spec": {"ephemeralContainers": [held]}}
        return patch(_PATH, body, content_type=_STRATEGIC)
    return patch(_PATH, {"spec": {"ephemeralContainers": [held]}})  # no name: nothing to merge by


CASES: Final = [
    *(
        Case(f"ephemeral containers: {text} is refused", [post(_PODS, _POD), _add(**fields)])
        for text, fields in _REFUSED.items()
    ),
    Case(
        "ephemeral containers: added one after the other, with their defaults",
        [
            post(_PODS, _POD),
            _add(targetContainerName="main", volumeMounts=[_MOUNT]),
            _add(name="again"),
            get(_PATH),
            get(f"{_PODS}/lone"),
            delete(_PATH),
        ],
    ),
    Case(
        "ephemeral containers: not changed",
        [
            post(_PODS, _POD),
            _add(),
            # the message goes on with a difference of Go's structs
            patch(
                _PATH,
                {"spec": {"ephemeralContainers": [{"name": "look", "image": "other"}]}},
                content_type=_STRATEGIC,
                mask=("message", "details.causes.*.message"),
            ),
        ],
    ),
    Case(
        "ephemeral containers: not removed",
        [post(_PODS, _POD), _add(), patch(_PATH, {"spec": {"ephemeralContainers": None}})],
    ),
]
