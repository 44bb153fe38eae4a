"""What KubeadmControlPlane reads and changes beside Nodes: its pods, kubeadm's objects, the add-ons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.unit.catalogue.site import CONTROL_PLANE, MERGE, PROTOBUF

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from tests.unit.catalogue.site import Site

_SYSTEM = "/api/v1/namespaces/kube-system"
_APPS = "/apis/apps/v1/namespaces/kube-system"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_COREDNS = f"{_APPS}/deployments/coredns"
#: ClusterRoleBinding kubeadm:cluster-admins, as 1.7 was recorded to send it
_CLUSTER_ADMINS = bytes.fromhex(
    "6b3873000a320a1c726261632e617574686f72697a6174696f6e2e6b38732e696f2f7631"
    "1212436c7573746572526f6c6542696e64696e67"
    "1286010a260a166b75626561646d3a636c75737465722d61646d696e7312001a0022002a00320038004200"
    "12230a0547726f757012001a166b75626561646d3a636c75737465722d61646d696e732200"
    "1a370a19726261632e617574686f72697a6174696f6e2e6b38732e696f"
    "120b436c7573746572526f6c651a0d636c75737465722d61646d696e1a002200"
)


def _put(site: Site, path: str, body: JsonObject) -> JsonObject:
    answer = site.send("PUT", f"{path}?timeout=10s", body, content_type=PROTOBUF)
    assert answer.status == 200, answer.body
    return answer.json()


def _container(workload: JsonObject) -> JsonObject:
    [container] = workload["spec"]["template"]["spec"]["containers"]
    found: JsonObject = container
    return found


@pytest.mark.parametrize(
    "component", ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
)
def test_R39_get_a_control_plane_pod(site: Site, component: str) -> None:
    pod = site.get(f"{_SYSTEM}/pods/{component}-{CONTROL_PLANE}")
    assert pod["status"]["phase"] == "Running"
    conditions = {it["type"]: it["status"] for it in pod["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    assert pod["spec"]["nodeName"] == CONTROL_PLANE


def test_R40_get_kubeadm_config(site: Site) -> None:
    found = site.get(f"{_SYSTEM}/configmaps/kubeadm-config")
    configuration = yaml.safe_load(found["data"]["ClusterConfiguration"])
    assert configuration["kind"] == "ClusterConfiguration"
    assert configuration["kubernetesVersion"] == "v1.35.0"
    assert configuration["controlPlaneEndpoint"] == "127.0.0.1:20000"


def test_R41_put_kubeadm_config_locked_by_its_version(site: Site) -> None:
    path = f"{_SYSTEM}/configmaps/kubeadm-config"
    before = site.get(path)
    text = before["data"]["ClusterConfiguration"].replace("v1.35.0", "v1.36.0")
    changed = before | {"data": {"ClusterConfiguration": text}}
    after = _put(site, path, changed)
    assert after["data"] == {"ClusterConfiguration": text}
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    stale = site.send("PUT", path, changed, content_type=PROTOBUF)
    assert (stale.status, stale.json()["reason"]) == (409, "Conflict")


def test_R42_get_kubelet_config(site: Site) -> None:
    found = site.get(f"{_SYSTEM}/configmaps/kubelet-config")
    assert yaml.safe_load(found["data"]["kubelet"])["kind"] == "KubeletConfiguration"


def test_R43_get_kube_proxy(site: Site) -> None:
    image = _container(site.get(f"{_APPS}/daemonsets/kube-proxy"))["image"]
    assert image == "registry.k8s.io/kube-proxy:v1.35.0"


def test_R44_patch_kube_proxy_merge_replaces_its_containers(site: Site) -> None:
    path = f"{_APPS}/daemonsets/kube-proxy"
    before = site.get(path)
    container = _container(before) | {"image": "registry.k8s.io/kube-proxy:v1.36.0"}
    patch = {"spec": {"template": {"spec": {"containers": [container | {"resources": {}}]}}}}
    answer = site.send("PATCH", f"{path}?timeout=10s", patch, content_type=MERGE)
    assert answer.status == 200, answer.body
    after = answer.json()
    assert _container(after)["image"] == container["image"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1


def test_R45_get_coredns(site: Site) -> None:
    image = _container(site.get(_COREDNS))["image"]
    assert image.startswith("registry.k8s.io/coredns/coredns:v1.")
    corefile = site.get(f"{_SYSTEM}/configmaps/coredns")["data"]["Corefile"]
    assert "kubernetes cluster.local" in corefile
    assert corefile.startswith(".:53 {")


def test_R46_put_coredns_corefile_without_a_version(site: Site) -> None:
    path = f"{_SYSTEM}/configmaps/coredns"
    before = site.get(path)
    corefile = before["data"]["Corefile"]
    metadata = {"name": "coredns", "namespace": "kube-system"}
    for text in (corefile, corefile.replace("errors", "errors\n    log")):
        data = {"Corefile": text, "Corefile-backup": corefile}
        body = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": data}
        after = _put(site, path, body)
        assert after["data"] == data
        assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_R47_patch_coredns_merge_changes_volume_then_image(site: Site) -> None:
    backup = _volume("Corefile-backup")
    assert _merge_coredns(site, {"volumes": [backup]})["spec"]["template"]["spec"]["volumes"] == [
        backup
    ]
    container = _container(site.get(_COREDNS)) | {
        "image": "registry.k8s.io/coredns/coredns:v1.14.2"
    }
    after = _merge_coredns(site, {"containers": [container], "volumes": [_volume("Corefile")]})
    assert _container(after)["image"] == container["image"]


def _volume(key: str) -> JsonObject:
    items = [{"key": key, "path": "Corefile"}]
    source = {"defaultMode": 420, "items": items, "name": "coredns"}
    return {"configMap": source, "name": "config-volume"}


def _merge_coredns(site: Site, spec: JsonObject) -> JsonObject:
    patch = {"spec": {"template": {"spec": spec}}}
    answer = site.send("PATCH", f"{_COREDNS}?timeout=10s", patch, content_type=MERGE)
    assert answer.status == 200, answer.body
    return answer.json()


def test_R48_post_cluster_role_binding_once(site: Site) -> None:
    path = f"{_RBAC}/clusterrolebindings"
    # there from the start since kubeadm makes it; a cluster begun before 1.29 lacks it
    site.send("DELETE", f"{path}/kubeadm:cluster-admins")
    first = site.send("POST", f"{path}?timeout=10s", _CLUSTER_ADMINS, content_type=PROTOBUF)
    assert (first.status, first.json()["roleRef"]["name"]) == (201, "cluster-admin")
    assert first.json()["subjects"][0]["name"] == "kubeadm:cluster-admins"
    again = site.send("POST", f"{path}?timeout=10s", _CLUSTER_ADMINS, content_type=PROTOBUF)
    assert (again.status, again.json()["reason"]) == (409, "AlreadyExists")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("clusterroles", {"kind": "ClusterRole", "rules": []}),
        ("namespaces/kube-system/roles", {"kind": "Role", "rules": []}),
        (
            "namespaces/kube-system/rolebindings",
            {
                "kind": "RoleBinding",
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "Role",
                    "name": "new",
                },
            },
        ),
    ],
    ids=["clusterroles", "roles", "rolebindings"],
)
def test_R49_post_rbac_of_an_upgrade(site: Site, path: str, body: dict[str, Any]) -> None:
    body = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "new"}} | body
    answer = site.send("POST", f"{_RBAC}/{path}?timeout=10s", body, content_type=PROTOBUF)
    assert (answer.status, answer.json()["kind"]) == (201, body["kind"])
    again = site.send("POST", f"{_RBAC}/{path}?timeout=10s", body, content_type=PROTOBUF)
    assert (again.status, again.json()["reason"]) == (409, "AlreadyExists")
