"""Cases: the objects that every cluster is born with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.runtime.manifests import flowcontrol, roles
from tests.conformance.case import Case, get, patch, watch

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

_RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
_FLOW: Final = "/apis/flowcontrol.apiserver.k8s.io/v1"
_API_SERVICES: Final = "/apis/apiregistration.k8s.io/v1/apiservices"
_NET: Final = "/apis/networking.k8s.io/v1"
_TABLE: Final = "application/json;as=Table;v=v1;g=meta.k8s.io"
_WORDS: Final = ("columnDefinitions.*.description",)
_PARTIAL: Final = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
_AT_ONCE: Final = 8
_PLURALS: Final = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "FlowSchema": "flowschemas",
    "PriorityLevelConfiguration": "prioritylevelconfigurations",
}
_GROUPS: Final = (
    "v1.",
    "v1.admissionregistration.k8s.io",
    "v1.apiextensions.k8s.io",
    "v1.apps",
    "v1.authentication.k8s.io",
    "v1.authorization.k8s.io",
    "v1.autoscaling",
    "v2.autoscaling",
    "v1.batch",
    "v1.certificates.k8s.io",
    "v1.coordination.k8s.io",
    "v1.discovery.k8s.io",
    "v1.events.k8s.io",
    "v1.flowcontrol.apiserver.k8s.io",
    "v1.networking.k8s.io",
    "v1.node.k8s.io",
    "v1.policy",
    "v1.rbac.authorization.k8s.io",
    "v1.resource.k8s.io",
    "v1.scheduling.k8s.io",
    "v1.storage.k8s.io",
)


def _path(body: JsonObject) -> str:
    api, metadata = body["apiVersion"], body["metadata"]
    where = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"/apis/{api}{where}/{_PLURALS[body['kind']]}/{metadata['name']}"


def _paths() -> list[str]:
    paths = [_path(body) for body in (*roles.objects(), *flowcontrol.objects())]
    return [*sorted(paths), *(f"{_API_SERVICES}/{name}" for name in _GROUPS)]


def _reads() -> list[Case]:
    """Read every object, some at once."""
    paths = _paths()
    return [
        Case(
            f"bootstrap: objects {at} to {at + _AT_ONCE}",
            [get(it) for it in paths[at : at + _AT_ONCE]],
        )
        for at in range(0, len(paths), _AT_ONCE)
    ]


_ENDPOINT: Final = ("subsets.*.addresses", "subsets.*.ports.*.port")
_SLICE: Final = ("endpoints.*.addresses", "ports.*.port")
_UNUSED: Final = f"{_RBAC}/clusterroles/system:heapster"

CASES: Final[list[Case]] = [
    *_reads(),
    Case(
        "bootstrap: the range of services",
        [get(f"{_NET}/servicecidrs/kubernetes", mask=("spec.cidrs",))],
    ),
    Case(
        "bootstrap: the address of the kubernetes service",
        [
            get("/api/v1/namespaces/default/services/kubernetes", compare=False),
            get(f"{_NET}/ipaddresses/{{0.spec.clusterIP}}", mask=("metadata.name",)),
        ],
    ),
    Case(
        "bootstrap: the endpoints of the kubernetes service",
        [
            get("/api/v1/namespaces/default/endpoints/kubernetes", mask=_ENDPOINT),
            get(
                "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes",
                mask=_SLICE,
            ),
        ],
    ),
    *(
        Case(
            f"bootstrap: the account of {namespace}",
            [get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")],
        )
        for namespace in ("default", "kube-system", "kube-public", "kube-node-lease")
    ),
    Case(
        "bootstrap: tables",
        [
            get(f"{_RBAC}/clusterroles/view", accept=_TABLE, mask=_WORDS),
            get(f"{_RBAC}/clusterrolebindings/cluster-admin", accept=_TABLE, mask=_WORDS),
            get(f"{_FLOW}/flowschemas/exempt", accept=_TABLE, mask=_WORDS),
            get(f"{_FLOW}/flowschemas/system-nodes", accept=_TABLE, mask=_WORDS),
            get(f"{_FLOW}/prioritylevelconfigurations/system", accept=_TABLE, mask=_WORDS),
            get(f"{_API_SERVICES}/v1.apps", accept=_TABLE, mask=_WORDS),
        ],
    ),
    Case("bootstrap: metadata alone", [get(f"{_RBAC}/clusterroles/admin", accept=_PARTIAL)]),
    Case(
        "bootstrap: lists by labels",
        [
            get(
                f"{_RBAC}/clusterroles?labelSelector=rbac.authorization.k8s.io/aggregate-to-admin%3Dtrue"
            ),
            get(f"{_RBAC}/clusterroles?labelSelector=rbac.authorization.k8s.io/aggregate-to-view"),
            get(f"{_RBAC}/namespaces/kube-public/roles?labelSelector=kubernetes.io/bootstrapping"),
            get(f"{_API_SERVICES}?fieldSelector=metadata.name=v1.apps"),
        ],
    ),
    Case(
        "bootstrap: pages of a list",
        [
            get(f"{_FLOW}/flowschemas?limit=4"),
            get(f"{_FLOW}/flowschemas?limit=4&continue={{0.metadata.continue}}"),
            get(f"{_FLOW}/flowschemas?limit=4&continue={{1.metadata.continue}}"),
        ],
    ),
    Case(
        "bootstrap: a watch sees what there is",
        [watch(f"{_RBAC}/clusterroles?fieldSelector=metadata.name=system:basic-user", 1)],
    ),
    Case(
        "bootstrap: a role is written and written back",
        [
            patch(_UNUSED, {"metadata": {"labels": {"k": "v"}}}),
            get(_UNUSED),
            patch(_UNUSED, {"metadata": {"labels": {"k": None}}}),
            get(_UNUSED),
        ],
    ),
    Case(
        "bootstrap: a role from another version",
        [patch(_UNUSED, {"metadata": {"resourceVersion": "999999", "labels": {"k": "v"}}})],
    ),
]
