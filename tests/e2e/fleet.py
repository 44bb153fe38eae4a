"""The clusters of one test: created, waited for, looked into, deleted."""

from __future__ import annotations

import base64
import collections
import contextlib
import secrets
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import yaml

from tests.e2e import manifests
from tests.e2e.kube import Kube, unsettled, wait_until
from tests.e2e.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.e2e.kube import JsonObject

CLUSTER_LABEL: Final = "cluster.x-k8s.io/cluster-name"
CONTROL_PLANE_LABEL: Final = "cluster.x-k8s.io/control-plane"
#: line -> versions of an upgrade that its kubeadm control plane supports
VERSIONS: Final = {"1.7": ("v1.28.0", "v1.29.2"), "1.14": ("v1.34.0", "v1.35.0")}
#: conditions that must be there on a settled object; every other one that is there must be good too
_REQUIRED: Final = {
    "1.7": {
        "Cluster": ("Ready", "ControlPlaneReady", "InfrastructureReady"),
        "KubeadmControlPlane": (
            "Ready",
            "Available",
            "ControlPlaneComponentsHealthy",
            "EtcdClusterHealthy",
        ),
        "MachineDeployment": ("Ready", "Available"),
        "Machine": ("Ready", "NodeHealthy", "InfrastructureReady"),
    },
    "1.14": {
        "Cluster": ("Available", "ControlPlaneAvailable", "InfrastructureReady"),
        "KubeadmControlPlane": (
            "Available",
            "ControlPlaneComponentsHealthy",
            "EtcdClusterHealthy",
        ),
        "MachineDeployment": ("Available", "MachinesReady", "MachinesUpToDate"),
        "Machine": ("Ready", "Available", "NodeHealthy", "InfrastructureReady"),
    },
}
#: what a running cluster is judged by, beside its infrastructure
_COUNTED: Final = ("Cluster", "KubeadmControlPlane", "MachineDeployment", "Machine")
#: what a deleted cluster must not leave behind
_OWNED: Final = (
    "Cluster",
    "Machine",
    "MachineSet",
    "MachineDeployment",
    "KubeadmControlPlane",
    "KubeadmConfig",
    "KubeadmConfigTemplate",
    "Secret",
)
_OWNED_INFRASTRUCTURE: Final = ("InMemoryCluster", "InMemoryMachine", "InMemoryMachineTemplate")
_OWNED_DEV: Final = ("DevCluster", "DevMachine", "DevMachineTemplate")


@dataclass(frozen=True, slots=True)
class Size:
    """How many machines a cluster should have, and of which Kubernetes version."""

    control_planes: int
    workers: int
    version: str


