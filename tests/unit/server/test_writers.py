"""Answers in other forms than JSON of the object: what a client reads over a connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from capim.wire import kubeproto
from tests.support.memory import MemoryClient, encode_request, make_api
from tests.support.served import make_served

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

NODES = "/api/v1/nodes"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PARTIALS = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@pytest.fixture
def client() -> MemoryClient:
    client = MemoryClient(make_api(make_served()))
    client.ask("POST", NODES, {"metadata": {"name": "a", "labels": {"tier": "x"}}})
    return client


def test_yaml_is_the_same_object(client: MemoryClient) -> None:
    answer = client.ask("GET", f"{NODES}/a", Accept=YAML)
    assert answer.headers["Content-Type"] == YAML
    assert yaml.safe_load(answer.body) == client.ask("GET", f"{NODES}/a").json()


def test_protobuf_is_the_same_object(client: MemoryClient) -> None:
    answer = client.ask("GET", f"{NODES}/a", Accept=PROTOBUF)
    assert answer.headers["Content-Type"] == PROTOBUF
    plain = client.ask("GET", f"{NODES}/a").json()
    assert kubeproto.decode(answer.body)["metadata"] == plain["metadata"]


def test_refusal_is_in_the_clients_format(client: MemoryClient) -> None:
    in_yaml = client.ask("GET", f"{NODES}/b", Accept=YAML)
    assert (in_yaml.status, yaml.safe_load(in_yaml.body)["reason"]) == (404, "NotFound")
    in_protobuf = client.ask("GET", f"{NODES}/b", Accept=PROTOBUF)
    assert kubeproto.decode(in_protobuf.body)["reason"] == "NotFound"


def test_partial_object_is_the_metadata_alone(client: MemoryClient) -> None:
    plain = client.ask("GET", f"{NODES}/a").json()
    assert client.ask("GET", f"{NODES}/a", Accept=PARTIAL).json() == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": plain["metadata"],
    }


def test_partial_list_has_partial_objects(client: MemoryClient) -> None:
    found = client.ask("GET", NODES, Accept=PARTIALS).json()
    assert (found["kind"], [*found["items"][0]]) == (
        "PartialObjectMetadataList",
        ["kind", "apiVersion", "metadata"],
    )
    assert found["items"][0]["metadata"]["name"] == "a"


@pytest.mark.parametrize(("path", "accept"), [(NODES, PARTIAL), (f"{NODES}/a", PARTIALS)])
def test_object_is_no_list_and_list_is_no_object(
    client: MemoryClient, path: str, accept: str
) -> None:
    answer = client.ask("GET", path, Accept=accept)
    assert (answer.status, answer.json()["reason"]) == (406, "NotAcceptable")


def test_person_reads_indented_json(client: MemoryClient) -> None:
    pretty = client.ask("GET", f"{NODES}/a", User_Agent="curl/8").body
    assert pretty == client.ask("GET", f"{NODES}/a?pretty=true").body
    assert pretty.startswith(b'{\n  "')
    assert b"\n  " not in client.ask("GET", f"{NODES}/a?pretty=0", User_Agent="curl/8").body


def watched(accept: str) -> tuple[str, bytes]:
    """Return content type and body of a watch of one node that has ended."""

    async def go() -> Any:
        client = MemoryClient(make_api(make_served()))
        client.ask("POST", NODES, {"metadata": {"name": "a"}})
        request = encode_request("GET", f"{NODES}?watch=true&timeout=1ms", Accept=accept)
        client.connection.data_received(request)
        async with asyncio.timeout(5):
            while not (answers := client.reader.feed(client.transport.take())):  # noqa: ASYNC110
                await asyncio.sleep(0)
        client.connection.close()
        return answers[0].headers["Content-Type"], answers[0].body

    found: tuple[str, bytes] = asyncio.run(go())
    return found


def test_watch_of_partial_objects() -> None:
    kind, body = watched(PARTIAL)
    assert kind == "application/json"
    assert body.startswith(b'{"type":"ADDED","object":{"kind":"PartialObjectMetadata",')


def test_watch_in_protobuf_is_framed() -> None:
    kind, body = watched(PROTOBUF)
    assert kind == f"{PROTOBUF};stream=watch"
    assert int.from_bytes(body[:4], "big") == len(body) - 4
    shown: JsonObject = kubeproto.decode(body[body.index(b"k8s\0") :])
    assert (shown["kind"], shown["metadata"]["name"]) == ("Node", "a")
