"""kube-proxy and CoreDNS as kubeadm installs them.

KubeadmControlPlane patches kube-proxy's image at an upgrade and migrates CoreDNS: it looks for a container
`coredns`, an image tag it can parse, a volume `config-volume` whose item is the key `Corefile`, and
a Corefile that its migration library can read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from capim.api.kubernetes_versions import lookup
from capim.runtime.manifests.defaults import (
    IMAGE_REPOSITORY,
    SYSTEM,
    account,
    binding,
    group,
    new_object,
    role,
    rule,
    service_account,
    service_ip,
    service_spec,
    to_yaml,
)

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.workload import ClusterSpec


def objects(cluster: ClusterSpec, version: str) -> list[JsonObject]:
    """Return both add-ons with their accounts and roles, for this version of Kubernetes."""
    return [*_kube_proxy(cluster, version), *_coredns(cluster, version)]


def _kube_proxy(cluster: ClusterSpec, version: str) -> list[JsonObject]:
    readable = rule([""], ["configmaps"], ["get"]) | {"resourceNames": ["kube-proxy"]}
    bootstrappers = group("system:bootstrappers:kubeadm:default-node-token")
    return [
        service_account("kube-proxy", SYSTEM),
        binding("kubeadm:node-proxier", "", "system:node-proxier", account("kube-proxy")),
        role("kube-proxy", SYSTEM, [readable]),
        binding("kube-proxy", SYSTEM, "kube-proxy", bootstrappers),
        new_object("v1", "ConfigMap", "kube-proxy", SYSTEM, labels={"app": "kube-proxy"})
        | {"data": _kube_proxy_config(cluster)},
        kube_proxy_daemon_set(version),
    ]


def _kube_proxy_config(cluster: ClusterSpec) -> dict[str, str]:
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "clientConnection": {"kubeconfig": "/var/lib/kube-proxy/kubeconfig.conf"},
        "clusterCIDR": cluster.pod_cidr,
        "kind": "KubeProxyConfiguration",
    }
    secrets = "/var/run/secrets/kubernetes.io/serviceaccount"
    kubeconfig = {
        "apiVersion": "v1",
        "clusters": [
            {
                "cluster": {
                    "certificate-authority": f"{secrets}/ca.crt",
                    "server": f"https://{cluster.endpoint}",
                },
                "name": "default",
            }
        ],
        "contexts": [{"context": {"cluster": "default", "user": "default"}, "name": "default"}],
        "current-context": "default",
        "kind": "Config",
        "users": [{"name": "default", "user": {"tokenFile": f"{secrets}/token"}}],
    }
    return {"config.conf": to_yaml(config), "kubeconfig.conf": to_yaml(kubeconfig)}


def kube_proxy_daemon_set(version: str) -> JsonObject:
    """Return kube-proxy's DaemonSet."""
    labels = {"k8s-app": "kube-proxy"}
    container = {
        "name": "kube-proxy",
        "image": f"{IMAGE_REPOSITORY}/kube-proxy:{lookup(version).version.replace('+', '_')}",
        "imagePullPolicy": "IfNotPresent",
        "command": [
            "/usr/local/bin/kube-proxy",
            "--config=/var/lib/kube-proxy/config.conf",
            "--hostname-override=$(NODE_NAME)",
        ],
        "env": [
            {
                "name": "NODE_NAME",
                "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}},
            }
        ],
        "securityContext": {"privileged": True},
        "volumeMounts": [{"mountPath": "/var/lib/kube-proxy", "name": "kube-proxy"}],
    }
    pod = {
        "containers": [container],
        "hostNetwork": True,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "priorityClassName": "system-node-critical",
        "serviceAccountName": "kube-proxy",
        "tolerations": [{"operator": "Exists"}],
        "volumes": [
            {"name": "kube-proxy", "configMap": {"name": "kube-proxy", "defaultMode": 420}}
        ],
    }
    daemon_set = new_object("apps/v1", "DaemonSet", "kube-proxy", SYSTEM, labels=labels)
    daemon_set["spec"] = {
        "revisionHistoryLimit": 10,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
        "updateStrategy": {
            "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
            "type": "RollingUpdate",
        },
    }
    return daemon_set


def _coredns(cluster: ClusterSpec, version: str) -> list[JsonObject]:
    endpoints = rule([""], ["endpoints", "services", "pods", "namespaces"], ["list", "watch"])
    slices = rule(["discovery.k8s.io"], ["endpointslices"], ["list", "watch"])
    return [
        service_account("coredns", SYSTEM),
        role("system:coredns", "", [endpoints, slices]),
        binding("system:coredns", "", "system:coredns", account("coredns")),
        new_object("v1", "ConfigMap", "coredns", SYSTEM)
        | {"data": {"Corefile": corefile(cluster.service_domain)}},
        coredns_deployment(version),
        _dns_service(cluster),
    ]


def corefile(domain: str) -> str:
    """Return kubeadm's default Corefile."""
    return f"""\
.:53 {{
    errors
    health {{
       lameduck 5s
    }}
    ready
    kubernetes {domain} in-addr.arpa ip6.arpa {{
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }}
    prometheus :9153
    forward . /etc/resolv.conf {{
       max_concurrent 1000
    }}
    cache 30
    loop
    reload
    loadbalance
}}
"""


def coredns_deployment(version: str) -> JsonObject:
    """Return CoreDNS' Deployment, with the image of this version's kubeadm."""
    labels = {"k8s-app": "kube-dns"}
    ports = [("dns", 53, "UDP"), ("dns-tcp", 53, "TCP"), ("metrics", 9153, "TCP")]
    container = {
        "name": "coredns",
        "image": f"{IMAGE_REPOSITORY}/coredns/coredns:{lookup(version).line.coredns}",
        "imagePullPolicy": "IfNotPresent",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": name, "containerPort": port, "protocol": protocol}
            for name, port, protocol in ports
        ],
        "resources": {
            "limits": {"memory": "170Mi"},
            "requests": {"cpu": "100m", "memory": "70Mi"},
        },
        "volumeMounts": [{"mountPath": "/etc/coredns", "name": "config-volume", "readOnly": True}],
    }
    config = {"name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}]}
    pod = {
        "containers": [container],
        "dnsPolicy": "Default",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": "coredns",
        "tolerations": [
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
            {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
        ],
        "volumes": [{"name": "config-volume", "configMap": {**config, "defaultMode": 420}}],
    }
    deployment = new_object("apps/v1", "Deployment", "coredns", SYSTEM, labels=labels)
    deployment["spec"] = {
        "progressDeadlineSeconds": 600,
        "replicas": 2,
        "revisionHistoryLimit": 10,
        "selector": {"matchLabels": labels},
        "strategy": {
            "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1},
            "type": "RollingUpdate",
        },
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    return deployment


def _dns_service(cluster: ClusterSpec) -> JsonObject:
    labels = {
        "k8s-app": "kube-dns",
        "kubernetes.io/cluster-service": "true",
        "kubernetes.io/name": "CoreDNS",
    }
    ports: list[JsonObject] = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
        {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
    ]
    annotations = {"prometheus.io/port": "9153", "prometheus.io/scrape": "true"}
    service = new_object(
        "v1", "Service", "kube-dns", SYSTEM, labels=labels, annotations=annotations
    )
    return service | {
        "spec": service_spec(service_ip(cluster.service_cidr, 10), ports, {"k8s-app": "kube-dns"}),
        "status": {"loadBalancer": {}},
    }
