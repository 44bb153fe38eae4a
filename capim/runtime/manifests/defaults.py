"""What the API server and its controllers make by themselves in every cluster."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

import yaml

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

IMAGE_REPOSITORY: Final = "registry.k8s.io"
SYSTEM: Final = "kube-system"
PUBLIC: Final = "kube-public"
NODE_LEASE: Final = "kube-node-lease"
RBAC: Final = "rbac.authorization.k8s.io"
API_SERVER_PORT: Final = 6443
#: libyaml's is 2.5 times faster; not every build of PyYAML has it
_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
#: clients see this text
_ROOT_CA_ANNOTATIONS: Final = {
    "kubernetes.io/description": (
        "Contains a CA bundle that can be used to verify the kube-apiserver when using internal "
        "endpoints such as the internal service IP or kubernetes.default.svc. No other usage is "
        "guaranteed across distributions of Kubernetes clusters."
    )
}
_DEFAULT_SERVICES: Final = ipaddress.ip_network("10.128.0.0/12")


def to_yaml(value: JsonObject) -> str:
    """Write YAML as kubeadm does: block style, keys sorted."""
    text: str = yaml.dump(value, Dumper=_DUMPER)
    return text


def new_object(
    api_version: str,
    kind: str,
    name: str,
    namespace: str = "",
    *,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
) -> JsonObject:
    """Return an object that has its type and metadata; empty parts are left out."""
    metadata: JsonObject = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = labels
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def namespace(name: str) -> JsonObject:
    """Return an active namespace."""
    labels = {"kubernetes.io/metadata.name": name}
    return new_object("v1", "Namespace", name, labels=labels) | {
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def namespaces() -> list[JsonObject]:
    """Return the namespaces every cluster is born with."""
    return [namespace(name) for name in ("default", NODE_LEASE, PUBLIC, SYSTEM)]


def service_account(name: str, namespace: str) -> JsonObject:
    """Return a service account."""
    return new_object("v1", "ServiceAccount", name, namespace)


def rule(groups: list[str], resources: list[str], verbs: list[str]) -> JsonObject:
    """Return one rule of a role."""
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}


def role(name: str, namespace: str, rules: list[JsonObject]) -> JsonObject:
    """Return a Role, or without a namespace a ClusterRole."""
    kind = "Role" if namespace else "ClusterRole"
    return new_object(f"{RBAC}/v1", kind, name, namespace) | {"rules": rules}


def binding(
    name: str, namespace: str, role_name: str, subject: JsonObject, *, role_kind: str = ""
) -> JsonObject:
    """Return a RoleBinding, or without a namespace a ClusterRoleBinding."""
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    role_kind = role_kind or kind.removesuffix("Binding")
    reference = {"apiGroup": RBAC, "kind": role_kind, "name": role_name}
    return new_object(f"{RBAC}/v1", kind, name, namespace) | {
        "roleRef": reference,
        "subjects": [subject],
    }


def group(name: str) -> JsonObject:
    """Return a group as the subject of a binding."""
    return {"apiGroup": RBAC, "kind": "Group", "name": name}


def account(name: str, namespace: str = SYSTEM) -> JsonObject:
    """Return a service account as the subject of a binding."""
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def service_ip(service_cidr: str, index: int) -> str:
    """Return the service address kubeadm gives away: 1 is `kubernetes`, 10 is `kube-dns`.

    `service_cidr` may be a dual-stack pair; the first family counts.
    """
    first = service_cidr.split(",", maxsplit=1)[0].strip()
    try:
        return str(ipaddress.ip_network(first, strict=False)[index])
    except (ValueError, IndexError):
        return str(
            _DEFAULT_SERVICES[index]
        )  # a cluster that lies about its range still has services


def service_spec(address: str, ports: list[JsonObject], selector: dict[str, str]) -> JsonObject:
    """Return a ClusterIP service's spec with the fields the API server fills in."""
    family = "IPv6" if ":" in address else "IPv4"
    spec: JsonObject = {
        "clusterIP": address,
        "clusterIPs": [address],
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": [family],
        "ipFamilyPolicy": "SingleStack",
        "ports": ports,
        "sessionAffinity": "None",
        "type": "ClusterIP",
    }
    return spec | ({"selector": selector} if selector else {})


def kubernetes_service(service_cidr: str) -> JsonObject:
    """Return the service by which pods reach the API server."""
    labels = {"component": "apiserver", "provider": "kubernetes"}
    ports: list[JsonObject] = [
        {"name": "https", "port": 443, "protocol": "TCP", "targetPort": API_SERVER_PORT}
    ]
    return new_object("v1", "Service", "kubernetes", "default", labels=labels) | {
        "spec": service_spec(service_ip(service_cidr, 1), ports, {}),
        "status": {"loadBalancer": {}},
    }


def root_ca(namespace: str, certificate: str) -> JsonObject:
    """Return the ConfigMap by which pods trust the API server."""
    name = "kube-root-ca.crt"
    made = new_object("v1", "ConfigMap", name, namespace, annotations=dict(_ROOT_CA_ANNOTATIONS))
    return made | {"data": {"ca.crt": certificate}}


def priority_classes() -> list[JsonObject]:
    """Return the classes of what a cluster cannot do without."""
    return [
        new_object("scheduling.k8s.io/v1", "PriorityClass", name)
        | {"value": value, "preemptionPolicy": "PreemptLowerPriority"}
        for name, value in (
            ("system-cluster-critical", 2_000_000_000),
            ("system-node-critical", 2_000_001_000),
        )
    ]


def bootstrap_objects(service_cidr: str, ca_certificate: str) -> list[JsonObject]:
    """Return what the API server and its controllers make of a cluster's own, namespaces aside."""
    names = [item["metadata"]["name"] for item in namespaces()]
    return [
        service_account("default", NODE_LEASE),  # the others are in what every cluster has
        *(root_ca(name, ca_certificate) for name in names),
        kubernetes_service(service_cidr),
        *priority_classes(),
    ]
