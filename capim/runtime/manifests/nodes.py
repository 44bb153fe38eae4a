"""A machine's Node and its Lease, as kubelet, cloud provider and node controllers leave them.

The Lease is written at the Node's birth and renewed when somebody looks (`capim.runtime.controllers.leases`):
100 000 nodes would make 10 000 writes a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.meta import format_micro_time, format_time
from capim.api.nodeform import ARCHITECTURE, PLAIN, allocatable_of, capacity_of, parse_taint
from capim.runtime.manifests.defaults import NODE_LEASE, new_object

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.workload import MachineSpec

CONTROL_PLANE_LABEL: Final = "node-role.kubernetes.io/control-plane"
#: type, status, reason, message: the texts are kubelet's own
_CONDITIONS: Final = (
    (
        "MemoryPressure",
        "False",
        "KubeletHasSufficientMemory",
        "kubelet has sufficient memory available",
    ),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("NetworkUnavailable", "False", "RouteCreated", "the network plugin is initialized"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def node(machine: MachineSpec, *, address: str, pod_cidr: str, now: float) -> JsonObject:
    """Return the Node of a machine that has just become ready; `pod_cidr` may be empty."""
    spec: JsonObject = {"providerID": machine.provider_id}
    if pod_cidr:
        spec |= {"podCIDR": pod_cidr, "podCIDRs": [pod_cidr]}
    taints = [parse_taint(text) for text in (machine.node or PLAIN).taints]
    if machine.control_plane:
        taints.append({"key": CONTROL_PLANE_LABEL, "effect": "NoSchedule"})
    if taints:
        spec["taints"] = taints
    return new_object(
        "v1",
        "Node",
        machine.name,
        labels=_labels(machine),
        annotations={
            "node.alpha.kubernetes.io/ttl": "0",
            "volumes.kubernetes.io/controller-managed-attach-detach": "true",
        },
    ) | {"spec": spec, "status": _status(machine, address, now)}


def _labels(machine: MachineSpec) -> dict[str, str]:
    form = machine.node or PLAIN
    architecture = form.architecture or ARCHITECTURE
    labels = form.labels | {
        "beta.kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "kubernetes.io/hostname": machine.name,
        "kubernetes.io/os": "linux",
    }
    if machine.control_plane:
        labels |= {
            CONTROL_PLANE_LABEL: "",
            "node.kubernetes.io/exclude-from-external-load-balancers": "",
        }
    if machine.failure_domain:
        labels["topology.kubernetes.io/zone"] = machine.failure_domain
    return labels


def _status(machine: MachineSpec, address: str, now: float) -> JsonObject:
    form = machine.node or PLAIN
    return {
        "addresses": [
            {"type": "InternalIP", "address": address},
            {"type": "Hostname", "address": machine.name},
        ],
        "allocatable": allocatable_of(form),
        "capacity": capacity_of(form),
        "conditions": conditions(now),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": _node_info(machine),
    }


def conditions(now: float) -> list[JsonObject]:
    """Return the conditions of a node that is well, as its kubelet posts them."""
    time = format_time(now)
    return [
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastHeartbeatTime": time,
            "lastTransitionTime": time,
        }
        for kind, status, reason, message in _CONDITIONS
    ]


def _node_info(machine: MachineSpec) -> JsonObject:
    digits = machine.uid.replace("-", "").ljust(32, "0")[:32]
    return {
        "architecture": (machine.node or PLAIN).architecture or ARCHITECTURE,
        "bootID": machine.uid,
        "containerRuntimeVersion": "containerd://2.1.4",
        "kernelVersion": "6.8.0-capim",
        "kubeProxyVersion": "",  # kubelets have left it empty since 1.31
        "kubeletVersion": machine.version,
        "machineID": digits,
        "operatingSystem": "linux",
        "osImage": "CAPIM (in memory)",
        "systemUUID": machine.uid,
    }


def lease(node: JsonObject, *, now: float) -> JsonObject:
    """Return the Lease of a Node that is stored already: it is owned by that Node's uid."""
    name = node["metadata"]["name"]
    owned = new_object("coordination.k8s.io/v1", "Lease", name, NODE_LEASE)
    owned["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"]}
    ]
    owned["spec"] = {
        "holderIdentity": name,
        "leaseDurationSeconds": 40,
        "renewTime": format_micro_time(now),
    }
    return owned


#: a volume of a driver that there is not
_STUCK: Final = "kubernetes.io/csi/capim^stuck"


def stuck_attachment(node: str) -> JsonObject:
    """Return a VolumeAttachment to a node, of a volume that nobody detaches."""
    made = new_object("storage.k8s.io/v1", "VolumeAttachment", f"capim-stuck-{node}")
    source = {"persistentVolumeName": "capim-stuck"}
    return made | {
        "spec": {"attacher": "capim", "nodeName": node, "source": source},
        "status": {"attached": True},
    }


def with_stuck_volume(node: JsonObject) -> JsonObject:
    """Return a Node that says the volume is attached and in use; the node itself, changed."""
    status = without_stuck_volume(node)["status"]
    status.setdefault("volumesAttached", []).append({"name": _STUCK, "devicePath": ""})
    status.setdefault("volumesInUse", []).append(_STUCK)
    return node


def without_stuck_volume(node: JsonObject) -> JsonObject:
    """Return a Node that says nothing of the volume; the node itself, changed."""
    status = node["status"]
    attached = [it for it in status.pop("volumesAttached", []) if it["name"] != _STUCK]
    in_use = [name for name in status.pop("volumesInUse", []) if name != _STUCK]
    status |= {"volumesAttached": attached} if attached else {}
    status |= {"volumesInUse": in_use} if in_use else {}
    return node
