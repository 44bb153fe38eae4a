"""Bodies that are small and become large, or cost much: refused, and soon."""

from __future__ import annotations

import gzip
import time

import pytest

from capim.server import yamltext
from tests.support.memory import MemoryClient, make_api
from tests.support.served import make_served, resource

PATH = "/api/v1/namespaces/default/configmaps"
JSON, YAML = "application/json", "application/yaml"
APPLY, PATCH = "application/apply-patch+yaml", "application/json-patch+json"

LAUGHS = b"metadata:\n  name: x\ndata:\n  a0: &a0 {b: c}\n" + b"".join(
    b"  a%d: &a%d {%b}\n"
    % (level, level, b", ".join(b"k%d: *a%d" % (key, level - 1) for key in range(9)))
    for level in range(1, 9)
)
MERGES = b"a0: &a0 {b: c}\n" + b"".join(
    b"a%d: &a%d {<<: [%b]}\n" % (level, level, b", ".join([b"*a%d" % (level - 1)] * 9))
    for level in range(1, 9)
)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param(JSON, b"[" * 3_000_000, id="brackets"),
        pytest.param(JSON, b'{"a":' * 500_000, id="braces"),
        pytest.param(JSON, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="deep-object"),
        pytest.param(
            JSON,
            b'{"metadata":{"name":"a"},"data":' + b'{"a":' * 900 + b"1" + b"}" * 901,
            id="as-deep-as-a-decoder-takes",
        ),
        pytest.param(YAML, b"[" * 100_000, id="brackets-in-yaml"),
        pytest.param(YAML, LAUGHS, id="laughs"),
        pytest.param(YAML, MERGES, id="merges"),
        pytest.param(JSON, gzip.compress(bytes(3_000_000)), id="gzip-that-says-json"),
    ],
)
def test_bomb_is_refused(content_type: str, body: bytes) -> None:
    served = make_served()
    client = MemoryClient(make_api(served))
    started = time.process_time()
    assert client.ask("POST", PATH, body, Content_Type=content_type).status == 400
    assert time.process_time() - started < 5
    assert client.ask("GET", PATH).status == 200
    assert served.group.list(resource("configmaps"), "default").items == []


def test_compressed_body_is_not_unpacked() -> None:
    bomb = gzip.compress(b'{"metadata":{"name":"a"}}')
    headers = {"Content_Type": JSON, "Content_Encoding": "gzip"}
    assert MemoryClient(make_api()).ask("POST", PATH, bomb, **headers).status == 400


def test_yaml_that_repeats_itself_is_no_patch_either() -> None:
    client = MemoryClient(make_api())
    asked = f"{PATH}/x?fieldManager=me"
    assert client.ask("PATCH", asked, LAUGHS, Content_Type=APPLY).status == 400


@pytest.mark.parametrize(
    ("limit", "value"),
    [("_VALUES_LIMIT", 100), ("_TEXT_LIMIT_BYTES", 1000)],
    ids=["values", "text"],
)
def test_yaml_has_a_limit_that_json_in_it_has_not(
    limit: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yamltext, limit, value)
    client = MemoryClient(make_api())
    asked = f"{PATH}/x?fieldManager=me"
    pairs = [f'"k{number}": "vvvvvvvv"' for number in range(200)]
    text = '"metadata": {"name": "x"}, "apiVersion": "v1", "kind": "ConfigMap", "data": '
    as_json = f"{{{text}{{{', '.join(pairs)}}}}}".encode()
    as_yaml = as_json.replace(b'"vvvvvvvv"', b"vvvvvvvv")
    refused = client.ask("PATCH", asked, as_yaml, Content_Type=APPLY)
    assert (refused.status, b"too large" in refused.body) == (400, True)
    assert client.ask("PATCH", asked, as_json, Content_Type=APPLY).status == 201


def test_patch_that_doubles_a_document_with_every_operation_is_refused() -> None:
    served = make_served()
    body = {"metadata": {"name": "x"}, "data": {"a": "b"}}
    served.group.create(resource("configmaps"), "default", body)
    copy = b'{"op":"copy","from":"/data","path":"/data/x%d"}'
    operations = b"[" + b",".join(copy % number for number in range(40)) + b"]"
    client = MemoryClient(make_api(served))
    started = time.process_time()
    answer = client.ask("PATCH", f"{PATH}/x", operations, Content_Type=PATCH)
    assert answer.status == 422
    assert time.process_time() - started < 5
