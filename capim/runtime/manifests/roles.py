"""The roles a kube-apiserver 1.35 makes, and to whom it binds them.

`roles.txt`, in order: a role's name (with its namespace before a slash, or for a cluster role ` -> ` and
the role it is aggregated into), then its rules: `verbs | groups | resources [| names]`, or `verbs | paths`.
The core group is written `core`. Rules are facts of plugin/pkg/auth/authorizer/rbac/bootstrappolicy.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from capim.runtime.manifests.defaults import RBAC, SYSTEM, new_object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject

_TABLE: Final = Path(__file__).with_name("roles.txt")
_LABELS: Final = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_ANNOTATIONS: Final = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
_AGGREGATE: Final = "rbac.authorization.k8s.io/aggregate-to-"
#: from the one that is in the next
_AGGREGATED: Final = ("view", "edit", "admin")
_CONTROLLER: Final = "system:controller:"
#: cluster roles that a controller's account has, but that are of no controller
_UNBOUND: Final = frozenset(
    {
        *_AGGREGATED,
        *(f"system:aggregate-to-{role}" for role in _AGGREGATED),
        "system:auth-delegator",
        "system:heapster",
        "system:kube-aggregator",
        "system:kubelet-api-admin",
        "system:node-bootstrapper",
        "system:node-problem-detector",
        "system:persistent-volume-provisioner",
    }
)
#: role -> the kinds and names it is bound to, where that is no controller of its name
_SUBJECTS: Final[dict[str, tuple[str, ...]]] = {
    "cluster-admin": ("Group system:masters",),
    "system:basic-user": ("Group system:authenticated",),
    "system:discovery": ("Group system:authenticated",),
    "system:kube-controller-manager": ("User system:kube-controller-manager",),
    "system:kube-dns": ("ServiceAccount kube-dns",),
    "system:kube-scheduler": ("User system:kube-scheduler",),
    "system:monitoring": ("Group system:monitoring",),
    "system:node": (),
    "system:node-proxier": ("User system:kube-proxy",),
    "system:public-info-viewer": ("Group system:authenticated", "Group system:unauthenticated"),
    "system:service-account-issuer-discovery": ("Group system:serviceaccounts",),
    "system:volume-scheduler": ("User system:kube-scheduler",),
    f"{SYSTEM}/extension-apiserver-authentication-reader": (
        "User system:kube-controller-manager",
        "User system:kube-scheduler",
    ),
    f"{SYSTEM}/system::leader-locking-kube-controller-manager": (
        "User system:kube-controller-manager",
        "ServiceAccount kube-controller-manager",
        "ServiceAccount leader-election-controller",
    ),
    f"{SYSTEM}/system::leader-locking-kube-scheduler": (
        "User system:kube-scheduler",
        "ServiceAccount kube-scheduler",
    ),
}
_BINDING_NAMES: Final = {
    "extension-apiserver-authentication-reader": "system::extension-apiserver-authentication-reader"
}


def objects() -> Iterator[JsonObject]:
    """Yield roles and bindings, of the cluster and of its namespaces."""
    roles = _aggregated(_parse(_TABLE.read_text().splitlines()))
    for key, role in roles.items():
        yield role
        if key not in _UNBOUND and not key.startswith("system:certificates.k8s.io:"):
            yield _binding(key, role)


def controllers() -> list[str]:
    """Return the names of the controllers that have roles: their accounts have the same."""
    lines = _TABLE.read_text().splitlines()
    return [it.removeprefix(_CONTROLLER) for it in lines if it.startswith(_CONTROLLER)]


def _parse(lines: list[str]) -> dict[str, JsonObject]:
    roles: dict[str, JsonObject] = {}
    key = ""
    for line in lines:
        if line.startswith(" "):
            roles[key]["rules"].append(_rule(line))
        elif line:
            key, _, aggregate = line.partition(" -> ")
            roles[key] = _role(key, aggregate)
    return roles


def _role(key: str, aggregate: str) -> JsonObject:
    namespace, _, name = key.rpartition("/")
    labels = _LABELS | ({f"{_AGGREGATE}{aggregate}": "true"} if aggregate else {})
    kind = "Role" if namespace else "ClusterRole"
    role = new_object(
        f"{RBAC}/v1", kind, name, namespace, labels=labels, annotations=dict(_ANNOTATIONS)
    )
    return role | {"rules": []}


def _rule(line: str) -> JsonObject:
    verbs, *rest = (part.strip().split(",") for part in line.split("|"))
    if len(rest) == 1:
        return {"verbs": verbs, "nonResourceURLs": rest[0]}
    groups = ["" if group == "core" else group for group in rest[0]]
    rule: JsonObject = {"verbs": verbs, "apiGroups": groups, "resources": rest[1]}
    return rule | ({"resourceNames": rest[2]} if len(rest) > 2 else {})


def _aggregated(roles: dict[str, JsonObject]) -> dict[str, JsonObject]:
    """Give the aggregated roles what the controller gives them: the rules of those they select."""
    for name in _AGGREGATED:
        label = {f"{_AGGREGATE}{name}": "true"}
        rules: list[JsonObject] = []
        for _, role in sorted(roles.items()):
            if label.items() <= role["metadata"]["labels"].items():
                rules += [rule for rule in role["rules"] if rule not in rules]
        roles[name]["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": label}]}
        roles[name]["rules"] = rules
    return roles


def _binding(key: str, role: JsonObject) -> JsonObject:
    metadata = role["metadata"]
    name, namespace = metadata["name"], metadata.get("namespace", "")
    subjects = _SUBJECTS.get(key)
    if subjects is None:
        subjects = (f"ServiceAccount {name.removeprefix(_CONTROLLER)}",)
    binding = new_object(
        f"{RBAC}/v1",
        f"{role['kind']}Binding",
        _BINDING_NAMES.get(name, name),
        namespace,
        labels=dict(_LABELS),
        annotations=dict(_ANNOTATIONS),
    )
    if subjects:
        binding["subjects"] = [_subject(*it.split(" ")) for it in subjects]
    return binding | {"roleRef": {"apiGroup": RBAC, "kind": role["kind"], "name": name}}


def _subject(kind: str, name: str) -> JsonObject:
    if kind == "ServiceAccount":
        return {"kind": kind, "name": name, "namespace": SYSTEM}
    return {"kind": kind, "apiGroup": RBAC, "name": name}
