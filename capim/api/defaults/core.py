"""Defaults of the core group's kinds but pods. Source: k8s.io/kubernetes `pkg/apis/core/v1/defaults.go`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.defaults.pods import CLAIM_SPEC, POD, TEMPLATE
from capim.api.defaults.shape import Shape

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

_CLIENT_IP_S: Final = 10_800
_INSIDE: Final = frozenset({"ClusterIP", "NodePort", "LoadBalancer"})


def _service(spec: JsonObject) -> None:
    if spec["sessionAffinity"] == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        config.setdefault("timeoutSeconds", _CLIENT_IP_S)
    elif spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    kind = spec["type"]
    outside = kind in {"NodePort", "LoadBalancer"} or (
        kind == "ClusterIP" and spec.get("externalIPs")
    )
    if outside:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind in _INSIDE:
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def _service_port(port: JsonObject) -> None:
    if port.get("targetPort") in {None, 0, ""}:
        port["targetPort"] = port.get("port", 0)


def _controller(obj: JsonObject) -> None:
    """Let a ReplicationController select and carry its template's labels."""
    spec = obj.get("spec") or {}
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels:
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        if not obj["metadata"].get("labels"):
            obj["metadata"]["labels"] = dict(labels)


def _limits(item: JsonObject) -> None:
    """Complete a container's limits: maximum -> default -> default request <- minimum."""
    if item.get("type") != "Container":
        return
    default = (item.get("max") or {}) | (item.get("default") or {})
    request = (item.get("min") or {}) | default | (item.get("defaultRequest") or {})
    if default:
        item["default"] = default
    if request:
        item["defaultRequest"] = request


_SERVICE_SPEC: Final = Shape(
    {"sessionAffinity": "None", "type": "ClusterIP"},
    each={"ports": Shape({"protocol": "TCP"}, last=_service_port)},
    last=_service,
)
_VOLUME_SOURCES: Final = {
    "hostPath": Shape({"type": ""}),
    "iscsi": Shape({"iscsiInterface": "default"}),
    "rbd": Shape({"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"}),
}
KINDS: Final = {
    "endpoints": Shape(
        each={"subsets": Shape(each={"ports": Shape({"protocol": "TCP"})})},
    ),
    "limitranges": Shape(parts={"spec": Shape(each={"limits": Shape(last=_limits)})}),
    "persistentvolumeclaims": Shape(parts={"spec": CLAIM_SPEC}),
    "persistentvolumes": Shape(
        parts={
            "spec": Shape(
                {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"},
                parts=_VOLUME_SOURCES,
            )
        }
    ),
    "pods": POD,
    "podtemplates": Shape(parts={"template": TEMPLATE}),
    "replicationcontrollers": Shape(
        parts={"spec": Shape({"replicas": 1}, parts={"template": TEMPLATE})}, last=_controller
    ),
    "services": Shape(parts={"spec": _SERVICE_SPEC}),
}
