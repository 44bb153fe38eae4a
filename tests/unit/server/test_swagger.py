"""OpenAPI v2 says what version 3 says, in JSON and in protobuf, custom resources included."""

import copy
from typing import Any

import orjson
import pytest

from capim.server.swagger import schema_of
from tests.support.memory import MemoryClient, make_api
from tests.support.served import make_served

PATH = "/openapi/v2"
PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
POD = "io.k8s.api.core.v1.Pod"
DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {
            "plural": "things",
            "singular": "thing",
            "kind": "Thing",
            "listKind": "ThingList",
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"a": {"type": "string"}}}
                        },
                    }
                },
            }
        ],
    },
}


@pytest.fixture(scope="module")
def client() -> MemoryClient:
    return MemoryClient(make_api(make_served()))


def members(data: bytes) -> dict[int, list[bytes]]:
    """Read the fields of a protobuf message that has nothing but texts and messages."""
    found: dict[int, list[bytes]] = {}
    at = 0
    while at < len(data):
        number, at = varint(data, at)
        length, at = varint(data, at)
        assert number & 7 == 2
        found.setdefault(number >> 3, []).append(data[at : at + length])
        at += length
    return found


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at


def named(data: bytes, number: int = 1) -> dict[str, bytes]:
    pairs = [members(pair) for pair in members(data)[number]]
    return {pair[1][0].decode(): pair[2][0] for pair in pairs}


def test_every_reference_has_its_definition(client: MemoryClient) -> None:
    body = client.ask("GET", PATH).body
    document = orjson.loads(body)
    used = {part.partition(b'"')[0].decode() for part in body.split(b"#/definitions/")[1:]}
    assert used <= set(document["definitions"])
    assert body.count(b"#/components/") == 0


def test_operations_and_kinds(client: MemoryClient) -> None:
    document = client.ask("GET", PATH).json()
    patch = document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    assert {"name", "in", "schema", "required"} == set(patch["parameters"][0])
    assert "fieldValidation" in {it["name"] for it in patch["parameters"]}
    assert patch["responses"]["200"]["schema"] == {"$ref": f"#/definitions/{POD}"}
    pod = document["definitions"][POD]
    kinds = pod["x-kubernetes-group-version-kind"]
    assert kinds == [{"group": "", "kind": "Pod", "version": "v1"}]
    assert pod["properties"]["spec"]["$ref"] == f"#/definitions/{POD}Spec"


def test_protobuf_says_what_json_says(client: MemoryClient) -> None:
    document = client.ask("GET", PATH).json()
    answer = client.ask("GET", PATH, Accept=f"{PROTOBUF}, application/json")
    assert answer.headers["Content-Type"].startswith("application/com.github.proto-openapi.spec.v2")
    found = members(answer.body)
    assert found[1] == [b"2.0"]
    (definitions,) = found[9]
    schemas = named(definitions)
    assert set(schemas) == set(document["definitions"])
    assert {*named(found[8][0], 2)} == {*document["paths"]}
    # 22 is type, 25 the properties
    properties = named(members(schemas[POD])[25][0])
    assert [*properties] == [*document["definitions"][POD]["properties"]]


def test_a_tag_spares_the_document(client: MemoryClient) -> None:
    first = client.ask("GET", PATH)
    again = client.ask("GET", PATH, **{"If-None-Match": first.headers["Etag"]})
    assert (again.status, again.body) == (304, b"")
    assert client.ask("GET", PATH, Accept="text/html").status == 406
    packed = client.ask("GET", PATH, Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"


def test_custom_resources_stand_beside_the_built_in_kinds(client: MemoryClient) -> None:
    other = MemoryClient(make_api(make_served()))
    other.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION)
    answer, before = other.ask("GET", PATH), client.ask("GET", PATH)
    assert answer.headers["Etag"] != before.headers["Etag"]
    document = answer.json()
    thing = document["definitions"]["com.example.v1.Thing"]
    assert thing["properties"]["spec"]["properties"] == {"a": {"type": "string"}}
    added = set(document["definitions"]) - set(before.json()["definitions"])
    assert added == {"com.example.v1.Thing", "com.example.v1.ThingList"}
    assert answer.body.count(b'"io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta":') == 1
    assert "com.example.v1.Thing" in named(
        members(other.ask("GET", PATH, Accept=PROTOBUF).body)[9][1]
    )


def test_a_kind_that_keeps_unknown_fields_names_none_in_the_older_form() -> None:
    client = MemoryClient(make_api(make_served()))
    definition = copy.deepcopy(DEFINITION)
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["x-kubernetes-preserve-unknown-fields"] = True
    client.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    older = client.ask("GET", PATH).json()["definitions"]["com.example.v1.Thing"]
    assert set(older) == {"type", "x-kubernetes-group-version-kind"}
    newer = client.ask("GET", "/openapi/v3/apis/example.com/v1").json()
    thing = newer["components"]["schemas"]["com.example.v1.Thing"]
    assert set(thing["properties"]) == {"apiVersion", "kind", "metadata", "spec"}
    assert thing["x-kubernetes-preserve-unknown-fields"] is True


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        pytest.param(
            {"allOf": [{"$ref": "#/components/schemas/a.B"}], "default": {}, "description": "x"},
            {"description": "x", "$ref": "#/definitions/a.B"},
            id="reference",
        ),
        pytest.param(
            {"oneOf": [{"type": "string"}, {"type": "number"}]}, {"type": "string"}, id="one-of"
        ),
        pytest.param(
            {
                "type": "object",
                "properties": {"a": {}},
                "x-kubernetes-preserve-unknown-fields": True,
            },
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            id="preserves",
        ),
        pytest.param(
            {"x-kubernetes-int-or-string": True, "anyOf": [{}, {}]},
            {"x-kubernetes-int-or-string": True},
            id="int-or-string",
        ),
        pytest.param(
            {"type": "array", "nullable": True, "items": {"type": "string"}}, {}, id="nullable"
        ),
        pytest.param(
            {"type": "array", "items": {"type": "string", "default": ""}},
            {"type": "array", "items": {"type": "string"}},
            id="items",
        ),
    ],
)
def test_schemas(node: dict[str, Any], expected: dict[str, Any]) -> None:
    assert schema_of(node) == expected
