"""What kubelet and kubeadm leave behind, as the controllers that read it want it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from capim.api.gvk import GVK, NamespacedName, split_api_version
from capim.api.kubernetes_versions import LINES
from capim.api.resources import WORKLOAD_RESOURCES
from capim.api.workload import ClusterSpec, KeyPair, MachineSpec
from capim.runtime.manifests import addons, bootstrap, defaults, kubeadm, nodes, pods

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

NOW = 1_700_000_000.0
KEY = NamespacedName("default", "one")
CLUSTER = ClusterSpec(
    KEY, "uid", "10.0.0.1", 20000, "10.0.0.1:20000", ca=KeyPair(b"certificate", b"key")
)


def spec(name: str = "cp-0", *, control_plane: bool = True, **changes: Any) -> MachineSpec:
    fields: dict[str, Any] = {"version": "v1.35.0", "provider_id": f"in-memory://{name}"} | changes
    return MachineSpec(KEY, name, f"uid-of-{name}", control_plane, **fields)


def node(machine: MachineSpec) -> JsonObject:
    return nodes.node(machine, address="172.16.0.9", pod_cidr="192.168.3.0/24", now=NOW)


def everything(version: str = "v1.35.0") -> list[JsonObject]:
    return [
        *bootstrap.objects(),
        *defaults.namespaces(),
        *defaults.bootstrap_objects(CLUSTER.service_cidr, "certificate"),
        *kubeadm.objects(CLUSTER, version),
        *addons.objects(CLUSTER, version),
    ]


def find(kind: str, name: str, version: str = "v1.35.0") -> JsonObject:
    return next(
        body
        for body in everything(version)
        if (body["kind"], body["metadata"]["name"]) == (kind, name)
    )


def test_control_plane_node_is_labelled_tainted_and_healthy() -> None:
    made = node(spec(failure_domain="zone-a"))
    labels = made["metadata"]["labels"]
    assert labels["node-role.kubernetes.io/control-plane"] == ""
    assert labels["kubernetes.io/hostname"] == "cp-0"
    assert labels["topology.kubernetes.io/zone"] == "zone-a"
    taint = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    assert made["spec"]["taints"] == [taint]
    assert made["spec"]["providerID"] == "in-memory://cp-0"
    assert made["status"]["nodeInfo"]["kubeletVersion"] == "v1.35.0"
    assert [(each["type"], each["status"]) for each in made["status"]["conditions"]] == [
        ("MemoryPressure", "False"),
        ("DiskPressure", "False"),
        ("PIDPressure", "False"),
        ("NetworkUnavailable", "False"),
        ("Ready", "True"),
    ]
    assert all(
        each["reason"] and each["lastHeartbeatTime"] for each in made["status"]["conditions"]
    )


def test_worker_node_has_neither_taint_nor_role_nor_zone() -> None:
    made = node(spec("worker-0", control_plane=False))
    assert "taints" not in made["spec"]
    assert not [label for label in made["metadata"]["labels"] if "role" in label or "zone" in label]


def test_nodes_do_not_share_what_a_writer_could_change() -> None:
    first, second = node(spec()), node(spec())
    first["status"]["capacity"]["cpu"] = "64"
    assert second["status"]["capacity"]["cpu"] == "4"


def test_lease_belongs_to_its_node() -> None:
    lease = nodes.lease({"metadata": {"name": "cp-0", "uid": "node-uid"}}, now=NOW)
    assert lease["metadata"]["ownerReferences"][0]["uid"] == "node-uid"
    assert lease["spec"]["renewTime"] == "2023-11-14T22:13:20.000000Z"


@pytest.mark.parametrize("component", pods.COMPONENTS)
def test_mirror_pod_is_static_ready_and_owned_by_its_node(component: str) -> None:
    pod = pods.mirror_pod(component, CLUSTER, spec(), "node-uid", address="172.16.0.9", now=NOW)
    metadata = pod["metadata"]
    assert metadata["name"] == f"{component}-cp-0"
    assert metadata["labels"] == {"component": component, "tier": "control-plane"}
    annotations = metadata["annotations"]
    # drain spares a pod that has this one
    assert annotations["kubernetes.io/config.mirror"] == annotations["kubernetes.io/config.hash"]
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Node", "node-uid", True)
    conditions = {each["type"]: each["status"] for each in pod["status"]["conditions"]}
    assert conditions.keys() >= {"Ready", "Initialized", "ContainersReady", "PodScheduled"}
    assert set(conditions.values()) == {"True"}
    assert pod["status"]["containerStatuses"][0]["image"] == pod["spec"]["containers"][0]["image"]


def test_images_are_of_the_machines_version() -> None:
    assert pods.image("kube-apiserver", "1.29.2") == "registry.k8s.io/kube-apiserver:v1.29.2"
    assert pods.image("kube-scheduler", "v1.33.1+k3s.1").endswith("kube-scheduler:v1.33.1_k3s.1")
    assert pods.image("etcd", "v1.29.2") == "registry.k8s.io/etcd:3.5.16-0"


def test_api_server_names_its_port() -> None:
    pod = pods.mirror_pod(
        pods.API_SERVER, CLUSTER, spec(), "node-uid", address="172.16.0.9", now=NOW
    )
    command = pod["spec"]["containers"][0]["command"]
    assert command[0] == "kube-apiserver"
    assert "--secure-port=6443" in command
    assert "--service-cluster-ip-range=10.128.0.0/12" in command


@pytest.mark.parametrize(
    ("version", "api_version"),
    [("v1.30.1", "kubeadm.k8s.io/v1beta3"), ("v1.31.0", "kubeadm.k8s.io/v1beta4")],
)
def test_kubeadm_config_is_a_cluster_configuration(version: str, api_version: str) -> None:
    data = find("ConfigMap", "kubeadm-config", version)["data"]
    configuration = yaml.safe_load(data["ClusterConfiguration"])
    assert configuration["apiVersion"] == api_version
    assert configuration["kind"] == "ClusterConfiguration"
    assert configuration["kubernetesVersion"] == version
    assert configuration["clusterName"] == "one"
    assert configuration["controlPlaneEndpoint"] == "10.0.0.1:20000"
    assert configuration["etcd"] == {"local": {"dataDir": "/var/lib/etcd"}}
    assert configuration["networking"]["podSubnet"] == "192.168.0.0/16"
    assert ("encryptionAlgorithm" in configuration) is api_version.endswith("v1beta4")


def test_cluster_info_tells_joining_machines_whom_to_trust() -> None:
    config = yaml.safe_load(find("ConfigMap", "cluster-info")["data"]["kubeconfig"])
    cluster = config["clusters"][0]["cluster"]
    assert cluster["server"] == "https://10.0.0.1:20000"
    assert cluster["certificate-authority-data"] == "Y2VydGlmaWNhdGU="


def test_coredns_is_what_kubeadm_control_plane_migrates() -> None:
    pod = find("Deployment", "coredns", "v1.34.0")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["name"] == "coredns"
    assert container["image"] == "registry.k8s.io/coredns/coredns:v1.12.1"
    (volume,) = pod["volumes"]
    assert volume["name"] == "config-volume"
    assert volume["configMap"]["name"] == "coredns"
    assert volume["configMap"]["items"] == [{"key": "Corefile", "path": "Corefile"}]
    corefile = find("ConfigMap", "coredns")["data"]["Corefile"]
    assert "kubernetes cluster.local in-addr.arpa ip6.arpa {" in corefile
    assert corefile.count("{") == corefile.count("}")


def test_kube_proxy_is_of_the_clusters_version() -> None:
    (container,) = find("DaemonSet", "kube-proxy", "v1.29.2")["spec"]["template"]["spec"][
        "containers"
    ]
    assert container["image"] == "registry.k8s.io/kube-proxy:v1.29.2"


@pytest.mark.parametrize("version", [line.version for line in LINES])
def test_every_binding_names_a_role_that_is_there(version: str) -> None:
    bodies = everything(version)
    roles = {
        (body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"])
        for body in bodies
        if body["kind"] in {"Role", "ClusterRole"}
    }
    for body in bodies:
        if body["kind"] not in {"RoleBinding", "ClusterRoleBinding"}:
            continue
        kind, name = body["roleRef"]["kind"], body["roleRef"]["name"]
        namespace = body["metadata"].get("namespace", "") if kind == "Role" else ""
        assert (kind, namespace, name) in roles


def test_cluster_admins_are_bound_from_1_29_on() -> None:
    def names(version: str) -> list[str]:
        return [body["metadata"]["name"] for body in kubeadm.objects(CLUSTER, version)]

    assert "kubeadm:cluster-admins" in names("v1.29.0")
    assert "kubeadm:cluster-admins" not in names("v1.28.0")


@pytest.mark.parametrize("version", [line.version for line in LINES])
def test_every_object_is_of_a_served_kind_in_its_scope_and_named_once(version: str) -> None:
    seen = set()
    for body in everything(version):
        kind = GVK(*split_api_version(body["apiVersion"]), body["kind"])
        resource = WORKLOAD_RESOURCES.by_gvk(kind)
        assert resource is not None, kind
        namespace = body["metadata"].get("namespace", "")
        assert bool(namespace) is resource.namespaced
        key = (kind, namespace, body["metadata"]["name"])
        assert key not in seen
        seen.add(key)


def test_roles_that_bindings_name_exist() -> None:
    bodies = everything()
    roles = {
        (body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"])
        for body in bodies
        if body["kind"] in {"Role", "ClusterRole"}
    }
    for body in bodies:
        reference = body.get("roleRef")
        if reference is None or reference["name"].startswith("system:"):
            continue
        namespace = body["metadata"].get("namespace", "") if reference["kind"] == "Role" else ""
        assert (reference["kind"], namespace, reference["name"]) in roles
