"""The definitions in crds/: current, what the original's were and more, and fit for both contracts.

Not in scope: how an API server takes them (the end-to-end tests apply them to a real one).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from capim.api import infrastructure, structural
from tools import generate_crds

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

FOLDER = Path(__file__).parents[3] / "crds"
CRDS = {crd["spec"]["names"]["kind"]: crd for crd in infrastructure.crds()}
NOW = "2024-02-29T10:00:00Z"


def schema(kind: str) -> JsonObject:
    (version,) = CRDS[kind]["spec"]["versions"]
    found: JsonObject = version["schema"]["openAPIV3Schema"]
    return found


def make(kind: str, **fields: object) -> JsonObject:
    return {
        "apiVersion": infrastructure.API_VERSION,
        "kind": kind,
        "metadata": {"name": "n"},
        **fields,
    }


def test_the_folder_is_current() -> None:
    assert generate_crds.stale(FOLDER) == []


def test_check_notices_what_is_missing_changed_or_left_over(tmp_path: Path) -> None:
    generate_crds.write(tmp_path)
    assert generate_crds.stale(tmp_path) == []
    first, second, *_ = sorted(tmp_path.iterdir())
    first.unlink()
    second.write_text(second.read_text("utf-8").replace("Namespaced", "Cluster"), "utf-8")
    (tmp_path / f"{infrastructure.GROUP}_others.yaml").write_text("", "utf-8")
    assert len(generate_crds.stale(tmp_path)) == 3
    generate_crds.write(tmp_path)
    assert generate_crds.stale(tmp_path) == []


def test_the_kustomization_lists_every_definition() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))["resources"]
    assert sorted(listed) == sorted(generate_crds.manifests())


@pytest.mark.parametrize(
    ("kind", "columns", "status"),
    [
        ("InMemoryCluster", ["Cluster", "Age"], True),
        ("InMemoryMachine", ["Cluster", "Machine", "ProviderID", "Ready", "Age"], True),
        ("InMemoryClusterTemplate", ["Age"], False),
        ("InMemoryMachineTemplate", ["Age"], True),
        ("InMemoryMachinePool", ["Cluster", "MachinePool", "Replicas", "Ready", "Age"], True),
        ("InMemoryMachinePoolTemplate", ["Age"], False),
        ("InMemoryFault", ["Effect", "Phase", "Clusters", "Hits", "Age"], True),
    ],
)
def test_names_columns_and_subresources_are_the_originals(
    kind: str, columns: list[str], status: bool
) -> None:
    crd = CRDS[kind]
    (version,) = crd["spec"]["versions"]
    assert crd["metadata"]["name"] == f"{kind.lower()}s.infrastructure.cluster.x-k8s.io"
    assert crd["spec"]["scope"] == "Namespaced"
    assert crd["spec"]["names"] == {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": f"{kind.lower()}s",
        "singular": kind.lower(),
        "categories": ["cluster-api"],
    }
    assert version["name"] == "v1alpha1"
    assert ("subresources" in version) is status
    printed = version["additionalPrinterColumns"]
    assert [column["name"] for column in printed if not column.get("priority")] == columns
    assert [column["name"] for column in printed][: len(columns)] == columns


def test_one_version_carries_the_labels_of_both_contracts() -> None:
    for crd in CRDS.values():
        assert crd["metadata"]["labels"] == {
            "cluster.x-k8s.io/v1beta1": "v1alpha1",
            "cluster.x-k8s.io/v1beta2": "v1alpha1",
        }


DELAYS = {"provisioning": {"startupDuration": "10s", "startupJitter": "0.2"}}
BEHAVIOUR = {"vm": DELAYS, "node": DELAYS, "apiServer": DELAYS, "etcd": DELAYS}
OLD_CONDITION = {
    "type": "VMProvisioned",
    "status": "False",
    "severity": "Info",
    "reason": "WaitingForBootstrapData",
    "lastTransitionTime": NOW,
}
NEW_CONDITION = {
    "type": "Ready",
    "status": "Unknown",
    "reason": "ReadyUnknown",
    "message": "",
    "observedGeneration": 3,
    "lastTransitionTime": NOW,
}


@pytest.mark.parametrize(
    "obj",
    [
        make("InMemoryCluster"),
        make("InMemoryCluster", spec={"controlPlaneEndpoint": {"host": "", "port": 0}}),
        make("InMemoryCluster", spec={"controlPlaneEndpoint": {"host": "10.0.0.1", "port": 20000}}),
        make(
            "InMemoryCluster", status={"ready": True, "conditions": [OLD_CONDITION, NEW_CONDITION]}
        ),
        make("InMemoryCluster", status={"initialization": {"provisioned": True}}),
        make("InMemoryMachine", spec={"behaviour": BEHAVIOUR, "providerID": "in-memory://n"}),
        make("InMemoryMachine", spec={"failureDomain": "a"}, status={"failureDomain": "a"}),
        make(
            "InMemoryMachine",
            status={
                "ready": True,
                "initialization": {"provisioned": True},
                "addresses": [{"type": "InternalIP", "address": "10.1.2.3"}],
                "conditions": [OLD_CONDITION, NEW_CONDITION],
            },
        ),
        make("InMemoryClusterTemplate", spec={"template": {"spec": {}}}),
        make(
            "InMemoryMachineTemplate",
            spec={
                "template": {
                    "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
                    "spec": {"behaviour": BEHAVIOUR},
                }
            },
        ),
    ],
)
def test_takes_what_the_original_took_and_keeps_every_field(obj: JsonObject) -> None:
    found = schema(obj["kind"])
    assert structural.validate(found, obj) == []
    assert structural.default(found, obj) == obj
    assert structural.prune(found, obj) == obj


@pytest.mark.parametrize(
    ("obj", "path"),
    [
        (
            make("InMemoryCluster", spec={"controlPlaneEndpoint": {"host": "h", "port": 65536}}),
            "spec.controlPlaneEndpoint.port",
        ),
        (
            make(
                "InMemoryCluster", spec={"controlPlaneEndpoint": {"host": "https://h", "port": 1}}
            ),
            "spec.controlPlaneEndpoint.host",
        ),
        (
            make("InMemoryCluster", spec={"controlPlaneEndpoint": {"host": "h" * 513, "port": 1}}),
            "spec.controlPlaneEndpoint.host",
        ),
        (
            make(
                "InMemoryMachine",
                spec={"behaviour": {"vm": {"provisioning": {"startupDuration": "1"}}}},
            ),
            "spec.behaviour.vm.provisioning.startupDuration",
        ),
        (
            make(
                "InMemoryMachine",
                spec={
                    "behaviour": {
                        "etcd": {"provisioning": {"startupDuration": "1s", "startupJitter": "1.5"}}
                    }
                },
            ),
            "spec.behaviour.etcd.provisioning.startupJitter",
        ),
        (make("InMemoryMachine", spec={"providerID": "n"}), "spec.providerID"),
        (
            make("InMemoryMachine", status={"conditions": [NEW_CONDITION, NEW_CONDITION]}),
            "status.conditions[1]",
        ),
        (
            make("InMemoryMachine", status={"conditions": [{**NEW_CONDITION, "status": "yes"}]}),
            "status.conditions[0].status",
        ),
        (
            make("InMemoryMachine", status={"addresses": [{"type": "Street", "address": "a"}]}),
            "status.addresses[0].type",
        ),
        (make("InMemoryMachineTemplate", spec={"template": {}}), "spec.template.spec"),
    ],
)
def test_refuses_nonsense(obj: JsonObject, path: str) -> None:
    causes = structural.validate(schema(obj["kind"]), obj)
    assert [where for where, _ in causes] == [path]


def test_drops_fields_nobody_knows() -> None:
    obj = make("InMemoryMachine", spec={"behavior": {}, "providerID": "in-memory://n"})
    assert structural.prune(schema("InMemoryMachine"), obj)["spec"] == {
        "providerID": "in-memory://n"
    }
