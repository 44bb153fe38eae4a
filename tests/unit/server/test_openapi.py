"""OpenAPI v3: operations, schemas, custom resources, the index and how clients keep documents."""

from __future__ import annotations

import copy
import gzip
from typing import Any

import orjson
import pytest

from capim.api.resources import WORKLOAD_RESOURCES
from capim.runtime.customresources import resources_of
from capim.server import descriptions, swagger
from capim.server.openapi_documents import OpenApi, fingerprint, group_version_document
from tests.support.memory import MemoryClient, make_api

DEFINITION = {
    "spec": {
        "group": "example.com",
        "names": {"plural": "things", "kind": "Thing", "listKind": "ThingList"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}, "scale": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["size"],
                                "properties": {
                                    "size": {"type": "integer", "default": 3, "nullable": False},
                                    "port": {"x-kubernetes-int-or-string": True},
                                    "inner": {
                                        "type": "object",
                                        "x-kubernetes-embedded-resource": True,
                                    },
                                },
                            }
                        },
                    }
                },
            }
        ],
    }
}
THINGS = resources_of(DEFINITION)


@pytest.fixture(scope="module")
def apps() -> Any:
    return document_of("apps", "v1")


def document_of(group: str, version: str) -> Any:
    root = f"apis/{group}/{version}" if group else f"api/{version}"
    return group_version_document(root, WORKLOAD_RESOURCES.groups()[group][version])


def test_kubectl_finds_that_fields_are_validated_here(apps: Any) -> None:
    path = apps["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]
    names = [parameter["name"] for parameter in path["patch"]["parameters"]]
    assert names == ["dryRun", "fieldManager", "fieldValidation", "force"]
    kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert path["patch"]["x-kubernetes-group-version-kind"] == kind
    assert "application/strategic-merge-patch+json" in path["patch"]["requestBody"]["content"]
    shared = [(it["name"], it["in"]) for it in path["parameters"]]
    assert shared == [("name", "path"), ("namespace", "path"), ("pretty", "query")]


@pytest.mark.parametrize(
    ("path", "method", "operation", "action"),
    [
        ("/deployments", "get", "listAppsV1DeploymentForAllNamespaces", "list"),
        (
            "/namespaces/{namespace}/deployments",
            "delete",
            "deleteAppsV1CollectionNamespacedDeployment",
            "deletecollection",
        ),
        (
            "/namespaces/{namespace}/deployments/{name}/scale",
            "put",
            "replaceAppsV1NamespacedDeploymentScale",
            "put",
        ),
        (
            "/watch/namespaces/{namespace}/deployments/{name}",
            "get",
            "watchAppsV1NamespacedDeployment",
            "watch",
        ),
        ("/", "get", "getAppsV1APIResources", None),
    ],
)
def test_operations_have_a_real_servers_names(
    apps: Any, path: str, method: str, operation: str, action: str | None
) -> None:
    found = apps["paths"][f"/apis/apps/v1{path}"][method]
    assert (found["operationId"], found.get("x-kubernetes-action")) == (operation, action)


def test_connecting_and_deleting() -> None:
    paths = document_of("", "v1")["paths"]
    pod = "/api/v1/namespaces/{namespace}/pods/{name}"
    assert set(paths[f"{pod}/proxy"]) > {"get", "put", "options", "head", "patch"}
    names = [(it["name"], it["in"]) for it in paths[f"{pod}/proxy/{{path}}"]["parameters"]]
    assert ("path", "path") in names
    assert ("path", "query") in names
    assert paths[f"{pod}/exec"]["post"]["operationId"] == "connectCoreV1PostNamespacedPodExec"
    answer = paths[pod]["delete"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/io.k8s.api.core.v1.Pod"}


def test_schemas_say_what_the_table_of_types_does_not() -> None:
    schemas = document_of("", "v1")["components"]["schemas"]
    port = schemas["io.k8s.api.core.v1.ContainerPort"]
    assert port["required"] == ["containerPort"]
    protocol = {k: v for k, v in port["properties"]["protocol"].items() if k != "description"}
    assert protocol == {"type": "string", "default": "TCP", "enum": ["SCTP", "TCP", "UDP"]}
    container = schemas["io.k8s.api.core.v1.Container"]["properties"]
    assert container["ports"]["x-kubernetes-list-map-keys"] == ["containerPort", "protocol"]
    assert container["ports"]["x-kubernetes-patch-merge-key"] == "containerPort"
    assert container["ports"]["description"]
    assert schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]["format"] == "int-or-string"


def test_every_reference_leads_somewhere() -> None:
    for group, versions in WORKLOAD_RESOURCES.groups().items():
        for version in versions:
            text = orjson.dumps(document_of(group, version)).decode()
            document = orjson.loads(text)
            wanted = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
            assert wanted == set(document["components"]["schemas"]) & wanted, (group, version)


def test_without_the_client_library_there_is_no_prose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptions, "_folder", lambda: None)
    assert descriptions.prose("core/v1.Pod") == ("", {})


def test_prose_is_that_of_the_client_library() -> None:
    text, fields = descriptions.prose("core/v1.HTTPGetAction")
    assert text.startswith("HTTPGetAction ")
    assert "httpHeaders" in fields
    assert descriptions.prose("core/v1.NoSuchThing") == ("", {})


