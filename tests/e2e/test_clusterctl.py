"""What a person does with clusterctl: the real program, CAPIM's release, management clusters of their own.

`clusterctl init` creates everything there; no node runs what it created, so the managers run as local
processes after it (see `clusterctl.py`). What needs a kubelet or cert-manager's pods is not shown:
`init --wait-providers`, and the injection of certificates into webhooks.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from tests.e2e import build, manifests
from tests.e2e.clusterctl import CAPIM, VERSION, Answer, InitializedCluster, Repository
from tests.e2e.fleet import VERSIONS, Fleet
from tests.e2e.kube import wait_until
from tests.e2e.provider import CapimProvider
from tools import release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.kube import JsonObject

_INIT: Final = ("init", "--infrastructure=in-memory")
#: name of a cluster -> its flavor, none for the template without a class
_FLAVORS: Final = {
    "classy": "in-memory-development",
    "plain": "",
    "many": "in-memory-many-machine-deployments",
}
_RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
_NAMESPACED: Final = "namespaces/capim-system/roles"
#: rights that are not used here: when the advertised host has changed, with --leader-elect, and when
#: somebody asks the diagnostics endpoint
_FOR_OTHER_DAYS: Final = {
    ("/secrets", "get"),
    ("/secrets", "patch"),
    ("coordination.k8s.io/leases", "update"),
    ("authentication.k8s.io/tokenreviews", "create"),
    ("authorization.k8s.io/subjectaccessreviews", "create"),
}


@dataclass
class Management:
    """Two management clusters that clusterctl has initialized; the source works."""

    source: InitializedCluster
    target: InitializedCluster
    repository: Repository
    inits: tuple[Answer, Answer]
    capim: CapimProvider

    @property
    def fleet(self) -> Fleet:
        """The clusters of the source's default namespace."""
        return Fleet(self.source.kube, self.source.line, "default", self.capim)

    def clusterctl(self, *arguments: str) -> Answer:
        """Run clusterctl against the source."""
        return self.repository.run(*arguments, kubeconfig=self.source.kubeconfig)

    def generate(self, name: str, *arguments: str) -> Answer:
        """Run `clusterctl generate cluster` for a flavor of `_FLAVORS`."""
        flavor = [f"--flavor={_FLAVORS[name]}"] if _FLAVORS[name] else []
        return self.clusterctl("generate", "cluster", name, *flavor, *arguments)


@pytest.fixture(scope="module")
def management(line: str, request: pytest.FixtureRequest) -> Iterator[Management]:
    """Run `clusterctl init` on two clusters at once, and the source's managers."""
    if request.config.getoption("--provider") != "capim":
        pytest.skip("about CAPIM alone")
    folder = build.CHECKOUT / ".e2e" / "runs" / time.strftime(f"%Y%m%d-%H%M%S-clusterctl-{line}")
    failed_before = request.session.testsfailed
    clusters: list[InitializedCluster] = []
    try:
        source = InitializedCluster.begin(line, folder / "source")
        clusters.append(source)
        target = InitializedCluster.begin(line, folder / "target")
        clusters.append(target)
        repository = Repository.create(source, folder / "repository")
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(
                lambda cluster: repository.run(*_INIT, kubeconfig=cluster.kubeconfig), clusters
            )
        yield Management(source, target, repository, (first, second), source.run_pods())
    finally:
        for cluster in clusters:
            cluster.stop()
        if request.session.testsfailed == failed_before:
            shutil.rmtree(folder)


@pytest.fixture(scope="module")
def clusters(management: Management) -> dict[str, Answer]:
    """Apply one cluster of each flavor and wait until they run; returns what clusterctl printed."""
    options = (
        f"--kubernetes-version={VERSIONS[management.source.line][0]}",
        "--control-plane-machine-count=1",
        "--worker-machine-count=1",
    )
    # on its own, for the move takes a namespace's clusters, and one shows what there is to see
    many = Fleet(management.source.kube, management.source.line, "many", management.capim)
    many.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "many"}})
    answers = {
        name: management.generate(name, *options, f"--target-namespace={namespace}")
        for name, namespace in zip(_FLAVORS, ("default", "default", "many"), strict=True)
    }
    for answer in answers.values():
        assert answer.code == 0, answer.err
        # a person waits for the delays, a test need not
        documents = manifests.without_delays(answer.documents)
        _kubectl("apply", "-f", "-", config=management.source.kubeconfig, documents=documents)
    fleet = management.fleet
    fleet.wait_running(["classy", "plain"], fleet.size(1, 1))
    wait_until(lambda: _not_running(many, "many", 11), 120, "ten MachineDeployments")
    return answers


