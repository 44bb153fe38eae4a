"""The control plane's static pods as kubelet mirrors them: Running, Ready, owned by their Node."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from capim.api.kubernetes_versions import lookup
from capim.api.meta import format_micro_time, format_time
from capim.runtime.manifests.defaults import (
    API_SERVER_PORT,
    IMAGE_REPOSITORY,
    SYSTEM,
    new_object,
)

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.workload import ClusterSpec, MachineSpec

ETCD: Final = "etcd"
API_SERVER: Final = "kube-apiserver"
SCHEDULER: Final = "kube-scheduler"
CONTROLLER_MANAGER: Final = "kube-controller-manager"
COMPONENTS: Final = (ETCD, API_SERVER, SCHEDULER, CONTROLLER_MANAGER)
#: The original keeps etcd's membership in annotations of these names; here they only show it, to
#: whoever looks at the pods with tools written for the original.
_ETCD_MARKS: Final = "etcd.inmemory.infrastructure.cluster.x-k8s.io"
REMOVED_MARK: Final = {f"{_ETCD_MARKS}/member-removed": ""}
_PKI: Final = "/etc/kubernetes/pki"
#: component -> CPU request; kubeadm's
_CPU: Final = {ETCD: "100m", API_SERVER: "250m", SCHEDULER: "100m", CONTROLLER_MANAGER: "200m"}
_CONDITION_TYPES: Final = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
)


def pod_name(component: str, node_name: str) -> str:
    """Return a mirror pod's name: the static pod's with its Node's."""
    return f"{component}-{node_name}"


def mirror_pod(
    component: str,
    cluster: ClusterSpec,
    machine: MachineSpec,
    node_uid: str,
    *,
    address: str,
    now: float,
) -> JsonObject:
    """Return the mirror pod of one control plane component, running since `now`."""
    digest = hashlib.md5(f"{machine.uid}/{component}".encode(), usedforsecurity=False).hexdigest()
    name = pod_name(component, machine.name)
    pod = new_object(
        "v1",
        "Pod",
        name,
        SYSTEM,
        labels={"component": component, "tier": "control-plane"},
        annotations={
            **_advertised(component, address),
            "kubernetes.io/config.hash": digest,
            "kubernetes.io/config.mirror": digest,
            "kubernetes.io/config.seen": format_micro_time(now),
            "kubernetes.io/config.source": "file",
        },
    )
    pod["metadata"]["ownerReferences"] = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "name": machine.name,
            "uid": node_uid,
            "controller": True,
        }
    ]
    container = _container(component, cluster, machine, address)
    pod["spec"] = _spec(container, machine.name)
    pod["status"] = _status(container, digest, address, now)
    return pod


def etcd_marks(cluster_id: int, member_id: int, leader_from: float | None) -> dict[str, str]:
    """Return an etcd pod's annotations: whose member it is and, of the leader, since when it leads."""
    ids = {f"{_ETCD_MARKS}/cluster-id": str(cluster_id), f"{_ETCD_MARKS}/member-id": str(member_id)}
    return ids | (leader_mark(leader_from) if leader_from is not None else {})


def leader_mark(at: float) -> dict[str, str]:
    """Return the annotation of a member that leads since `at`; of several the latest one leads."""
    return {f"{_ETCD_MARKS}/leader-from": format_time(at)}


def _advertised(component: str, address: str) -> dict[str, str]:
    host = f"[{address}]" if ":" in address else address
    if component == API_SERVER:
        return {
            "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint": f"{host}:{API_SERVER_PORT}"
        }
    if component == ETCD:
        return {"kubeadm.kubernetes.io/etcd.advertise-client-urls": f"https://{host}:2379"}
    return {}


def image(component: str, version: str) -> str:
    """Return a component's image for a Kubernetes version; etcd's tag comes from kubeadm's table."""
    found = lookup(version)
    tag = found.line.etcd if component == ETCD else found.version.replace("+", "_")
    return f"{IMAGE_REPOSITORY}/{component}:{tag}"


