"""fieldValidation: Strict refuses, Warn warns, Ignore is silent; what a kind lacks is never stored."""

from typing import Any

import orjson
import pytest

from tests.support.memory import MemoryClient, make_api

MAPS = "/api/v1/namespaces/default/configmaps"
NODES = "/api/v1/nodes"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
ODD: dict[str, Any] = {"metadata": {"name": "a", "bar": 1}, "foo": {"x": 1}}
TOLD = ('unknown field "metadata.bar"', 'unknown field "foo"')


@pytest.fixture
def client() -> MemoryClient:
    return MemoryClient(make_api())


def warned(answer: Any) -> str:
    found: str = answer.headers.get("Warning", "")
    return found.replace("\\", "")


def test_warn_is_the_default(client: MemoryClient) -> None:
    answer = client.ask("POST", MAPS, ODD)
    assert answer.status == 201
    assert TOLD[1] in warned(answer)
    assert "foo" not in answer.json()


def test_ignore_is_silent(client: MemoryClient) -> None:
    answer = client.ask("POST", f"{MAPS}?fieldValidation=Ignore", ODD)
    assert (answer.status, warned(answer), "foo" in answer.json()) == (201, "", False)


def test_strict_refuses(client: MemoryClient) -> None:
    answer = client.ask("POST", f"{MAPS}?fieldValidation=Strict", ODD)
    told = f"cannot be handled as a ConfigMap: strict decoding error: {', '.join(TOLD)}"
    assert answer.status == 400
    assert answer.json()["message"].endswith(told)


def test_fields_given_twice(client: MemoryClient) -> None:
    text = b'{"metadata":{"name":"a"},"data":{"k":"v","k":"w"}}'
    answer = client.ask("POST", f"{MAPS}?fieldValidation=Strict", text)
    assert 'duplicate field "data.k"' in answer.json()["message"]
    answer = client.ask("POST", MAPS, text)
    assert answer.json()["data"] == {"k": "w"}
    assert 'duplicate field "data.k"' in warned(answer)


def test_keys_of_yaml_given_twice(client: MemoryClient) -> None:
    text = b"metadata:\n  name: a\ndata:\n  k: v\n  k: w\n"
    answer = client.ask("POST", MAPS, text, Content_Type="application/yaml")
    assert 'line 5: key "k" already set in map' in warned(answer)


def test_keys_of_an_applied_configuration_given_twice(client: MemoryClient) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  k: v\n  k: w\n"
    apply = {"Content_Type": "application/apply-patch+yaml"}
    strict = f"{MAPS}/a?fieldManager=m&fieldValidation=Strict"
    answer = client.ask("PATCH", strict, text, **apply)
    assert (answer.status, 'key "k" already set' in answer.json()["message"]) == (400, True)
    answer = client.ask("PATCH", f"{MAPS}/a?fieldManager=m", text, **apply)
    assert (answer.status, 'key "k" already set' in warned(answer)) == (201, True)


@pytest.mark.parametrize("content_type", [MERGE, STRATEGIC])
@pytest.mark.parametrize("path", [MAPS, NODES])
def test_a_patch_drops_what_is_unknown(client: MemoryClient, path: str, content_type: str) -> None:
    client.ask("POST", path, {"metadata": {"name": "a"}})
    patch = {"foo": 1, "metadata": {"labels": {"x": "y"}}}
    strict = client.ask(
        "PATCH", f"{path}/a?fieldValidation=Strict", patch, Content_Type=content_type
    )
    assert strict.status == 422
    assert 'strict decoding error: unknown field "foo"' in strict.json()["message"]
    answer = client.ask("PATCH", f"{path}/a", patch, Content_Type=content_type)
    assert 'unknown field "foo"' in warned(answer)
    stored = client.ask("GET", f"{path}/a").json()
    assert (stored["metadata"]["labels"], "foo" in stored) == ({"x": "y"}, False)


def test_an_update_of_a_kind_that_is_stored_as_it_comes(client: MemoryClient) -> None:
    client.ask("POST", NODES, {"metadata": {"name": "a"}})
    answer = client.ask("PUT", f"{NODES}/a", {"metadata": {"name": "a"}, "spec": {"foo": 1}})
    assert 'unknown field "spec.foo"' in warned(answer)
    assert "foo" not in client.ask("GET", f"{NODES}/a").json()["spec"]


def test_operations_of_a_json_patch(client: MemoryClient) -> None:
    client.ask("POST", MAPS, {"metadata": {"name": "a"}})
    patch = [{"op": "add", "path": "/data", "value": {}, "more": 1}]
    answer = client.ask("PATCH", f"{MAPS}/a", patch, Content_Type=JSON_PATCH)
    assert 'json patch unknown field "[0].more"' in warned(answer)


@pytest.mark.parametrize("content_type", [MERGE, STRATEGIC])
def test_a_patch_that_breaks_a_type_is_invalid(client: MemoryClient, content_type: str) -> None:
    client.ask("POST", MAPS, {"metadata": {"name": "a"}})
    answer = client.ask("PATCH", f"{MAPS}/a", {"data": {"a": 1}}, Content_Type=content_type)
    assert answer.status == 422
    assert answer.json()["details"]["causes"][0]["field"] == "patch"


def test_a_deep_body_is_refused(client: MemoryClient) -> None:
    deep = b'{"metadata":{"name":"a"},"x":' + b"[" * 900 + b"]" * 900 + b"}"
    assert client.ask("POST", MAPS, deep).status in {201, 400}


def test_long_warnings_are_cut(client: MemoryClient) -> None:
    body = {"metadata": {"name": "a"}, **{f"{'x' * 300}{number}": 1 for number in range(60)}}
    answer = client.ask("POST", MAPS, orjson.dumps(body))
    assert answer.status == 201
    assert "x" * 300 not in warned(answer)


def test_a_dry_run_that_is_none_beside_one_that_is(client: MemoryClient) -> None:
    answer = client.ask("POST", f"{MAPS}?dryRun=All&dryRun=Some", {"metadata": {"name": "a"}})
    assert (answer.status, '["All","Some"]' in answer.json()["message"]) == (422, True)


def test_annotations_have_a_size(client: MemoryClient) -> None:
    def status(text: str) -> int:
        metadata = {"generateName": "a-", "annotations": {"a": text}}
        return client.ask("POST", MAPS, {"metadata": metadata}).status

    assert [status("x" * (2**18 - 1)), status("x" * 2**18), status("ä" * 2**17)] == [201, 422, 422]