def _not_running(fleet: Fleet, name: str, count: int) -> list[str]:
    phases = [machine.get("status", {}).get("phase") for machine in fleet.machines(name)]
    left = [f"a machine is {phase}" for phase in phases if phase != "Running"]
    return left if len(phases) == count else [*left, f"{len(phases)} machines, not {count}"]


def _kubectl(*arguments: str, config: Path, documents: list[JsonObject] | None = None) -> str:
    done = subprocess.run(
        ["kubectl", f"--kubeconfig={config}", *arguments],
        input=yaml.safe_dump_all(documents or []),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_init(management: Management) -> None:
    """CAPIM is installed beside Cluster API's providers, with the inventory entry that clusterctl keeps."""
    for cluster, answer in zip(
        (management.source, management.target), management.inits, strict=True
    ):
        assert answer.code == 0, answer.err
        said = answer.out + answer.err
        assert "Skipping installing cert-manager as it is already" in said
        # 1.7 writes the fields with a capital, 1.14 without
        installing = (
            f'installing provider="{CAPIM}" version="{VERSION}" targetnamespace="capim-system"'
        )
        assert installing in said.lower(), said
        assert "Your management cluster has been initialized successfully!" in said
        path = "/apis/clusterctl.cluster.x-k8s.io/v1alpha3/namespaces/capim-system/providers"
        entry = cluster.kube.request("GET", f"{path}/{CAPIM}")
        assert (entry["providerName"], entry["version"]) == ("in-memory", VERSION)


def test_generate_provider(management: Management) -> None:
    """The components are printed as they are installed: labelled, and nothing left to fill in."""
    answer = management.repository.run("generate", "provider", "--infrastructure=in-memory")
    assert answer.code == 0, answer.err
    assert "${" not in answer.out
    documents = answer.documents
    assert "Deployment" in {document["kind"] for document in documents}
    for document in documents:
        labels = document["metadata"]["labels"]
        assert labels["cluster.x-k8s.io/provider"] == CAPIM
        assert labels["clusterctl.cluster.x-k8s.io"] == ""


def test_generate_cluster(clusters: dict[str, Answer]) -> None:
    """Each flavor came up. The class travels with the first cluster of it."""
    kinds = {name: {doc["kind"] for doc in answer.documents} for name, answer in clusters.items()}
    assert "ClusterClass" in kinds["classy"]
    assert "ClusterClass" not in kinds["plain"]


def test_generate_cluster_says_what_is_missing(management: Management) -> None:
    """A variable without default and value is an error with its name; the others are listed."""
    answer = management.generate("plain")
    assert answer.code == 1
    assert "value for variables [KUBERNETES_VERSION] is not set" in answer.err
    listed = management.generate("plain", "--list-variables")
    assert listed.code == 0, listed.err
    for name in ("KUBERNETES_VERSION", "SERVICE_CIDR", "POD_CIDR", "SERVICE_DOMAIN"):
        assert name in listed.out + listed.err


@pytest.mark.usefixtures("clusters")
def test_get_kubeconfig(management: Management, tmp_path: Path) -> None:
    """The kubeconfig opens the cluster's own API to kubectl."""
    answer = management.clusterctl("get", "kubeconfig", "classy")
    assert answer.code == 0, answer.err
    config = tmp_path / "kubeconfig"
    config.write_text(answer.out)
    lines = _kubectl("get", "nodes", "--no-headers", config=config).splitlines()
    assert len(lines) == 2
    assert all(line.split()[1] == "Ready" for line in lines)
    absent = management.clusterctl("get", "kubeconfig", "nobody")
    assert absent.code == 1
    assert '"nobody-kubeconfig" not found' in absent.err


@pytest.mark.usefixtures("clusters")
def test_describe_cluster(management: Management) -> None:
    """The tree shows our cluster below the one that it belongs to."""
    answer = management.clusterctl("describe", "cluster", "plain", "--echo")
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    # 1.7 writes Kind/name, 1.14 Kind namespace/name
    assert [line for line in lines if re.search("InMemoryCluster[ /].*plain.* True ", line)], lines


@pytest.mark.usefixtures("clusters")
def test_the_service_accounts_rights_are_enough_and_few(management: Management) -> None:
    """CAPIM has run with its service account's rights alone: it missed none and used almost all."""
    assert "orbidden" not in management.capim.log.read_text()
    used = management.source.used_rights("capim-system:capim-manager")
    granted = {
        right
        for name in ("clusterroles/capim-manager-role", f"{_NAMESPACED}/capim-leader-election-role")
        for rule in management.source.kube.request("GET", f"{_RBAC}/{name}")["rules"]
        for right in _rights(rule)
    }
    assert granted - used <= _FOR_OTHER_DAYS


def _rights(rule: JsonObject) -> Iterator[tuple[str, str]]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                yield f"{group}/{resource}", verb


@pytest.mark.parametrize("overlay", ["single", "scale-out", "development"])
def test_overlays_are_taken(management: Management, overlay: str, tmp_path: Path) -> None:
    """An API server takes each overlay, monitored, and its pods in a namespace for restricted ones."""
    folder = build.CHECKOUT / "deploy"
    spec = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(folder / "overlays" / overlay, tmp_path)],
        "components": [os.path.relpath(folder / "components" / "prometheus", tmp_path)],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(spec))
    documents = manifests.load(release.build(tmp_path))
    dry = ("--dry-run=server", "--validate=strict", "-f", "-")
    config = management.target.kubeconfig
    said = _kubectl(
        "apply", "--server-side", "--force-conflicts", *dry, config=config, documents=documents
    )
    assert len(said.splitlines()) == len(documents)
    pods = [_pod(item) for item in documents if item["kind"] in {"Deployment", "StatefulSet"}]
    _kubectl("create", *dry, config=config, documents=pods)
    pods[0]["spec"]["securityContext"]["runAsNonRoot"] = False
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        _kubectl("create", *dry, config=config, documents=pods[:1])


