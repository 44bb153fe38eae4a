"""What clusterctl reads beside the manifests: cluster templates and release metadata."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

import capim
from capim.api import infrastructure
from capim.api.infrastructure.crds import CONTRACT_LABELS

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

DEPLOY = Path(__file__).parents[3] / "deploy"
CLASS = DEPLOY / "templates" / "clusterclass-in-memory-quick-start.yaml"
CLUSTER = DEPLOY / "templates" / "cluster-template-in-memory-development.yaml"
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::=([^}]*))?\}")


def load(path: Path) -> list[JsonObject]:
    """Read a template, every variable filled in with its default or a name."""
    text = VARIABLE.sub(lambda match: match[2] or "v1", path.read_text("utf-8"))
    return list(yaml.safe_load_all(text))


def references(value: object) -> list[tuple[str, str]]:
    """Return the (kind, name) of every `ref` in a value."""
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    if not isinstance(value, dict):
        return []
    here = [(value["ref"]["kind"], value["ref"]["name"])] if "ref" in value else []
    return here + [found for item in value.values() for found in references(item)]


def test_the_class_and_what_it_refers_to_are_the_file() -> None:
    cluster_class, *others = load(CLASS)
    assert (cluster_class["kind"], cluster_class["metadata"]["name"]) == (
        "ClusterClass",
        "in-memory-quick-start",
    )
    names = [(document["kind"], document["metadata"]["name"]) for document in others]
    assert sorted(references(cluster_class["spec"])) == sorted(names)


def test_the_class_has_no_namespace_and_no_variables() -> None:
    assert VARIABLE.findall(CLASS.read_text("utf-8")) == []
    assert [document for document in load(CLASS) if "namespace" in document["metadata"]] == []


def test_our_templates_are_admitted_as_they_stand() -> None:
    ours = [document for document in load(CLASS) if document["kind"] in infrastructure.KINDS]
    assert [document["kind"] for document in ours] == [
        "InMemoryClusterTemplate",
        "InMemoryMachineTemplate",
        "InMemoryMachineTemplate",
    ]
    for document in ours:
        assert infrastructure.validate_create(document) == []
        assert infrastructure.default(document) == document


def test_machines_start_as_fast_as_the_originals() -> None:
    for document in load(CLASS):
        if document["kind"] == "InMemoryMachineTemplate":
            startups = infrastructure.startup_of(document["spec"]["template"])
            assert {phase.value: (s.duration_s, s.jitter) for phase, s in startups.items()} == {
                "vm": (30.0, 0.2),
                "node": (10.0, 0.2),
                "etcd": (10.0, 0.2),
                "apiServer": (10.0, 0.2),
            }


def test_the_cluster_template_asks_for_clusterctls_variables() -> None:
    variables = dict(VARIABLE.findall(CLUSTER.read_text("utf-8")))
    assert variables == {
        "CLUSTER_NAME": "",
        "NAMESPACE": "",
        "KUBERNETES_VERSION": "",
        "CONTROL_PLANE_MACHINE_COUNT": "",
        "WORKER_MACHINE_COUNT": "",
        "SERVICE_CIDR": '["10.128.0.0/12"]',
        "POD_CIDR": '["192.168.0.0/16"]',
        "SERVICE_DOMAIN": '"cluster.local"',
    }


def test_the_cluster_template_is_of_our_class() -> None:
    (cluster,) = load(CLUSTER)
    topology = cluster["spec"]["topology"]
    cluster_class, *_ = load(CLASS)
    assert topology["class"] == cluster_class["metadata"]["name"]
    classes = [md["class"] for md in cluster_class["spec"]["workers"]["machineDeployments"]]
    assert [md["class"] for md in topology["workers"]["machineDeployments"]] == classes


def test_metadata_knows_this_version_and_its_contract() -> None:
    (metadata,) = load(DEPLOY / "metadata.yaml")
    assert (metadata["apiVersion"], metadata["kind"]) == (
        "clusterctl.cluster.x-k8s.io/v1alpha3",
        "Metadata",
    )
    contracts = {f"{it['major']}.{it['minor']}": it["contract"] for it in metadata["releaseSeries"]}
    series, _, _patch = capim.__version__.rpartition(".")
    assert f"cluster.x-k8s.io/{contracts[series]}" in CONTRACT_LABELS
