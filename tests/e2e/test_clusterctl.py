"""What a person does with clusterctl: the real program, CAPIM's release, management clusters of their own.

`clusterctl init` creates everything there; no node runs what it created, so the managers run as local
processes after it (see `clusterctl.py`). What needs a kubelet or cert-manager's pods is not shown:
`init --wait-providers`, and the injection of certificates into webhooks.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest
import urllib3
import yaml

from tests.e2e import build, kubelet, manifests, ports
from tests.e2e.clusterctl import CAPIM, VERSION, Answer, InitializedCluster, Repository
from tests.e2e.fleet import VERSIONS, Fleet, listening
from tests.e2e.kube import wait_until
from tests.e2e.processes import Process
from tests.e2e.provider import CapimProvider, capim_command
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
_DEPLOYMENT: Final = "/apis/apps/v1/namespaces/capim-system/deployments/capim-controller-manager"
#: of the manager in a pod
_DEBUG_PORT: Final = 19000
#: a right that is not used here: when something is told of an object again
_FOR_OTHER_DAYS: Final = {
    ("/events", "patch"),
    # a machine of a pool that is given up before its Machine is made
    ("infrastructure.cluster.x-k8s.io/inmemorymachines", "delete"),
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


@pytest.fixture
def pod(management: Management) -> Iterator[str]:
    """Let the source's Deployment have a pod, whose process is the one that runs here."""
    capim, kube = management.capim, management.source.kube
    deployment = kube.request("GET", _DEPLOYMENT)

    def here(port: int) -> int:
        return capim.debug_port if port == _DEBUG_PORT else port

    with kubelet.pod_of(kube, deployment, ports=here, logs=capim.log.read_bytes) as name:
        yield name


@pytest.mark.usefixtures("clusters", "pod")
def test_the_recipe_to_reach_a_cluster(management: Management, tmp_path: Path) -> None:
    """Two terminals: a port-forward to the Deployment, and kubectl with clusterctl's kubeconfig.

    Its own number is the cluster's here, so the forward listens on another; in front of the process is a
    simulated kubelet.
    """
    config = tmp_path / "kubeconfig"
    config.write_text(management.clusterctl("get", "kubeconfig", "classy").out)
    _, port = management.fleet.endpoint("classy")
    [local] = ports.free_ports(1)
    command = ["port-forward", "-n", "capim-system", "deployments/capim-controller-manager"]
    forward = Process.start(
        "recipe",
        ["kubectl", f"--kubeconfig={management.source.kubeconfig}", *command, f"{local}:{port}"],
        folder=tmp_path,
    )
    try:
        wait_until(lambda: _silent(forward, local), 30, "the forward")
        server = f"--server=https://127.0.0.1:{local}"
        lines = _kubectl("get", "nodes", "--no-headers", server, config=config).splitlines()
    finally:
        forward.stop()
    assert [line.split()[1] for line in lines] == ["Ready", "Ready"]


def _silent(forward: Process, port: int) -> list[str]:
    forward.check_alive()
    return [] if listening("127.0.0.1", port) else [forward.tail()]


@pytest.mark.usefixtures("clusters")
def test_the_commands_for_people(management: Management, pod: str, tmp_path: Path) -> None:
    """What a person sees of an installation that runs in a pod: found, reached and read by its API."""
    shards = _capim(management, "get", "shards").out.splitlines()
    assert [line.split()[:2] for line in shards[1:]] == [["worker-0", "True"], ["worker-1", "True"]]
    listed = _capim(management, "get", "clusters", "-A", "--no-headers").out.splitlines()
    assert [line.split()[2] for line in listed] == ["Provisioned"] * 3
    assert _capim(management, "status").code == 0
    config = str(tmp_path / "kubeconfig")
    merged = _capim(management, "kubeconfig", "default/classy", f"--file={config}")
    assert merged.out.startswith(f'Context "default/classy" is in {config}.')
    nodes = ("--", "kubectl", "get", "nodes", "--no-headers")
    inside = _capim(management, "kubeconfig", "default/classy", "--port-forward", *nodes)
    assert len(inside.out.splitlines()) == 2, inside
    logs = _capim(management, "logs", "default/plain").out
    assert "cluster placed" in logs
    assert "default/classy" not in logs
    found = json.loads(_capim(management, "doctor", "-o", "json").out)["findings"]
    # the managers of Cluster API have no pods here
    wrong = [it for it in found if it["level"] == "error" and it["area"] != "controllers"]
    assert wrong == []
    areas = {it["area"] for it in found}
    assert areas >= {"definitions", "webhooks", "rights", "manager", "shards", "clock"}
    events = management.source.kube.list("Event", "default")
    told = {(it["involvedObject"]["name"], it["reason"]) for it in events}
    assert {("plain", "Provisioned")} <= told
    assert pod == "capim-controller-manager-0"