def _pod(workload: JsonObject) -> JsonObject:
    template = workload["spec"]["template"]
    # the claim's volume is what a StatefulSet adds
    claims = workload["spec"].get("volumeClaimTemplates", [])
    spec = {
        **template["spec"],
        "volumes": template["spec"]["volumes"]
        + [{"name": it["metadata"]["name"], "emptyDir": {}} for it in claims],
    }
    name = {"name": workload["metadata"]["name"], "namespace": "capim-system"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": name, "spec": spec}


@pytest.mark.usefixtures("clusters")
def test_move(management: Management) -> None:
    """What survives a move: machines, nodes' names, endpoint and certificates. Contents are made anew."""
    names = ["classy", "plain"]
    before = {name: _kept(management.fleet, name) for name in names}
    # while Cluster API makes a managed topology, a Secret that is gone soon owns parts of it as well; as long
    # as the collector has not taken it off, clusterctl silently leaves them behind, and then they are lost
    wait_until(lambda: _other_owners(management.source), 90, "owners that are their Clusters alone")
    # on one host both installations must mean the same ports
    provider = management.target.run_pods(management.capim.ports)
    answer = management.clusterctl("move", f"--to-kubeconfig={management.target.kubeconfig}")
    assert answer.code == 0, answer.err
    assert "Creating objects in the target cluster" in answer.out + answer.err
    wait_until(lambda: _left(management.source), 90, "nothing left at the source")
    fleet = Fleet(management.target.kube, management.target.line, "default", provider)
    fleet.wait_running(names, fleet.size(1, 1))
    assert {name: _kept(fleet, name) for name in names} == before
    provider.stop()


def _other_owners(cluster: InitializedCluster) -> list[str]:
    return [
        f"{item['metadata']['name']} is owned by {owner['kind']} {owner['name']}"
        for kind in ("InMemoryCluster", "KubeadmControlPlane")
        for item in cluster.kube.list(kind, "default")
        for owner in item["metadata"].get("ownerReferences", ())
        if owner["kind"] != "Cluster"
    ]


def _left(cluster: InitializedCluster) -> list[str]:
    kinds = ("Cluster", "Machine", "InMemoryCluster", "InMemoryMachine", "Secret")
    found = [item for kind in kinds for item in cluster.kube.list(kind, "default")]
    return [f"{item['kind']}: {item['metadata']}" for item in found]


def _kept(fleet: Fleet, name: str) -> dict[str, object]:
    secret = fleet.kube.get("Secret", fleet.namespace, f"{name}-ca")
    machines = {
        item["metadata"]["name"]: item["spec"]["providerID"] for item in fleet.machines(name)
    }
    nodes = {node["metadata"]["name"] for node in fleet.workload(name).list("Node")}
    return {
        "endpoint": fleet.endpoint(name),
        "authority": base64.b64decode(secret["data"]["tls.crt"]),
        "machines": machines,
        "nodes": nodes,
    }
