"""Flow schemas and priority levels of a new cluster.

Facts of k8s.io/apiserver pkg/apis/flowcontrol/bootstrap: who comes first, and how requests queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.runtime.manifests.defaults import SYSTEM, new_object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject

_API: Final = "flowcontrol.apiserver.k8s.io/v1"
_ANNOTATIONS: Final = {"apf.kubernetes.io/autoupdate-spec": "true"}
#: level -> shares, percent that others may borrow, queues (0: what does not fit is refused), hand size
_LEVELS: Final[dict[str, tuple[int, int, int, int]]] = {
    "catch-all": (5, 0, 0, 0),
    "global-default": (20, 50, 128, 6),
    "leader-election": (10, 0, 16, 4),
    "node-high": (40, 25, 64, 6),
    "system": (30, 33, 64, 6),
    "workload-high": (40, 50, 128, 6),
    "workload-low": (100, 90, 128, 6),
}
_QUEUE_LENGTH: Final = 50
_ALL: Final = ["*"]
_LEASES: Final = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "namespaces": _ALL}
_NODES: Final = {
    "verbs": _ALL,
    "apiGroups": [""],
    "resources": ["nodes", "nodes/status"],
    "clusterScope": True,
    "namespaces": _ALL,
}
_EVERYTHING: Final = {
    "resourceRules": [
        {
            "verbs": _ALL,
            "apiGroups": _ALL,
            "resources": _ALL,
            "clusterScope": True,
            "namespaces": _ALL,
        }
    ],
    "nonResourceRules": [{"verbs": _ALL, "nonResourceURLs": _ALL}],
}
_PROBES: Final = {
    "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]
}
_LEADING: Final = {"resourceRules": [{"verbs": ["get", "create", "update"], **_LEASES}]}
_KUBELETS: Final = {"resourceRules": [_NODES, {"verbs": _ALL, **_LEASES}]}


def _group(name: str) -> JsonObject:
    return {"kind": "Group", "group": {"name": f"system:{name}"}}


def _user(name: str) -> JsonObject:
    return {"kind": "User", "user": {"name": f"system:{name}"}}


_ACCOUNTS: Final[JsonObject] = {
    "kind": "ServiceAccount",
    "serviceAccount": {"namespace": SYSTEM, "name": "*"},
}
_MANAGER: Final = _user("kube-controller-manager")
_SCHEDULER: Final = _user("kube-scheduler")
_ANYBODY: Final = [_group("unauthenticated"), _group("authenticated")]
#: schema -> precedence, level, what tells flows apart, subjects, rules
_SCHEMAS: Final[dict[str, tuple[int, str, str, list[JsonObject], JsonObject]]] = {
    "exempt": (1, "exempt", "", [_group("masters")], _EVERYTHING),
    "probes": (2, "exempt", "", _ANYBODY, _PROBES),
    "system-leader-election": (
        100,
        "leader-election",
        "ByUser",
        [_MANAGER, _SCHEDULER, _ACCOUNTS],
        _LEADING,
    ),
    "system-node-high": (400, "node-high", "ByUser", [_group("nodes")], _KUBELETS),
    "system-nodes": (500, "system", "ByUser", [_group("nodes")], _EVERYTHING),
    "kube-controller-manager": (800, "workload-high", "ByNamespace", [_MANAGER], _EVERYTHING),
    "kube-scheduler": (800, "workload-high", "ByNamespace", [_SCHEDULER], _EVERYTHING),
    "kube-system-service-accounts": (900, "workload-high", "ByNamespace", [_ACCOUNTS], _EVERYTHING),
    "service-accounts": (9000, "workload-low", "ByUser", [_group("serviceaccounts")], _EVERYTHING),
    "global-default": (9900, "global-default", "ByUser", _ANYBODY, _EVERYTHING),
    "catch-all": (10_000, "catch-all", "ByUser", _ANYBODY, _EVERYTHING),
}


def objects() -> Iterator[JsonObject]:
    """Yield the levels and the schemas."""
    exempt = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}
    yield _object("PriorityLevelConfiguration", "exempt", exempt)
    for name in _LEVELS:
        yield _object("PriorityLevelConfiguration", name, _level(*_LEVELS[name]))
    for name in _SCHEMAS:
        yield _object("FlowSchema", name, _schema(*_SCHEMAS[name]))


def _object(kind: str, name: str, spec: JsonObject) -> JsonObject:
    body = new_object(_API, kind, name, annotations=dict(_ANNOTATIONS))
    return body | {"spec": spec, "status": {}}


def _level(shares: int, lendable: int, queues: int, hand: int) -> JsonObject:
    response: dict[str, Any] = {"type": "Queue" if queues else "Reject"}
    if queues:
        queuing = {"queues": queues, "handSize": hand, "queueLengthLimit": _QUEUE_LENGTH}
        response["queuing"] = queuing
    limited = {
        "nominalConcurrencyShares": shares,
        "limitResponse": response,
        "lendablePercent": lendable,
    }
    return {"type": "Limited", "limited": limited}


def _schema(
    precedence: int, level: str, flows: str, subjects: list[JsonObject], rules: JsonObject
) -> JsonObject:
    spec: JsonObject = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
    }
    if flows:
        spec["distinguisherMethod"] = {"type": flows}
    return spec | {"rules": [{"subjects": subjects, **rules}]}
