from __future__ import annotations

import pytest

from capim.api.builtin_schemas import (
    definition_name,
    facts,
    merged,
    name_of,
    plain_schema,
    references,
    schema,
)
from capim.api.builtin_types import names
from capim.api.gvk import GVK


@pytest.mark.parametrize(
    ("name", "definition"),
    [
        ("core/v1.Pod", "io.k8s.api.core.v1.Pod"),
        ("meta/v1.ObjectMeta", "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"),
        (
            "apiregistration/v1.APIService",
            "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
        ),
    ],
)
def test_definitions_have_a_real_servers_names(name: str, definition: str) -> None:
    assert definition_name(name) == definition


def test_custom_kinds_have_no_message() -> None:
    assert name_of(GVK("", "v1", "Pod")) == "core/v1.Pod"
    assert name_of(GVK("example.com", "v1", "Pod")) is None


def test_every_message_has_a_schema_and_every_fact_a_message() -> None:
    assert all(isinstance(schema(name), dict) for name in names())
    assert set(facts()) - {"*"} <= set(names())


def test_a_kind_says_which_it_is() -> None:
    owner = {"group": "apps", "kind": "Deployment", "version": "v1"}
    assert schema("apps/v1.Deployment")["x-kubernetes-group-version-kind"] == [owner]
    everywhere = schema("meta/v1.DeleteOptions")["x-kubernetes-group-version-kind"]
    assert owner | {"kind": "DeleteOptions"} in everywhere
    assert "x-kubernetes-group-version-kind" not in schema("core/v1.PodSpec")


def test_rules() -> None:
    service_port = plain_schema("core/v1.ServicePort")["properties"]
    assert service_port["port"] == {"type": "integer", "format": "int32", "default": 0}
    target = {"allOf": [{"$ref": references_to("io.k8s.apimachinery.pkg.util.intstr.IntOrString")}]}
    assert service_port["targetPort"] == target
    data = plain_schema("core/v1.Secret")["properties"]["data"]
    assert data["additionalProperties"] == {"type": "string", "format": "byte"}
    spec = plain_schema("core/v1.Pod")["properties"]["spec"]
    assert spec["default"] == {}


def references_to(definition: str) -> str:
    return f"#/components/schemas/{definition}"


def test_merged_leaves_its_arguments_alone() -> None:
    base = {"a": {"b": 1, "c": 2}, "d": 3}
    assert merged(base, {"a": {"b": None, "e": 4}, "d": None}) == {"a": {"c": 2, "e": 4}}
    assert base == {"a": {"b": 1, "c": 2}, "d": 3}


def test_references_are_found_at_any_depth() -> None:
    document = {"x": [{"$ref": references_to("A")}], "y": {"allOf": [{"$ref": references_to("B")}]}}
    assert references(document) == {"A", "B"}
