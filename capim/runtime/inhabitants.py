"""Puts a cluster's own objects into its resource group: Nodes, mirror pods, what kubeadm leaves.

Objects are made if absent and never overwritten: what KubeadmControlPlane or a person changed stays.
UIDs follow from the machine's or cluster's uid, so that a cluster built again has the same ones; a Node
that comes back under another uid would be another Node to Cluster API.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from capim.api.errors import APIError
from capim.api.gvk import GVK, split_api_version
from capim.api.kubernetes_versions import lookup
from capim.api.meta import parse_time
from capim.runtime.kinds.rules import complete
from capim.runtime.manifests import addons, defaults, kubeadm, nodes, pods
from capim.runtime.objects import DeleteOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.api.workload import ClusterSpec
    from capim.runtime.machines import SimulatedMachine
    from capim.runtime.objects import Stored
    from capim.runtime.resourcegroup import ResourceGroup

#: the root of our UUIDs; changing it changes every uid of every cluster built again
_UIDS: Final = uuid.UUID("6f0c1d8e-5d3c-4b57-9f0a-2f3b8f1f6a11")

#: what goes with its machine is given no time to end
_AT_ONCE: Final = DeleteOptions(grace_s=0)


def derived_uid(owner_uid: str, *names: str) -> str:
    """Return the uid of an object that belongs to `owner_uid`: always the same one."""
    return str(uuid.uuid5(_UIDS, "/".join((owner_uid, *names))))


class Inhabitants:
    """The simulator's own objects in one resource group. One loop, no lock."""

    def __init__(self, group: ResourceGroup) -> None:
        self._group = group

    def _resource(self, kind: str, api_version: str = "v1") -> Resource:
        resource = self._group.resources.by_gvk(GVK(*split_api_version(api_version), kind))
        if resource is None:
            raise LookupError(f"the table of served kinds has no {api_version} {kind}")
        return resource

    def forbid_evictions(self, node: str, budget: str) -> None:
        """Let nobody evict the pods of a node, as if a budget of this name forbade it."""
        self._group.unevictable = {**self._group.unevictable, node: budget}

    def allow_evictions(self, node: str) -> None:
        """Take back `forbid_evictions`."""
        if node in self._group.unevictable:
            left = {it: name for it, name in self._group.unevictable.items() if it != node}
            self._group.unevictable = left

    def find(self, kind: str, namespace: str, name: str) -> Stored | None:
        """Return a core object, or None."""
        try:
            return self._group.get(self._resource(kind), namespace, name)
        except APIError as error:
            if error.code == 404:
                return None
            raise

    def begun(self) -> float | None:
        """Return when the cluster began, in seconds since the epoch, None before it did."""
        system = self.find("Namespace", "", defaults.SYSTEM)
        if system is None:
            return None
        return parse_time(system.json()["metadata"]["creationTimestamp"])

    def _ensure(self, body: JsonObject, uid: str) -> None:
        """Make an object unless it is there; a namespace that is being deleted takes none."""
        resource = self._resource(body["kind"], body["apiVersion"])
        namespace = body["metadata"].get("namespace", "")
        try:
            self._group.create(resource, namespace, body, uid=uid, keep_status=True)
        except APIError as error:
            if error.reason not in {"AlreadyExists", "Forbidden", "NotFound"}:
                raise

    def _ensure_all(self, cluster: ClusterSpec, bodies: Iterable[JsonObject]) -> None:
        for body in bodies:
            metadata = body["metadata"]
            names = (body["kind"], metadata.get("namespace", ""), metadata["name"])
            resource = self._resource(body["kind"], body["apiVersion"])
            self._ensure(complete(resource, body), derived_uid(cluster.uid, *names))

    def _delete(self, kind: str, namespace: str, name: str, api_version: str = "v1") -> None:
        try:
            self._group.delete(self._resource(kind, api_version), namespace, name, _AT_ONCE)
        except APIError as error:
            if error.code != 404:
                raise

    def add_node(self, cluster: ClusterSpec, machine: SimulatedMachine, now: float) -> None:
        """Let a machine's kubelet register its Node and Lease."""
        if self.find("Namespace", "", defaults.NODE_LEASE) is None:
            self._ensure_all(cluster, defaults.namespaces())
        body = nodes.node(machine.spec, address=machine.address, pod_cidr=machine.pod_cidr, now=now)
        self._ensure(body, derived_uid(machine.spec.uid, "Node"))
        node = self.find("Node", "", machine.spec.name)
        if node is not None:
            owner = {"metadata": {"name": node.name, "uid": node.uid}}
            self._ensure(nodes.lease(owner, now=now), derived_uid(machine.spec.uid, "Lease"))

    def add_pod(
        self,
        component: str,
        cluster: ClusterSpec,
        machine: SimulatedMachine,
        now: float,
        *,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Let a control plane component run; without its Node there is nobody to show it."""
        node = self.find("Node", "", machine.spec.name)
        if node is None:
            return
        body = pods.mirror_pod(
            component, cluster, machine.spec, node.uid, address=machine.address, now=now
        )
        body["metadata"]["annotations"] |= annotations or {}
        self._ensure(body, derived_uid(machine.spec.uid, component))

    def annotate_pod(self, component: str, node_name: str, annotations: Mapping[str, str]) -> None:
        """Set annotations of a component's mirror pod, if there is one."""
        name = pods.pod_name(component, node_name)

        def annotated(pod: JsonObject) -> JsonObject:
            metadata = pod["metadata"]
            metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotations}
            return pod

        if self.find("Pod", defaults.SYSTEM, name) is not None:
            self._group.apply_own(self._resource("Pod"), defaults.SYSTEM, name, annotated)

    def change_node(self, name: str, change: Callable[[JsonObject], JsonObject]) -> None:
        """Write a Node as a whole, if there is one."""
        if self.find("Node", "", name) is not None:
            self._group.apply_own(self._resource("Node"), "", name, change)

    def attach_volume(self, node: str, uid: str) -> None:
        """Let a volume be attached to a node that nobody will detach."""
        body = nodes.stuck_attachment(node)
        self._ensure(body, derived_uid(uid, "VolumeAttachment"))
        self.change_node(node, nodes.with_stuck_volume)

    def detach_volume(self, node: str) -> None:
        """Undo `attach_volume`."""
        name = nodes.stuck_attachment(node)["metadata"]["name"]
        self._delete("VolumeAttachment", "", name, "storage.k8s.io/v1")
        self.change_node(node, nodes.without_stuck_volume)

    def set_ready(self, component: str, node_name: str, *, ready: bool) -> None:
        """Let a component's mirror pod be ready, or not, if there is one."""
        name = pods.pod_name(component, node_name)

        def judged(pod: JsonObject) -> JsonObject:
            status = pod["status"]
            for condition in status.get("conditions") or ():
                if condition["type"] in {"Ready", "ContainersReady"}:
                    condition["status"] = str(ready)
            for container in status.get("containerStatuses") or ():
                container["ready"] = container["started"] = ready
            return pod

        if self.find("Pod", defaults.SYSTEM, name) is not None:
            self._group.apply_own(self._resource("Pod"), defaults.SYSTEM, name, judged)

    def init_cluster(self, cluster: ClusterSpec, version: str) -> None:
        """Make what the first API server, its controllers and `kubeadm init` make; only the first time."""
        if self.find("ConfigMap", defaults.SYSTEM, "kubeadm-config") is not None:
            return
        certificate = cluster.ca.certificate.decode("ascii") if cluster.ca else ""
        self._ensure_all(cluster, defaults.bootstrap_objects(cluster.service_cidr, certificate))
        self._ensure_all(cluster, kubeadm.objects(cluster, version))
        self._ensure_all(cluster, addons.objects(cluster, version))

    def remove_node(self, name: str) -> None:
        """Remove a Node and what it owns."""
        self._delete("Node", "", name)
        self._delete("Lease", defaults.NODE_LEASE, name, "coordination.k8s.io/v1")

    def remove_pod(self, component: str, node_name: str) -> None:
        """Remove a component's mirror pod."""
        self._delete("Pod", defaults.SYSTEM, pods.pod_name(component, node_name))

    def change_version(self, machine: SimulatedMachine) -> None:
        """Show a machine's new version on its Node and mirror pods: it was updated in place."""
        name, version = machine.spec.name, lookup(machine.spec.version).version

        def kubelet(node: JsonObject) -> JsonObject:
            node["status"]["nodeInfo"]["kubeletVersion"] = version
            return node

        if self.find("Node", "", name) is not None:
            self._group.apply_own(self._resource("Node"), "", name, kubelet)
        for component in pods.COMPONENTS if machine.spec.control_plane else ():
            self._change_image(component, name, pods.image(component, version))

    def _change_image(self, component: str, node_name: str, image: str) -> None:
        name = pods.pod_name(component, node_name)

        def images(pod: JsonObject) -> JsonObject:
            pod["spec"]["containers"][0]["image"] = image
            for status in pod["status"].get("containerStatuses") or ():
                status["image"] = image
            return pod

        if self.find("Pod", defaults.SYSTEM, name) is not None:
            self._group.apply_own(self._resource("Pod"), defaults.SYSTEM, name, images)
