"""The overlays and components: what each adds, that its parts fit together, and that pods stay unprivileged.

Each check runs on the documents as `assemble` puts them together and, where kubectl is installed, as
kustomize does. Not in scope: whether an API server takes them (the end-to-end tests ask one).
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from capim.server import metrics as served
from coordinator.diagnostics import Metrics
from coordinator.fleetmetrics import FleetMetrics
from coordinator.options import parse
from tests.unit.deploy.assemble import DEPLOY, assembled, kustomization
from workers.journalmetrics import JournalMetrics
from workers.shardmetrics import ShardMetrics

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from capim.api.meta import JsonObject

OVERLAYS = ("single", "scale-out", "development")
LABEL = {"cluster.x-k8s.io/provider": "infrastructure-in-memory"}


@functools.cache
def built(overlay: str) -> tuple[JsonObject, ...]:
    command = ["kubectl", "kustomize", str(DEPLOY / "overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


@functools.cache
def written(overlay: str) -> tuple[JsonObject, ...]:
    return tuple(assembled(DEPLOY / "overlays" / overlay))


SOURCES = {"written": written, **({"built": built} if shutil.which("kubectl") else {})}


@pytest.fixture(params=sorted(SOURCES))
def source(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def names(documents: tuple[JsonObject, ...]) -> set[tuple[str, str]]:
    return {(document["kind"], document["metadata"]["name"]) for document in documents}


def pod_of(documents: tuple[JsonObject, ...], kind: str = "Deployment") -> JsonObject:
    (workload,) = (document for document in documents if document["kind"] == kind)
    return dict(workload["spec"]["template"]["spec"])


def arguments(documents: tuple[JsonObject, ...]) -> list[str]:
    (container,) = pod_of(documents)["containers"]
    return list(container["args"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_is_left_to_fill_in(source: str, overlay: str) -> None:
    documents = SOURCES[source](overlay)
    assert "${" not in yaml.safe_dump(pod_of(documents))
    assert arguments(documents)[:3] == [
        "--leader-elect",
        "--diagnostics-address=:8443",
        "--insecure-diagnostics=false",
    ]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_manager_takes_the_arguments(source: str, overlay: str) -> None:
    host = "--advertise-host=$(ADVERTISED_SERVICE).$(POD_NAMESPACE).svc"
    given = arguments(SOURCES[source](overlay))
    options = parse(["--advertise-host=h" if it == host else it for it in given], {})
    assert options.leader_elect


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_fit_the_restricted_standard_and_mount_what_they_have(
    source: str, overlay: str
) -> None:
    documents = SOURCES[source](overlay)
    for workload in documents:
        if workload["kind"] not in {"Deployment", "StatefulSet"}:
            continue
        pod = workload["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["readOnlyRootFilesystem"] is True
        claims = workload["spec"].get("volumeClaimTemplates", [])
        volumes = {it["name"] for it in pod["volumes"]} | {it["metadata"]["name"] for it in claims}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def test_one_pod_keeps_its_clusters_on_a_volume(source: str) -> None:
    documents = SOURCES[source]("single")
    pod = pod_of(documents)
    (claimed,) = (it for it in pod["volumes"] if "persistentVolumeClaim" in it)
    claim = claimed["persistentVolumeClaim"]["claimName"]
    assert ("PersistentVolumeClaim", claim) in names(documents)
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    options = parse(["--advertise-host=h", arguments(documents)[-1]], {})
    assert str(options.state_dir).startswith(mounts[claimed["name"]] + "/")
    # the volume belongs to the group that the process is in
    assert pod["securityContext"]["fsGroup"] == container["securityContext"]["runAsGroup"]


def test_without_webhooks_nothing_asks_for_cert_manager(source: str) -> None:
    documents = SOURCES[source]("development")
    kinds = {document["kind"] for document in documents}
    assert not kinds & {
        "Issuer",
        "Certificate",
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    }
    assert ("Service", "capim-webhook-service") not in names(documents)
    pod = pod_of(documents)
    assert [volume["name"] for volume in pod["volumes"]] == ["runtime"]
    (container,) = pod["containers"]
    assert [port["name"] for port in container["ports"]] == ["healthz", "metrics"]
    assert "--webhook-port=0" in container["args"]


def test_workers_are_where_the_coordinator_looks_for_them(source: str) -> None:
    documents = SOURCES[source]("scale-out")
    (workers,) = (document for document in documents if document["kind"] == "StatefulSet")
    service = workers["spec"]["serviceName"]
    given = [it for it in arguments(documents) if it.startswith("--remote-workers")]
    hosts = dict(
        parse(
            ["--advertise-host=h", "--worker-keys=k", "--worker-listen=tcp://*:1", *given], {}
        ).remote_workers
    )
    assert hosts == {
        f"capim-worker-{index}": f"capim-worker-{index}.{service}.capim-system.svc"
        for index in range(workers["spec"]["replicas"])
    }
    selectors = {
        document["metadata"]["name"]: document["spec"]["selector"]
        for document in documents
        if document["kind"] == "Service"
    }
    labels = workers["spec"]["template"]["metadata"]["labels"]
    assert selectors[service].items() <= labels.items()
    # what reaches the manager must not reach a worker
    others = {name for name in selectors if name != service}
    assert [name for name in others if selectors[name].items() <= labels.items()] == []


def test_workers_find_the_coordinator(source: str) -> None:
    documents = SOURCES[source]("scale-out")
    (container,) = pod_of(documents, "StatefulSet")["containers"]
    flags = dict(argument.split("=", 1) for argument in container["args"])
    (service,) = (it for it in documents if it["metadata"]["name"] == "capim-coordinator")
    (port,) = service["spec"]["ports"]
    assert flags["--connect"] == f"tcp://capim-coordinator.capim-system.svc:{port['port']}"
    (manager,) = pod_of(documents)["containers"]
    ports = {it["name"]: it["containerPort"] for it in manager["ports"]}
    assert f"--worker-listen=tcp://*:{ports[port['targetPort']]}" in manager["args"]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    for flag in ("--runtime-dir", "--state-dir"):
        # a folder of its own in the volume: the process makes it private, which the volume's owner alone may
        assert flags[flag].rpartition("/")[0] in mounts
    assert flags["--keys"] in mounts


def test_keys_are_never_part_of_the_manifests(source: str) -> None:
    documents = SOURCES[source]("scale-out")
    assert "Secret" not in {document["kind"] for document in documents}
    secrets = {
        kind: [
            it["secret"]["secretName"]
            for it in pod_of(documents, kind)["volumes"]
            if it["name"] == "keys"
        ]
        for kind in ("Deployment", "StatefulSet")
    }
    assert secrets == {
        "Deployment": ["capim-coordinator-keys"],
        "StatefulSet": ["capim-worker-keys"],
    }


def test_prometheus_scrapes_the_manager_with_a_right_to_it() -> None:
    folder = DEPLOY / "components" / "prometheus"
    documents = [
        document
        for name in kustomization(folder)["resources"]
        for document in yaml.safe_load_all((folder / name).read_text("utf-8"))
    ]
    found = {document["kind"]: document for document in documents}
    service, monitor = found["Service"], found["ServiceMonitor"]
    assert (
        monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    )
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert found["ClusterRole"]["rules"] == [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]
    (group,) = found["PrometheusRule"]["spec"]["groups"]
    assert all("expr" in rule and ("alert" in rule or "record" in rule) for rule in group["rules"])
    assert all(LABEL.items() <= document["metadata"]["labels"].items() for document in documents)


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    folder = DEPLOY / "components" / "prometheus"
    (made,) = kustomization(folder)["configMapGenerator"]
    (entry,) = made["files"]
    dashboard = json.loads((folder / entry.partition("=")[2]).read_text("utf-8"))
    expressions = [it["expr"] for panel in dashboard["panels"] for it in panel["targets"]]
    asked = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for expr in expressions
        for name in re.findall(r"\b[a-z]+_[a-z_]+\b(?=[{\[]|$)", expr)
    }
    assert len(asked) > 15
    assert asked - served_metrics() == set()
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def served_metrics() -> set[str]:
    """Return the names of all families that the manager and a worker serve, as samples have them."""
    registries = (everything_of_a_manager(), everything_of_a_worker())
    families = [family for registry in registries for family in registry.collect()]
    return {it.name + ("_total" if it.type == "counter" else "") for it in families}


def everything_of_a_manager() -> CollectorRegistry:
    metrics = Metrics()
    fleet: Any = SimpleNamespace(sent=0, received=0, gaps=0, workers=tuple)
    metrics.registry.register(FleetMetrics(fleet, tuple, int))
    return metrics.registry


def everything_of_a_worker() -> CollectorRegistry:
    registry = served.Metrics().registry
    state: Any = SimpleNamespace(clusters={})
    listeners: Any = SimpleNamespace(connections=0)
    registry.register(ShardMetrics("worker-0", state, listeners))
    journal: Any = SimpleNamespace(broken="", damaged=0)
    registry.register(JournalMetrics(journal))
    return registry


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_have_nothing_of_their_host(source: str, overlay: str) -> None:
    for workload in SOURCES[source](overlay):
        if workload["kind"] not in {"Deployment", "StatefulSet"}:
            continue
        pod = workload["spec"]["template"]["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & pod.keys()
        assert not any("hostPath" in volume for volume in pod["volumes"])
        (container,) = pod["containers"]
        security = container["securityContext"]
        assert not security.get("privileged")
        assert security["runAsUser"] > 0
        assert not any("hostPort" in port for port in container.get("ports", ()))
        is_worker = workload["kind"] == "StatefulSet"
        assert pod.get("automountServiceAccountToken", True) is not is_worker