def _capim(management: Management, *words: str) -> Answer:
    done = subprocess.run(
        [*capim_command(), *words],
        env={**os.environ, "KUBECONFIG": str(management.source.kubeconfig)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


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
    """CAPIM has run with its service account's rights alone: it missed none and used all it can here.

    For a while it elects a leader, has another host, lets nobody in unasked, a fault is declared, and
    there is a pool; then all is as before.
    """
    flags = ("--leader-elect", "--insecure-diagnostics=false", "--advertise-host=localhost")
    management.capim.restart(flags=flags)
    wait_until(lambda: _served_elsewhere(management, "localhost"), 60, "the other host")
    assert _scraped(management) == 403
    management.capim.restart()
    wait_until(lambda: _served_elsewhere(management, "127.0.0.1"), 60, "the host as before")
    _declare_a_fault(management)
    _have_a_pool(management)
    assert "orbidden" not in management.capim.log.read_text()
    used = management.source.used_rights("capim-system:capim-manager")
    granted = {
        right
        for name in ("clusterroles/capim-manager-role", f"{_NAMESPACED}/capim-leader-election-role")
        for rule in management.source.kube.request("GET", f"{_RBAC}/{name}")["rules"]
        for right in _rights(rule)
    }
    assert granted - used <= _FOR_OTHER_DAYS


def _declare_a_fault(management: Management) -> None:
    """Let a cluster be slow, until CAPIM says of the fault that it acts."""
    kube, namespace = management.source.kube, management.fleet.namespace
    path = f"/apis/infrastructure.cluster.x-k8s.io/v1alpha1/namespaces/{namespace}/inmemoryfaults"
    slow = {
        "apiVersion": "infrastructure.cluster.x-k8s.io/v1alpha1",
        "kind": "InMemoryFault",
        "metadata": {"name": "slow", "namespace": namespace},
        "spec": {
            "clusters": {"names": ["classy"]},
            "apiServer": {"effect": "Latency", "latency": "1ms"},
        },
    }
    kube.request("POST", path, slow)

    def acts() -> list[str]:
        phase = kube.request("GET", f"{path}/slow").get("status", {}).get("phase")
        return [] if phase == "Active" else [f"the fault is {phase}"]

    wait_until(acts, 60, "the fault acts")
    kube.request("DELETE", f"{path}/slow")


def _have_a_pool(management: Management) -> None:
    """Let a cluster have a pool of two machines, then of one, and a template that says what its have."""
    kube, namespace = management.source.kube, management.fleet.namespace
    infrastructure = {"apiVersion": "infrastructure.cluster.x-k8s.io/v1alpha1"}
    named = {"metadata": {"name": "pooled", "namespace": namespace}}
    spec = {"behaviour": {"node": {"capacity": {"cpu": "4"}}}}
    template = {**infrastructure, "kind": "InMemoryMachineTemplate", **named}
    kube.create({**template, "spec": {"template": {"spec": spec}}}, namespace)
    pool = {**infrastructure, "kind": "InMemoryMachinePool", **named}
    kube.create({**pool, "spec": {"template": {}}}, namespace)
    machine = {
        "clusterName": "plain",
        "bootstrap": {"dataSecretName": "pooled"},
        "infrastructureRef": {**infrastructure, "kind": "InMemoryMachinePool", "name": "pooled"},
    }
    owner = {"apiVersion": "cluster.x-k8s.io/v1beta1", "kind": "MachinePool", **named}
    size = {"clusterName": "plain", "replicas": 2, "template": {"spec": machine}}
    kube.create({**owner, "spec": size}, namespace)

    def told() -> list[str]:
        found = kube.get("InMemoryMachineTemplate", namespace, "pooled")
        return [] if found.get("status", {}).get("capacity") else ["the template says nothing"]

    wait_until(told, 60, "the template's capacity")
    wait_until(lambda: _pool_gaps(management, 2), 120, "the pool's machines")
    kube.patch("MachinePool", namespace, "pooled", {"spec": {"replicas": 1}})
    wait_until(lambda: _pool_gaps(management, 1), 60, "the smaller pool")
    kube.delete("MachinePool", namespace, "pooled")
    wait_until(lambda: _pool_gaps(management, 0), 60, "the end of the pool")


def _pool_gaps(management: Management, replicas: int) -> list[str]:
    """Say what is not so: this many Machines of the pool, each with its InMemoryMachine."""
    label = "cluster.x-k8s.io/pool-name"
    kinds = ("Machine", "InMemoryMachine")
    counts = {
        kind: len(management.source.kube.list(kind, management.fleet.namespace, labels=label))
        for kind in kinds
    }
    return [f"{count} of kind {kind}" for kind, count in counts.items() if count != replicas]


def _served_elsewhere(management: Management, host: str) -> list[str]:
    """Say which kubeconfigs do not name the host, as clients find it there."""
    servers = {
        name: management.fleet.kubeconfig(name)["clusters"][0]["cluster"]["server"]
        for name in ("classy", "plain")
    }
    return [f"{name}: {it}" for name, it in servers.items() if f"//{host}:" not in it]


def _scraped(management: Management) -> int:
    """Ask for the metrics as the manager's own account, which may not have them; return the code."""
    account = management.source.account_kubeconfig("capim-system", "capim-manager")
    token = yaml.safe_load(account.read_text())["users"][0]["user"]["token"]
    port = management.capim.manager.diagnostics_port
    # the certificate is the process's own, and trusted as it is
    trust = ssl.create_default_context(cadata=ssl.get_server_certificate(("127.0.0.1", port)))
    trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    answer = urllib3.PoolManager(ssl_context=trust).request(
        "GET",
        f"https://localhost:{port}/metrics",
        headers={"Authorization": f"Bearer {token}"},
        retries=False,
        timeout=10,
    )
    return answer.status


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