def _container(
    component: str, cluster: ClusterSpec, machine: MachineSpec, address: str
) -> JsonObject:
    arguments = _ARGUMENTS[component](cluster, machine, address)
    container: JsonObject = {
        "name": component,
        "image": image(component, machine.version),
        "imagePullPolicy": "IfNotPresent",
        "command": [component, *(f"--{name}={value}" for name, value in arguments.items())],
        "resources": {"requests": {"cpu": _CPU[component]}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    if component == API_SERVER:
        container["ports"] = [
            {
                "name": "probe-port",
                "containerPort": API_SERVER_PORT,
                "hostPort": API_SERVER_PORT,
                "protocol": "TCP",
            }
        ]
    return container


def _spec(container: JsonObject, node_name: str) -> JsonObject:
    return {
        "containers": [container],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "hostNetwork": True,
        "nodeName": node_name,
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 2000001000,
        "priorityClassName": "system-node-critical",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 30,
        "tolerations": [{"effect": "NoExecute", "operator": "Exists"}],
    }


def _status(container: JsonObject, digest: str, address: str, now: float) -> JsonObject:
    time = format_time(now)
    conditions = [
        {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": time}
        for kind in _CONDITION_TYPES
    ]
    status = {
        "name": container["name"],
        "image": container["image"],
        "imageID": f"capim://{container['image']}",
        "containerID": f"capim://{digest}",
        "lastState": {},
        "ready": True,
        "restartCount": 0,
        "started": True,
        "state": {"running": {"startedAt": time}},
    }
    return {
        "conditions": conditions,
        "containerStatuses": [status],
        "hostIP": address,
        "hostIPs": [{"ip": address}],
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "qosClass": "Burstable",
        "startTime": time,
    }


def _etcd_arguments(cluster: ClusterSpec, machine: MachineSpec, address: str) -> dict[str, str]:
    del cluster
    host = f"[{address}]" if ":" in address else address
    return {
        "advertise-client-urls": f"https://{host}:2379",
        "cert-file": f"{_PKI}/etcd/server.crt",
        "client-cert-auth": "true",
        "data-dir": "/var/lib/etcd",
        "initial-advertise-peer-urls": f"https://{host}:2380",
        "key-file": f"{_PKI}/etcd/server.key",
        "listen-client-urls": f"https://127.0.0.1:2379,https://{host}:2379",
        "listen-peer-urls": f"https://{host}:2380",
        "name": machine.name,
        "trusted-ca-file": f"{_PKI}/etcd/ca.crt",
    }


def _api_server_arguments(
    cluster: ClusterSpec, machine: MachineSpec, address: str
) -> dict[str, str]:
    del machine
    return {
        "advertise-address": address,
        "allow-privileged": "true",
        "authorization-mode": "Node,RBAC",
        "client-ca-file": f"{_PKI}/ca.crt",
        "enable-admission-plugins": "NodeRestriction",
        "enable-bootstrap-token-auth": "true",
        "etcd-servers": "https://127.0.0.1:2379",
        "secure-port": str(API_SERVER_PORT),
        "service-account-issuer": f"https://kubernetes.default.svc.{cluster.service_domain}",
        "service-cluster-ip-range": cluster.service_cidr,
        "tls-cert-file": f"{_PKI}/apiserver.crt",
        "tls-private-key-file": f"{_PKI}/apiserver.key",
    }


def _scheduler_arguments(
    cluster: ClusterSpec, machine: MachineSpec, address: str
) -> dict[str, str]:
    del cluster, machine, address
    return {
        "bind-address": "127.0.0.1",
        "kubeconfig": "/etc/kubernetes/scheduler.conf",
        "leader-elect": "true",
    }


def _controller_manager_arguments(
    cluster: ClusterSpec, machine: MachineSpec, address: str
) -> dict[str, str]:
    del machine, address
    return {
        "allocate-node-cidrs": "true",
        "bind-address": "127.0.0.1",
        "cluster-cidr": cluster.pod_cidr,
        "cluster-name": cluster.key.name,
        "controllers": "*,bootstrapsigner,tokencleaner",
        "kubeconfig": "/etc/kubernetes/controller-manager.conf",
        "leader-elect": "true",
        "service-cluster-ip-range": cluster.service_cidr,
    }


_ARGUMENTS: Final = {
    ETCD: _etcd_arguments,
    API_SERVER: _api_server_arguments,
    SCHEDULER: _scheduler_arguments,
    CONTROLLER_MANAGER: _controller_manager_arguments,
}