@dataclass
class Fleet:
    """Clusters in one namespace of the management cluster."""

    kube: Kube
    line: str
    namespace: str
    provider: Provider
    _workloads: list[Kube] = field(default_factory=list)

    @classmethod
    @contextlib.contextmanager
    def in_namespace(cls, kube: Kube, line: str, name: str, provider: Provider) -> Iterator[Fleet]:
        """Yield a fleet in a new namespace that begins with `name`, and delete all of it after."""
        # never the same twice: namespaces go slowly, and the parameters of a test share its name
        namespace = f"{name}-{secrets.token_hex(2)}"
        document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        kube.create(document)
        fleet = cls(kube, line, namespace, provider)
        try:
            yield fleet
        finally:
            fleet.close()

    @property
    def version(self) -> str:
        """The Kubernetes version that clusters start with."""
        return VERSIONS[self.line][0]

    @property
    def next_version(self) -> str:
        """The Kubernetes version that clusters are upgraded to."""
        return VERSIONS[self.line][1]

    def size(self, control_planes: int = 1, workers: int = 1, version: str = "") -> Size:
        """Return a size, at the version that clusters start with if none is given."""
        return Size(control_planes, workers, version or self.version)

    def apply_class(self, *, delays: bool = False) -> None:
        """Apply the provider's quick-start class, its start-up delays at zero if not wanted."""
        documents = self.provider.class_documents()
        self.kube.apply(
            documents if delays else manifests.without_delays(documents), self.namespace
        )

    def create(self, name: str, size: Size, **topology: object) -> None:
        """Create a cluster of the quick-start class."""
        classes = self.provider.class_documents()
        [class_name] = (i["metadata"]["name"] for i in classes if i["kind"] == "ClusterClass")
        worker = {"class": "default-worker", "name": "md-0", "replicas": size.workers}
        document = cluster_document(name)
        document["spec"]["topology"] = {
            "class": class_name,
            "version": size.version,
            "controlPlane": {"replicas": size.control_planes},
            "workers": {"machineDeployments": [worker]},
            **topology,
        }
        self.kube.create(document, self.namespace)

    def resize(self, name: str, size: Size) -> None:
        """Change the counts or the version of a cluster that `create` made."""
        cluster = self.kube.get("Cluster", self.namespace, name)
        topology = cluster["spec"]["topology"]
        topology["version"] = size.version
        topology["controlPlane"]["replicas"] = size.control_planes
        topology["workers"]["machineDeployments"][0]["replicas"] = size.workers
        self.kube.patch("Cluster", self.namespace, name, {"spec": {"topology": topology}})

    def wait_running(self, names: Iterable[str], size: Size, timeout_s: float = 180) -> None:
        """Wait until clusters are whole: counts, phases, versions and all conditions."""
        wanted = list(names)
        wait_until(
            lambda: self.missing(wanted, size),
            timeout_s,
            f"{', '.join(wanted)} running with {size}",
        )

    def missing(self, names: Iterable[str], size: Size) -> list[str]:
        """Name what clusters lack of `size`, over all their objects; one request a kind."""
        self.provider.check_alive()
        objects = {kind: self._by_cluster(kind) for kind in (*_COUNTED, *self._infrastructure())}
        return [
            gap
            for name in names
            for gap in self._gaps(name, size, {kind: objects[kind][name] for kind in objects})
        ]

    def _by_cluster(self, kind: str) -> dict[str, list[JsonObject]]:
        found: dict[str, list[JsonObject]] = collections.defaultdict(list)
        for item in self.kube.list(kind, self.namespace):
            metadata = item["metadata"]
            labels = metadata.get("labels") or {}  # the first look may come before they do
            owner = metadata["name"] if kind == "Cluster" else labels.get(CLUSTER_LABEL, "")
            found[owner].append(item)
        return found

    def _gaps(self, name: str, size: Size, objects: dict[str, list[JsonObject]]) -> list[str]:
        if not objects["Cluster"]:
            return [f"Cluster/{name}: absent"]
        [cluster] = objects["Cluster"]
        left = self._unlike(cluster)
        if cluster.get("status", {}).get("phase") != "Provisioned":
            left.append(f"Cluster/{name}: phase {cluster.get('status', {}).get('phase')}")
        for kind, count in (
            ("KubeadmControlPlane", size.control_planes),
            ("MachineDeployment", size.workers),
        ):
            left += self._replica_gaps(kind, name, objects[kind], count, size.version)
        machines = objects["Machine"]
        if len(machines) != size.control_planes + size.workers:
            left.append(f"{name}: {len(machines)} machines, {size} wanted")
        for machine in machines:
            left += self._machine_gaps(machine, size.version)
        for kind in self._infrastructure():
            for item in objects[kind]:
                left += unsettled(item, ())
        return left

    def machines(self, name: str, *, control_plane: bool | None = None) -> list[JsonObject]:
        """Return a cluster's Machines: all, the control plane's, or the workers."""
        sign = {None: "", True: f",{CONTROL_PLANE_LABEL}", False: f",!{CONTROL_PLANE_LABEL}"}
        labels = f"{CLUSTER_LABEL}={name}{sign[control_plane]}"
        return self.kube.list("Machine", self.namespace, labels=labels)

    def uids(self, name: str, *, control_plane: bool | None = None) -> set[str]:
        """Return the UIDs of a cluster's Machines."""
        machines = self.machines(name, control_plane=control_plane)
        return {machine["metadata"]["uid"] for machine in machines}

    def endpoint(self, name: str) -> tuple[str, int]:
        """Return host and port of a cluster's control plane; ("", 0) before there is one."""
        cluster = self.kube.get("Cluster", self.namespace, name)
        endpoint = cluster["spec"].get("controlPlaneEndpoint", {})
        return endpoint.get("host", ""), int(endpoint.get("port", 0))

    def kubeconfig(self, name: str) -> JsonObject:
        """Return the kubeconfig that Cluster API made for a cluster."""
        secret = self.kube.get("Secret", self.namespace, f"{name}-kubeconfig")
        config: JsonObject = yaml.safe_load(base64.b64decode(secret["data"]["value"]))
        return config

    def workload(self, name: str) -> Kube:
        """Return a client of a cluster's own API; it is closed with the fleet."""
        kube = Kube(self.kubeconfig(name))
        self._workloads.append(kube)
        return kube

    def delete(self, names: Iterable[str], timeout_s: float = 120) -> None:
        """Delete clusters and wait until nothing of them is left."""
        gone = list(names)
        for name in gone:
            self.kube.delete("Cluster", self.namespace, name)
        wait_until(
            lambda: [left for name in gone for left in self.remains(name)],
            timeout_s,
            f"nothing left of {', '.join(gone)}",
        )

    def remains(self, name: str) -> list[str]:
        """Name every object that still belongs to a cluster, and its contents."""
        labels = f"{CLUSTER_LABEL}={name}"
        objects = [
            f"{kind}/{item['metadata']['name']}"
            for kind in (*_OWNED, *self._infrastructure())
            for item in self.kube.list(kind, self.namespace, labels=labels)
        ]
        held = self.provider.holds(self.namespace, name)
        return [*objects, *([f"contents of {name}"] if held else [])]

    def close(self) -> None:
        """Delete the namespace and all that a failed test left in it."""
        for kube in self._workloads:
            kube.close()
        self.provider.check_alive()
        for cluster in self.kube.list("Cluster", self.namespace):
            self.kube.patch(
                "Cluster", self.namespace, cluster["metadata"]["name"], {"spec": {"paused": False}}
            )
            self.kube.delete("Cluster", self.namespace, cluster["metadata"]["name"])
        wait_until(
            lambda: [c["metadata"]["name"] for c in self.kube.list("Cluster", self.namespace)],
            120,
            f"clusters of {self.namespace} deleted",
        )
        self.kube.delete("Namespace", "", self.namespace)

    def dump(self, folder: Path) -> None:
        """Write every object of the namespace that a person would ask for, a file a kind."""
        folder.mkdir(parents=True, exist_ok=True)
        classes = ("ClusterClass", "MachineHealthCheck", "Event")
        for kind in (*_OWNED, *self._infrastructure(), *classes):
            items = self.kube.list(kind, self.namespace)
            if kind == "Secret":
                items = [{**item, "data": sorted(item.get("data") or {})} for item in items]
            (folder / f"{kind}.yaml").write_text(yaml.safe_dump_all(items))

    def _infrastructure(self) -> tuple[str, ...]:
        is_dev = self.provider.name == "go" and self.line != "1.7"
        return _OWNED_DEV if is_dev else _OWNED_INFRASTRUCTURE

    def _unlike(self, document: JsonObject) -> list[str]:
        return unsettled(document, _REQUIRED[self.line][document["kind"]])

    def _replica_gaps(
        self, kind: str, name: str, items: list[JsonObject], count: int, version: str
    ) -> list[str]:
        if not items:
            return [f"{kind} of {name}: absent"] if count else []
        [item] = items
        left = self._unlike(item)
        status = item.get("status", {})
        up_to_date = "updatedReplicas" if self.line == "1.7" else "upToDateReplicas"
        for counter in ("replicas", "readyReplicas", up_to_date):
            if status.get(counter, 0) != count:
                left.append(f"{kind} of {name}: {counter} {status.get(counter, 0)}, not {count}")
        if kind == "KubeadmControlPlane" and status.get("version") != version:
            left.append(f"{kind} of {name}: version {status.get('version')}, not {version}")
        if status.get("observedGeneration") != item["metadata"]["generation"]:
            left.append(f"{kind} of {name}: not observed yet")
        return left

    def _machine_gaps(self, machine: JsonObject, version: str) -> list[str]:
        name, status = machine["metadata"]["name"], machine.get("status", {})
        left = self._unlike(machine)
        if status.get("phase") != "Running":
            left.append(f"Machine/{name}: phase {status.get('phase')}")
        if "deletionTimestamp" in machine["metadata"]:
            left.append(f"Machine/{name}: being deleted")
        if not status.get("nodeRef"):
            left.append(f"Machine/{name}: no node")
        if machine["spec"].get("version") != version:
            left.append(f"Machine/{name}: version {machine['spec'].get('version')}")
        return left


def cluster_document(name: str) -> JsonObject:
    """Return a Cluster without topology or references."""
    return {
        "apiVersion": "cluster.x-k8s.io/v1beta1",
        "kind": "Cluster",
        "metadata": {"name": name},
        "spec": {
            "clusterNetwork": {
                "services": {"cidrBlocks": ["10.128.0.0/12"]},
                "pods": {"cidrBlocks": ["192.168.0.0/16"]},
                "serviceDomain": "cluster.local",
            }
        },
    }


def listening(host: str, port: int) -> bool:
    """Say whether a connection to `host:port` is accepted."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=2):
        return True
    return False
