"""fieldValidation of custom resources: fields that a schema does not know, or that a body has twice."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from tests.support.memory import MemoryClient, encode_request, make_api
from tests.support.served import make_served

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
THINGS = "/apis/example.com/v1/namespaces/default/things"
TEXT = {"type": "string"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"spec": {"type": "object", "properties": {"a": TEXT}}},
}
DEFINITION: dict[str, Any] = {
    "metadata": {"name": "things.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "deprecated": True,
                "deprecationWarning": 'say "v2"',
                "schema": {"openAPIV3Schema": SCHEMA},
            }
        ],
    },
}
OLD = '299 - "say \\"v2\\""'
ODD = {
    "apiVersion": "example.com/v1",
    "kind": "Thing",
    "metadata": {"name": "t"},
    "spec": {"a": "x", "b": 1, "c": 2},
}


@pytest.fixture
def client() -> MemoryClient:
    made = MemoryClient(make_api(make_served()))
    assert made.ask("POST", DEFINITIONS, DEFINITION).status == 201
    return made


@pytest.mark.parametrize("query", ["", "?fieldValidation=Warn"])
def test_unknown_fields_are_dropped_with_a_warning(client: MemoryClient, query: str) -> None:
    answer = client.ask("POST", THINGS + query, ODD)
    assert (answer.status, answer.json()["spec"]) == (201, {"a": "x"})
    assert '299 - "unknown field \\"spec.c\\""' in answer.headers["Warning"]


def test_unknown_fields_are_dropped_in_silence(client: MemoryClient) -> None:
    answer = client.ask("POST", f"{THINGS}?fieldValidation=Ignore", ODD)
    assert (answer.status, answer.headers["Warning"]) == (201, OLD)


def test_unknown_fields_are_refused_and_leave_no_trace(client: MemoryClient) -> None:
    answer = client.ask("POST", f"{THINGS}?fieldValidation=Strict", ODD)
    told = 'strict decoding error: unknown field "spec.b", unknown field "spec.c"'
    assert answer.status == 400
    assert told in answer.json()["message"]
    assert client.ask("GET", f"{THINGS}/t").headers["Warning"] == OLD


def test_patch_that_makes_unknown_fields_is_invalid(client: MemoryClient) -> None:
    client.ask("POST", THINGS, {**ODD, "spec": {}})
    answer = client.ask(
        "PATCH",
        f"{THINGS}/t?fieldValidation=Strict",
        {"spec": {"b": 1}},
        Content_Type="application/merge-patch+json",
    )
    assert (answer.status, answer.json()["details"]["causes"][0]["field"]) == (422, "patch")


def test_fields_given_twice_and_of_metadata(client: MemoryClient) -> None:
    text = (
        b'{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"t","odd":1},'
        b'"spec":{"a":"x","a":"y"}}'
    )
    answer = client.ask("POST", f"{THINGS}?fieldValidation=Strict", text)
    told = 'strict decoding error: duplicate field "spec.a", unknown field "metadata.odd"'
    assert told in answer.json()["message"]


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({"a": None}, ["spec.a"]),
        (None, ["spec"]),
        ({"a": "x"}, []),
    ],
)
def test_nulls_are_kept_in_what_is_applied_and_break_the_schema(
    client: MemoryClient, spec: object, faults: list[str]
) -> None:
    body = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}}
    answer = client.ask(
        "PATCH",
        f"{THINGS}/t?fieldManager=m",
        {**body, "spec": spec},
        Content_Type="application/apply-patch+yaml",
    )
    found = answer.json()
    assert [cause["field"] for cause in found.get("details", {}).get("causes", ())] == faults
    assert (
        client.ask("POST", THINGS, {**body, "metadata": {"name": "u"}, "spec": spec}).status == 201
    )


def test_a_watch_of_a_deprecated_version_begins_with_a_warning() -> None:
    async def head() -> str:
        made = MemoryClient(make_api(make_served()))
        made.ask("POST", DEFINITIONS, DEFINITION)
        made.connection.data_received(encode_request("GET", f"{THINGS}?watch=1"))
        text = made.transport.take().decode()
        made.connection.close()
        return text

    assert f"Warning: {OLD}" in asyncio.run(head())


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"replicas": "x"}, "x is of the type string, expected int64"),
        ({"replicas": {"a": [True, None]}}, "map[a:[true <nil>]] is of the type map[string]interf"),
        ("x", "x is of the type string, expected map[string]interface{}"),
        ({"replicas": -1}, "should be a non-negative integer"),
        ({"replicas": 1}, ""),
        ({}, ""),
    ],
)
def test_replicas_are_a_number(spec: object, told: str) -> None:
    definition = copy.deepcopy(DEFINITION)
    paths = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    version = definition["spec"]["versions"][0]
    version["subresources"] = {"scale": paths}
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version["schema"] = {"openAPIV3Schema": anything}
    made = MemoryClient(make_api(make_served()))
    assert made.ask("POST", DEFINITIONS, definition).status == 201
    answer = made.ask("POST", THINGS, {**ODD, "spec": spec})
    assert answer.status == (422 if told else 201)
    assert told in answer.json().get("message", "")
