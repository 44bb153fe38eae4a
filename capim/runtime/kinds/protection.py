"""Storage that is not taken from under those who use it: finalizers, and when they may go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.runtime.objects import Stored
    from capim.runtime.store import Store

_CLAIMS: Final = ("", "persistentvolumeclaims")
_VOLUMES: Final = ("", "persistentvolumes")
#: kind -> the finalizer it has from its creation on
PROTECTIONS: Final = {
    _CLAIMS: "kubernetes.io/pvc-protection",
    _VOLUMES: "kubernetes.io/pv-protection",
    ("storage.k8s.io", "volumeattributesclasses"): "kubernetes.io/vac-protection",
}


def in_use(store: Store, stored: Stored) -> bool:
    """Tell whether a pod uses this claim, or a claim this volume."""
    kind = stored.resource.group_resource
    if kind == _VOLUMES:
        return (stored.json().get("status") or {}).get("phase") == "Bound"
    if kind != _CLAIMS:
        return False
    pods = store.table(("", "pods"))
    return any(_mounts(pod.json(), stored.name) for pod in pods.slice(*pods.span(stored.namespace)))


def _mounts(pod: JsonObject, claim: str) -> bool:
    if not (pod.get("spec") or {}).get("nodeName"):
        return False  # a kubelet would not start a pod whose claim is to go
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    return any(
        (each.get("persistentVolumeClaim") or {}).get("claimName") == claim for each in volumes
    )
