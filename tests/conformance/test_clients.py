"""Client libraries use the fake as they use any API server: Go's, Python's, and etcd's."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import kubernetes as official
import lightkube
import pytest
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap
from prometheus_client.parser import text_string_to_metric_families

from tests.conformance import sides
from tests.e2e import build
from tests.unit.catalogue.site import CONTROL_PLANE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TIMEOUT_S = 120
#: of the churn program, each with a client of its own
_MANAGERS = 3
#: the official client, whose types call every field optional and know no bodies that are plain dicts
kubernetes: Any = official


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run a fake cluster."""
    with sides.fake_kubeconfig(tmp_path_factory.mktemp("clients")) as path:
        yield path


@pytest.fixture
def api(kubeconfig: Path) -> Iterator[official.client.ApiClient]:
    """Return the Python client of the fake cluster."""
    client = kubernetes.config.new_client_from_config(str(kubeconfig))
    yield client
    client.close()
    client.rest_client.pool_manager.clear()


def _run(kubeconfig: Path, name: str, *flags: str, timeout_s: int = _TIMEOUT_S) -> list[str]:
    programs = build.ensure(["clients", "kubectl"])
    command = [str(programs / "clients"), f"--kubeconfig={kubeconfig}", *flags, name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def namespace(api: official.client.ApiClient, request: pytest.FixtureRequest) -> str:
    """Return an empty namespace of the test's own."""
    name = request.node.name.translate(str.maketrans("_[]", "---")).strip("-").lower()
    kubernetes.client.CoreV1Api(api).create_namespace({"metadata": {"name": name}})
    return str(name)


@pytest.mark.parametrize("name", ["typed", "protobuf", "dynamic", "informers", "manager"])
def test_go(name: str, kubeconfig: Path, namespace: str) -> None:
    assert _run(kubeconfig, name, f"--namespace={namespace}")


def test_go_caches_through_churn(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    during_s = request.config.getoption("--churn-seconds")
    with sides.fake_kubeconfig(tmp_path) as kubeconfig:
        flags = ("--namespace=default", f"--seconds={during_s}")
        said = _run(kubeconfig, "churn", *flags, timeout_s=during_s + _TIMEOUT_S)
    assert said[-1].startswith("ok ")
    lists = _lists_of_a_namespace(tmp_path / "metrics")
    assert all(count <= _MANAGERS for count in lists.values()), lists


def _lists_of_a_namespace(metrics: Path) -> dict[str, float]:
    """Return how often the objects of a namespace were listed, kind by kind."""
    samples = [
        sample
        for family in text_string_to_metric_families(metrics.read_text())
        for sample in family.samples
        if sample.name.endswith("_apiserver_request_total")
    ]
    assert any(sample.labels.get("verb") == "watch" for sample in samples)
    return {
        sample.labels["resource"]: sample.value
        for sample in samples
        if (sample.labels["verb"], sample.labels["scope"]) == ("list", "namespace")
    }


def test_go_etcd_through_a_forwarded_port(kubeconfig: Path) -> None:
    kubectl = build.ensure(["kubectl"]) / "kubectl"
    flags = (
        f"--kubectl={kubectl}",
        f"--pod=etcd-{CONTROL_PLANE}",
        f"--certs={kubeconfig.parent / 'etcd'}",
    )
    assert _run(kubeconfig, "etcd", *flags)[-1].startswith(f"ok etcd {CONTROL_PLANE}")


def test_python_typed(api: official.client.ApiClient, namespace: str) -> None:
    core = kubernetes.client.CoreV1Api(api)
    body = {"metadata": {"name": "a", "labels": {"l": "1"}}, "data": {"x": "1"}}
    made = core.create_namespaced_config_map(namespace, body)
    patched = core.patch_namespaced_config_map("a", namespace, {"data": {"x": "2"}})
    assert patched.metadata.uid == made.metadata.uid
    listed = core.list_namespaced_config_map(namespace, label_selector="l=1")
    assert [(item.metadata.name, item.data) for item in listed.items] == [("a", {"x": "2"})]
    with pytest.raises(kubernetes.client.ApiException) as refused:
        core.create_namespaced_config_map(namespace, body)
    assert refused.value.status == 409
    core.delete_namespaced_config_map("a", namespace)


def test_python_watch(api: official.client.ApiClient, namespace: str) -> None:
    core = kubernetes.client.CoreV1Api(api)
    core.create_namespaced_secret(namespace, {"metadata": {"name": "s"}})
    since = core.list_namespaced_secret(namespace).metadata.resource_version
    core.delete_namespaced_secret("s", namespace)
    stream = kubernetes.watch.Watch().stream(
        core.list_namespaced_secret, namespace, resource_version=since, timeout_seconds=5
    )
    event: dict[str, Any] = next(iter(stream))
    assert (event["type"], event["object"].metadata.name) == ("DELETED", "s")


def test_python_dynamic(api: official.client.ApiClient, namespace: str) -> None:
    client = kubernetes.dynamic.DynamicClient(api)
    jobs = client.resources.get(api_version="batch/v1", kind="CronJob")
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}
    template = {"spec": {"template": {"spec": pod}}}
    spec = {"schedule": "0 3 * * *", "suspend": True, "jobTemplate": template}
    jobs.create({"metadata": {"name": "nightly"}, "spec": spec}, namespace=namespace)
    assert [item.metadata.name for item in jobs.get(namespace=namespace).items] == ["nightly"]
    jobs.delete("nightly", namespace)


@pytest.fixture
def light(kubeconfig: Path, namespace: str) -> Iterator[lightkube.Client]:
    """Return lightkube's client of the fake cluster, in the test's namespace."""
    config = lightkube.KubeConfig.from_file(str(kubeconfig))
    with lightkube.Client(config, namespace=namespace, field_manager="light") as client:
        yield client


def test_lightkube(light: lightkube.Client, namespace: str) -> None:
    wanted = ConfigMap(metadata=ObjectMeta(name="a", namespace=namespace), data={"x": "1"})
    version = light.apply(wanted).to_dict()["metadata"]["resourceVersion"]
    assert light.patch(ConfigMap, "a", {"data": {"y": "2"}}).data == {"x": "1", "y": "2"}
    listed = light.list(ConfigMap, fields={"metadata.name": "a"})
    assert [item.to_dict()["metadata"]["name"] for item in listed] == ["a"]
    with pytest.raises(lightkube.ApiError, match="not found"):
        light.get(ConfigMap, "absent")
    events = light.watch(ConfigMap, resource_version=version, server_timeout=5)
    assert next(iter(events))[1].data == {"x": "1", "y": "2"}
    light.delete(ConfigMap, "a")