def test_custom_resources_are_published_as_every_object() -> None:
    document = group_version_document("apis/example.com/v1", THINGS)
    thing = document["components"]["schemas"]["com.example.v1.Thing"]
    assert list(thing["properties"]) == ["apiVersion", "kind", "metadata", "spec"]
    spec = thing["properties"]["spec"]["properties"]
    assert spec["size"] == {"type": "integer", "default": 3}
    assert spec["port"]["anyOf"] == [{"type": "integer"}, {"type": "string"}]
    assert spec["inner"]["required"] == ["kind", "apiVersion"]
    assert "metadata" in spec["inner"]["properties"]
    owner = {"group": "example.com", "kind": "Thing", "version": "v1"}
    assert thing["x-kubernetes-group-version-kind"] == [owner]
    patch = document["paths"]["/apis/example.com/v1/namespaces/{namespace}/things/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" not in patch["requestBody"]["content"]
    assert document["info"]["title"] == "Kubernetes CRD Swagger"
    assert "com.example.v1.ThingList" in document["components"]["schemas"]


def test_a_changed_schema_is_another_document() -> None:
    changed = orjson.loads(orjson.dumps(DEFINITION).replace(b'"integer"', b'"number"'))
    same = orjson.loads(orjson.dumps(DEFINITION))
    assert fingerprint(THINGS) == fingerprint(resources_of(same))
    assert fingerprint(THINGS) != fingerprint(resources_of(changed))


def test_index_names_documents_by_what_they_are_made_from() -> None:
    index = orjson.loads(OpenApi(WORKLOAD_RESOURCES.adding(*THINGS)).index())
    plain = orjson.loads(OpenApi(WORKLOAD_RESOURCES).index())
    assert set(index["paths"]) - set(plain["paths"]) == {"apis/example.com/v1"}
    assert index["paths"]["api/v1"] == plain["paths"]["api/v1"]


@pytest.fixture
def client() -> MemoryClient:
    return MemoryClient(make_api())


def test_a_document_is_found_by_its_hash(client: MemoryClient) -> None:
    index = client.ask("GET", "/openapi/v3")
    assert index.headers["Content-Type"] == "text/plain; charset=utf-8"
    url = index.json()["paths"]["apis/apps/v1"]["serverRelativeURL"]
    found = client.ask("GET", url)
    assert found.headers["Cache-Control"] == "public, immutable"
    assert found.json()["openapi"] == "3.0.0"
    plain = client.ask("GET", "/openapi/v3/apis/apps/v1")
    assert plain.headers["Cache-Control"] == "no-cache, private"
    moved = client.ask("GET", "/openapi/v3/apis/apps/v1?hash=old")
    assert (moved.status, moved.headers["Location"]) == (301, url)


def test_a_document_is_sent_packed_or_not_at_all(client: MemoryClient) -> None:
    path = "/openapi/v3/apis/policy/v1"
    plain = client.ask("GET", path)
    packed = client.ask("GET", path, **{"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["Content-Encoding"] == "gzip"
    known = client.ask("GET", path, **{"If-None-Match": plain.headers["Etag"]})
    assert (known.status, known.body) == (304, b"")


def test_a_document_in_protobuf(client: MemoryClient) -> None:
    path = "/openapi/v3/apis/policy/v1"
    protobuf = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
    answer = client.ask("GET", path, Accept=f"{protobuf}, application/json")
    assert answer.headers["Content-Type"] == protobuf.replace("@", ".")
    assert answer.body.startswith(b"\n\x053.0.0")
    assert b"io.k8s.api.policy.v1.PodDisruptionBudgetList" in answer.body
    assert answer.headers["Etag"] == client.ask("GET", path).headers["Etag"]


def test_every_field_of_a_schema_can_be_written() -> None:
    words = {"externalDocs": {"url": "u"}, "example": {"a": 1}, "maxProperties": 2, "format": "f"}
    inner = {"type": "array", "items": {"type": "string"}, "uniqueItems": False, **words}
    whole = {
        "type": "object",
        "properties": {"a": inner},
        "not": {"required": ["b"]},
        "anyOf": [{"minLength": 1, "maxLength": 2, "pattern": "p"}],
        "additionalProperties": {"type": "number", "minimum": 1, "exclusiveMaximum": True},
    }
    definition = copy.deepcopy(DEFINITION)
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = whole  # type: ignore[index]
    resources = resources_of(definition)
    openapi = OpenApi(WORKLOAD_RESOURCES.adding(*resources))
    root = "apis/example.com/v1"
    assert openapi.hash_of(root)
    assert b"com.example.v1.Thing" in openapi.group_version(root, protobuf=True).body
    assert b"com.example.v1.Thing" in swagger.documents(openapi).protobuf.body


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/openapi/v3/api/v9", "*/*", 404),
        ("/openapi/v3//api/v1", "*/*", 404),
        ("/openapi/v3x", "*/*", 404),
        ("/openapi/v3/api/v1", "text/html", 406),
        ("/openapi/v3/apis/policy/v1", "application/json;q=1", 200),
    ],
)
def test_refusals(client: MemoryClient, path: str, accept: str, status: int) -> None:
    assert client.ask("GET", path, Accept=accept).status == status
