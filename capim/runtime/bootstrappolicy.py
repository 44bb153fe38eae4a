"""The roles without which a cluster that decides by roles would let nobody in. Pure.

A kube-apiserver makes some seventy; these are the ones that people and programs who are known need
before anybody grants them more, with the names and rules they have there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api.errors import APIError
from capim.api.gvk import GVR
from capim.api.identity import AUTHENTICATED, MASTERS, UNAUTHENTICATED

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.runtime.resourcegroup import ResourceGroup

_GROUP: Final = "rbac.authorization.k8s.io"
_LABELS: Final = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_INFO: Final = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_DISCOVERY: Final = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", *_INFO]
_ALL: Final = ["*"]


def _create(group: str, *resources: str) -> JsonObject:
    return {"verbs": ["create"], "apiGroups": [group], "resources": list(resources)}


#: role -> its rules, the groups it is bound to
_ROLES: Final[dict[str, tuple[list[JsonObject], tuple[str, ...]]]] = {
    "cluster-admin": (
        [
            {"verbs": _ALL, "apiGroups": _ALL, "resources": _ALL},
            {"verbs": _ALL, "nonResourceURLs": _ALL},
        ],
        (MASTERS,),
    ),
    "system:basic-user": (
        [
            _create("authorization.k8s.io", "selfsubjectaccessreviews", "selfsubjectrulesreviews"),
            _create("authentication.k8s.io", "selfsubjectreviews"),
        ],
        (AUTHENTICATED,),
    ),
    "system:discovery": (
        [{"verbs": ["get"], "nonResourceURLs": sorted(_DISCOVERY)}],
        (AUTHENTICATED,),
    ),
    "system:public-info-viewer": (
        [{"verbs": ["get"], "nonResourceURLs": _INFO}],
        (AUTHENTICATED, UNAUTHENTICATED),
    ),
}


def ensure(group: ResourceGroup) -> None:
    """Create what is missing; what is there stays as it is."""
    for name, (rules, groups) in _ROLES.items():
        metadata = {"name": name, "labels": dict(_LABELS)}
        reference = {"apiGroup": _GROUP, "kind": "ClusterRole", "name": name}
        subjects = [{"kind": "Group", "apiGroup": _GROUP, "name": it} for it in groups]
        _put(group, "clusterroles", {"metadata": metadata, "rules": rules})
        binding = {"metadata": metadata, "roleRef": reference, "subjects": subjects}
        _put(group, "clusterrolebindings", binding)


def _put(group: ResourceGroup, plural: str, body: JsonObject) -> None:
    resource: Any = group.resources.by_gvr(GVR(_GROUP, "v1", plural))
    try:
        group.get(resource, "", body["metadata"]["name"])
    except APIError:
        group.create(resource, "", body)
