"""Tables as kubectl asks for them: forms of answers, metadata, rows with objects, watches."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.support.memory import MemoryClient, encode_request, make_api
from tests.support.served import make_served

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.meta import JsonObject

NODES = "/api/v1/nodes"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
KUBECTL = f"{TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
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
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"}
                ],
            }
        ],
    },
}


def make_client() -> MemoryClient:
    """Make a client of a cluster with the nodes a and b."""
    client = MemoryClient(make_api(make_served(clock=lambda: 1_699_999_700.0)))
    for name in ("a", "b"):
        client.ask("POST", NODES, {"metadata": {"name": name}})
    return client


def names(table: JsonObject) -> list[str]:
    return [row["cells"][0] for row in table["rows"]]


def test_list_is_a_table_with_the_lists_metadata() -> None:
    client = make_client()
    plain = client.ask("GET", f"{NODES}?limit=1").json()
    answer = client.ask("GET", f"{NODES}?limit=1", Accept=KUBECTL)
    table = answer.json()
    assert answer.headers["Content-Type"] == "application/json"
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert table["metadata"] == plain["metadata"]
    assert table["metadata"]["remainingItemCount"] == 1
    heads = [column["name"] for column in table["columnDefinitions"]]
    assert heads[:5] == ["Name", "Status", "Roles", "Age", "Version"]
    assert table["rows"][0]["cells"][:5] == ["a", "Unknown", "<none>", "5m", ""]


def test_object_is_a_table_of_one_row_at_its_version() -> None:
    client = make_client()
    made = client.ask("GET", f"{NODES}/a").json()
    table = client.ask("GET", f"{NODES}/a", Accept=KUBECTL).json()
    assert table["metadata"] == {"resourceVersion": made["metadata"]["resourceVersion"]}
    assert names(table) == ["a"]


def test_empty_list_is_a_table_without_rows() -> None:
    table = make_client().ask("GET", "/api/v1/pods", Accept=KUBECTL).json()
    assert (table["rows"], len(table["columnDefinitions"])) == ([], 9)


def test_row_includes_what_is_asked_for() -> None:
    client = make_client()
    made = client.ask("GET", f"{NODES}/a").json()
    partial = {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": made["metadata"],
    }
    expected = {"": partial, "Metadata": partial, "Object": made, "None": None}
    for include, included in expected.items():
        query = f"includeObject={include}" if include else ""
        table = client.ask("GET", f"{NODES}/a?{query}", Accept=KUBECTL).json()
        assert table["rows"][0]["object"] == included


def test_unknown_include_is_400_before_anything_is_done() -> None:
    client = make_client()
    body = {"metadata": {"name": "c"}}
    answer = client.ask("POST", f"{NODES}?includeObject=All", body, Accept=KUBECTL)
    assert answer.status == 400
    assert "must be 'Metadata', 'Object', 'None', or empty" in answer.json()["message"]
    assert client.ask("GET", f"{NODES}/c").status == 404


def test_writes_answer_in_tables_too() -> None:
    client = make_client()
    made = client.ask("POST", NODES, {"metadata": {"name": "c"}}, Accept=KUBECTL)
    assert (made.status, names(made.json())) == (201, ["c"])
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    pods = "/api/v1/namespaces/default/pods"
    assert client.ask("POST", pods, pod).status == 201
    assert names(client.ask("DELETE", f"{pods}/p", Accept=KUBECTL).json()) == ["p"]


def test_what_is_no_object_stays_what_it_is() -> None:
    client = make_client()
    assert client.ask("GET", f"{NODES}/absent", Accept=KUBECTL).json()["reason"] == "NotFound"
    assert client.ask("DELETE", f"{NODES}/a", Accept=KUBECTL).json()["status"] == "Success"
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    client.ask("POST", "/api/v1/namespaces/default/pods", pod)
    log = client.ask("GET", "/api/v1/namespaces/default/pods/p/log", Accept=KUBECTL)
    assert (log.status, log.body) == (204, b"")


def test_subresources_have_their_own_columns() -> None:
    client = make_client()
    status = client.ask("GET", f"{NODES}/a/status", Accept=KUBECTL).json()
    assert status["columnDefinitions"][1]["name"] == "Status"
    labels = {"k": "v"}
    deployment = {
        "metadata": {"name": "d"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    }
    path = "/apis/apps/v1/namespaces/default/deployments"
    assert client.ask("POST", path, deployment).status == 201
    scale = client.ask("GET", f"{path}/d/scale", Accept=KUBECTL).json()
    assert [column["name"] for column in scale["columnDefinitions"]][:2] == ["Name", "Desired"]
    assert scale["rows"][0]["cells"][:3] == ["d", 2, 0]


def test_custom_resources_print_the_columns_of_their_definition() -> None:
    client = make_client()
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert client.ask("POST", path, DEFINITION).status == 201
    things = "/apis/example.com/v1/namespaces/default/things"
    thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}}
    client.ask("POST", things, thing | {"spec": {"size": 4}})
    table = client.ask("GET", things, Accept=KUBECTL).json()
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Size"]
    assert table["rows"][0]["cells"] == ["t", 4]


def test_definition_with_half_a_column_is_refused() -> None:
    definition = {**DEFINITION, "spec": dict(DEFINITION["spec"])}
    version = definition["spec"]["versions"][0] | {"additionalPrinterColumns": [{"name": "Size"}]}
    definition["spec"]["versions"] = [version]
    answer = make_client().ask(
        "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition
    )
    fields = [cause["field"] for cause in answer.json()["details"]["causes"]]
    path = "spec.additionalPrinterColumns[0]"
    assert (answer.status, fields) == (422, [f"{path}.type", f"{path}.JSONPath"])


# --- watches -----------------------------------------------------------------------------------------


def watching(query: str, steps: Callable[[MemoryClient], None], accept: str = KUBECTL) -> Any:
    """Watch nodes a and b while the steps are taken by another client; return the events."""

    async def go() -> list[JsonObject]:
        served = make_served()
        other = MemoryClient(make_api(served))
        for name in ("a", "b"):
            other.ask("POST", NODES, {"metadata": {"name": name}})
        client = MemoryClient(make_api(served))
        path = f"{NODES}?watch=true&{query}"
        client.connection.data_received(encode_request("GET", path, Accept=accept))
        try:
            steps(other)
            return await client.events()
        finally:
            client.connection.close()

    return asyncio.run(go())


def cordon(client: MemoryClient) -> None:
    merge = "application/merge-patch+json"
    client.ask("PATCH", f"{NODES}/a", {"spec": {"unschedulable": True}}, Content_Type=merge)


def test_watch_sends_rows_and_describes_columns_once() -> None:
    events = watching("", cordon)
    assert [event["type"] for event in events] == ["ADDED", "ADDED", "MODIFIED"]
    assert {event["object"]["kind"] for event in events} == {"Table"}
    assert [names(event["object"]) for event in events] == [["a"], ["b"], ["a"]]
    heads = [event["object"]["columnDefinitions"] for event in events]
    assert (len(heads[0]), heads[1:]) == (10, [None, None])
    last = events[-1]["object"]
    assert last["rows"][0]["cells"][1] == "Unknown,SchedulingDisabled"
    version = last["rows"][0]["object"]["metadata"]["resourceVersion"]
    assert last["metadata"]["resourceVersion"] == version


def test_bookmarks_are_tables_that_keep_their_annotation() -> None:
    query = (
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        "&includeObject=None"
    )
    events = watching(query, cordon)
    assert [event["type"] for event in events] == ["ADDED", "ADDED", "BOOKMARK", "MODIFIED"]
    (row,) = events[2]["object"]["rows"]
    assert row["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert events[3]["object"]["rows"][0]["object"] is None


def test_plain_watchers_read_the_stored_bytes() -> None:
    events = watching("", cordon, accept="application/json")
    assert [event["object"]["kind"] for event in events] == ["Node"] * 3
