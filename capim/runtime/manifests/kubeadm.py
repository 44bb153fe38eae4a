"""What `kubeadm init` leaves in a cluster: its configuration, and who may read and join.

KubeadmControlPlane reads and rewrites `kubeadm-config`, so its ClusterConfiguration is a real one.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from capim.api.kubernetes_versions import lookup
from capim.runtime.manifests.defaults import (
    IMAGE_REPOSITORY,
    PUBLIC,
    RBAC,
    SYSTEM,
    binding,
    group,
    new_object,
    role,
    rule,
    service_ip,
    to_yaml,
)

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.workload import ClusterSpec

_BOOTSTRAPPERS: Final = group("system:bootstrappers:kubeadm:default-node-token")
_NODES: Final = group("system:nodes")
_ADMINS: Final = group("kubeadm:cluster-admins")
_FIRST_WITH_CLUSTER_ADMINS: Final = 29  # kubeadm's admin.conf lost system:masters in 1.29


def cluster_configuration(cluster: ClusterSpec, version: str) -> str:
    """Return kubeadm's ClusterConfiguration as YAML, in the API version of this Kubernetes line."""
    found = lookup(version)
    configuration: JsonObject = {
        "apiServer": {},
        "apiVersion": found.line.kubeadm_api_version,
        "caCertificateValidityPeriod": "87600h0m0s",
        "certificateValidityPeriod": "8760h0m0s",
        "certificatesDir": "/etc/kubernetes/pki",
        "clusterName": cluster.key.name,
        "controlPlaneEndpoint": cluster.endpoint,
        "controllerManager": {},
        "dns": {},
        "encryptionAlgorithm": "RSA-2048",
        "etcd": {"local": {"dataDir": "/var/lib/etcd"}},
        "imageRepository": IMAGE_REPOSITORY,
        "kind": "ClusterConfiguration",
        "kubernetesVersion": found.version,
        "networking": {
            "dnsDomain": cluster.service_domain,
            "podSubnet": cluster.pod_cidr,
            "serviceSubnet": cluster.service_cidr,
        },
        "proxy": {},
        "scheduler": {},
    }
    if not found.line.kubeadm_api_version.endswith("v1beta4"):
        for field in (
            "caCertificateValidityPeriod",
            "certificateValidityPeriod",
            "encryptionAlgorithm",
            "proxy",
        ):
            del configuration[field]
    return to_yaml(configuration)


def kubelet_configuration(cluster: ClusterSpec) -> str:
    """Return the cluster's KubeletConfiguration as YAML."""
    return to_yaml(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": "/etc/kubernetes/pki/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "cgroupDriver": "systemd",
            "clusterDNS": [service_ip(cluster.service_cidr, 10)],
            "clusterDomain": cluster.service_domain,
            "kind": "KubeletConfiguration",
            "rotateCertificates": True,
            "staticPodPath": "/etc/kubernetes/manifests",
        }
    )


def discovery_kubeconfig(cluster: ClusterSpec) -> str:
    """Return the kubeconfig without credentials that joining machines read."""
    certificate = cluster.ca.certificate if cluster.ca else b""
    entry = {
        "certificate-authority-data": base64.b64encode(certificate).decode(),
        "server": f"https://{cluster.endpoint}",
    }
    return to_yaml(
        {
            "apiVersion": "v1",
            "clusters": [{"cluster": entry, "name": ""}],
            "contexts": None,
            "current-context": "",
            "kind": "Config",
            "preferences": {},
            "users": None,
        }
    )


def shared_objects() -> list[JsonObject]:
    """Return what `kubeadm init` of every version creates alike in every cluster."""
    return [
        *_config_map_access("kubeadm:nodes-kubeadm-config", "kubeadm-config"),
        *_config_map_access("kubeadm:kubelet-config", "kubelet-config"),
        *_bootstrap_access(),
    ]


def objects(cluster: ClusterSpec, version: str) -> list[JsonObject]:
    """Return what `kubeadm init` of this version creates in this cluster, add-ons aside."""
    return [
        new_object("v1", "ConfigMap", "kubeadm-config", SYSTEM)
        | {"data": {"ClusterConfiguration": cluster_configuration(cluster, version)}},
        new_object("v1", "ConfigMap", "kubelet-config", SYSTEM)
        | {"data": {"kubelet": kubelet_configuration(cluster)}},
        new_object("v1", "ConfigMap", "cluster-info", PUBLIC)
        | {"data": {"kubeconfig": discovery_kubeconfig(cluster)}},
        *_cluster_admins(lookup(version).line.minor),
    ]


def _config_map_access(name: str, config_map: str) -> list[JsonObject]:
    readable = rule([""], ["configmaps"], ["get"]) | {"resourceNames": [config_map]}
    bound = binding(name, SYSTEM, name, _BOOTSTRAPPERS)
    bound["subjects"].insert(0, _NODES)
    return [role(name, SYSTEM, [readable]), bound]


def _bootstrap_access() -> list[JsonObject]:
    info = rule([""], ["configmaps"], ["get"]) | {"resourceNames": ["cluster-info"]}
    anonymous: JsonObject = {"apiGroup": RBAC, "kind": "User", "name": "system:anonymous"}
    approver = "system:certificates.k8s.io:certificatesigningrequests"
    return [
        role("kubeadm:get-nodes", "", [rule([""], ["nodes"], ["get"])]),
        binding("kubeadm:get-nodes", "", "kubeadm:get-nodes", _BOOTSTRAPPERS),
        binding("kubeadm:kubelet-bootstrap", "", "system:node-bootstrapper", _BOOTSTRAPPERS),
        binding("kubeadm:node-autoapprove-bootstrap", "", f"{approver}:nodeclient", _BOOTSTRAPPERS),
        binding(
            "kubeadm:node-autoapprove-certificate-rotation",
            "",
            f"{approver}:selfnodeclient",
            _NODES,
        ),
        role("kubeadm:bootstrap-signer-clusterinfo", PUBLIC, [info]),
        binding(
            "kubeadm:bootstrap-signer-clusterinfo",
            PUBLIC,
            "kubeadm:bootstrap-signer-clusterinfo",
            anonymous,
        ),
    ]


def _cluster_admins(minor: int) -> list[JsonObject]:
    if minor < _FIRST_WITH_CLUSTER_ADMINS:
        return []
    return [binding("kubeadm:cluster-admins", "", "cluster-admin", _ADMINS)]
