"""Defaults of pods and of the templates they are made from.

Source: k8s.io/kubernetes `pkg/apis/core/v1/defaults.go`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from capim.api.defaults.shape import Shape

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

_TAG: Final = re.compile(r":(?P<tag>[^:/@]+)(?:@|$)")
_OCTAL_0644: Final = 420


def pull_policy(image: str) -> str:
    """Return when an image is pulled by default: the tag `latest`, or none and no digest, always."""
    found = _TAG.search(image)
    if found is None:
        return "IfNotPresent" if "@" in image else "Always"
    return "Always" if found["tag"] == "latest" else "IfNotPresent"


def _container(container: JsonObject) -> None:
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy(container.get("image", ""))


def _image_volume(image: JsonObject) -> None:
    if not image.get("pullPolicy"):
        image["pullPolicy"] = pull_policy(image.get("reference", ""))


def _volume(volume: JsonObject) -> None:
    if len(volume) == 1:  # its name
        volume["emptyDir"] = {}


def _lifecycle_shape() -> Shape:
    handler = Shape(parts={"httpGet": _HTTP_GET})
    return Shape(parts={"postStart": handler, "preStop": handler})


_HTTP_GET: Final = Shape({"path": "/", "scheme": "HTTP"})
_PROBE: Final = Shape(
    zeros={"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
    parts={"httpGet": _HTTP_GET, "grpc": Shape({"service": ""})},
)
_FIELD_REF: Final = Shape({"apiVersion": "v1"})
_CONTAINER: Final = Shape(
    {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"},
    parts={
        "livenessProbe": _PROBE,
        "readinessProbe": _PROBE,
        "startupProbe": _PROBE,
        "lifecycle": _lifecycle_shape(),
    },
    each={
        "ports": Shape({"protocol": "TCP"}),
        "env": Shape(
            parts={
                "valueFrom": Shape(
                    parts={
                        "fieldRef": _FIELD_REF,
                        "resourceFieldRef": Shape({"divisor": "0"}),
                        "fileKeyRef": Shape({"optional": False}),
                    }
                )
            }
        ),
    },
    last=_container,
)
_MODE: Final = {"defaultMode": _OCTAL_0644}
_DOWNWARD_ITEMS: Final = {
    "items": Shape(
        parts={"fieldRef": _FIELD_REF, "resourceFieldRef": Shape({"divisor": "0"})},
    )
}
_PROJECTION: Final = Shape(
    parts={
        "serviceAccountToken": Shape({"expirationSeconds": 3600}),
        "downwardAPI": Shape(each=_DOWNWARD_ITEMS),
    }
)
CLAIM_SPEC: Final = Shape({"volumeMode": "Filesystem"})
_VOLUME: Final = Shape(
    first=_volume,
    parts={
        "secret": Shape(_MODE),
        "configMap": Shape(_MODE),
        "downwardAPI": Shape(_MODE, each=_DOWNWARD_ITEMS),
        "projected": Shape(_MODE, each={"sources": _PROJECTION}),
        "hostPath": Shape({"type": ""}),
        "iscsi": Shape({"iscsiInterface": "default"}),
        "rbd": Shape({"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"}),
        "azureDisk": Shape(
            {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"}
        ),
        "scaleIO": Shape({"storageMode": "ThinProvisioned", "fsType": "xfs"}),
        "ephemeral": Shape(
            parts={"volumeClaimTemplate": Shape({"spec": {}}, parts={"spec": CLAIM_SPEC})}
        ),
        "image": Shape(last=_image_volume),
    },
)


def _host_ports(spec: JsonObject) -> None:
    if not spec.get("hostNetwork"):
        return
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        for port in container.get("ports") or ():
            port.setdefault("hostPort", port.get("containerPort"))


def _service_account(spec: JsonObject) -> None:
    """Write the account under both of its names, as conversion does."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name


def _requests(spec: JsonObject) -> None:
    """Let a container of a pod request what it is limited to, where it says nothing."""
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        resources = container.get("resources") or {}
        if limits := resources.get("limits"):
            resources["requests"] = limits | (resources.get("requests") or {})


def _pod_spec(spec: JsonObject) -> None:
    _service_account(spec)
    _host_ports(spec)


_SPEC_VALUES: Final = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}
_SPEC_EACH: Final = {
    "containers": _CONTAINER,
    "initContainers": _CONTAINER,
    "ephemeralContainers": _CONTAINER,
    "volumes": _VOLUME,
}
POD_SPEC: Final = Shape(_SPEC_VALUES, each=_SPEC_EACH, last=_pod_spec)
TEMPLATE: Final = Shape(parts={"spec": POD_SPEC})


def _own_pod_spec(spec: JsonObject) -> None:
    _pod_spec(spec)
    _requests(spec)


POD: Final = Shape(
    parts={
        "spec": Shape(
            _SPEC_VALUES | {"enableServiceLinks": True}, each=_SPEC_EACH, last=_own_pod_spec
        )
    },
)
