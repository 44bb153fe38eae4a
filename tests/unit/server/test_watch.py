"""Watches as client-go asks for them: first states, replay, bookmarks, ends, and 410 as a status."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from capim.api.resources import WORKLOAD_RESOURCES
from capim.server.routes import RequestInfo, parse_request
from capim.server.watch import WatchPlan, plan_watch
from tests.support.memory import MemoryClient, encode_request, make_api
from tests.support.served import make_served, resource

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from capim.api.meta import JsonObject
    from capim.runtime.resourcegroup import ResourceGroup

NODES = "/api/v1/nodes?watch=true"


def watching(query: str, steps: Callable[[MemoryClient, ResourceGroup], Awaitable[Any]]) -> Any:
    """Open a watch on nodes a and b, then do the steps on its loop."""

    async def go() -> Any:
        served = make_served()
        for name in ("a", "b"):
            make_node(served.group, name)
        client = MemoryClient(make_api(served))
        client.connection.data_received(encode_request("GET", f"{NODES}&{query}"))
        try:
            return await steps(client, served.group)
        finally:
            client.connection.close()
            assert served.group.watches == 0

    return asyncio.run(go())


def make_node(group: ResourceGroup, name: str, **labels: str) -> None:
    group.create(resource("nodes"), "", {"metadata": {"name": name, "labels": labels}})


def seen(events: list[JsonObject]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


@pytest.mark.parametrize("query", ["", "resourceVersion=0"])
def test_without_a_version_the_present_comes_first(query: str) -> None:
    async def steps(client: MemoryClient, group: ResourceGroup) -> list[tuple[str, str]]:
        make_node(group, "c")
        group.delete(resource("nodes"), "", "a")
        return seen(await client.events())

    got = watching(query, steps)
    assert got == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c"), ("DELETED", "a")]


def test_exact_version_replays_what_came_after() -> None:
    async def steps(client: MemoryClient, _: ResourceGroup) -> list[tuple[str, str]]:
        return seen(await client.events())

    assert watching("resourceVersion=1004", steps) == [("ADDED", "b")]


@pytest.mark.parametrize("version", ["5", "999999"], ids=["past", "future"])
def test_version_not_held_is_an_event_and_the_end(version: str) -> None:
    async def steps(client: MemoryClient, _: ResourceGroup) -> None:
        (answer,) = client.reader.feed(client.transport.take())
        event = answer.json()
        assert (answer.status, event["type"]) == (200, "ERROR")
        assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")

    watching(f"resourceVersion={version}", steps)


def test_present_that_is_yet_to_come_is_an_event_and_the_end() -> None:
    async def steps(client: MemoryClient, _: ResourceGroup) -> None:
        (answer,) = client.reader.feed(client.transport.take())
        refusal = answer.json()["object"]
        assert (answer.status, refusal["code"], refusal["reason"]) == (200, 504, "Timeout")

    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=99999"
    watching(query, steps)


def test_streaming_list_ends_its_first_state_with_a_bookmark() -> None:
    query = (
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion="
        "&allowWatchBookmarks=true"
    )

    async def steps(client: MemoryClient, group: ResourceGroup) -> list[JsonObject]:
        make_node(group, "c")
        return await client.events()

    events = watching(query, steps)
    assert seen(events) == [("ADDED", "a"), ("ADDED", "b"), ("BOOKMARK", ""), ("ADDED", "c")]
    mark = events[2]["object"]
    assert (mark["kind"], mark["apiVersion"]) == ("Node", "v1")
    assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert mark["metadata"]["resourceVersion"] == events[1]["object"]["metadata"]["resourceVersion"]


def test_streaming_list_without_initial_events_is_live_only() -> None:
    async def steps(client: MemoryClient, group: ResourceGroup) -> list[tuple[str, str]]:
        make_node(group, "c")
        return seen(await client.events())

    query = "sendInitialEvents=false&resourceVersionMatch=NotOlderThan"
    assert watching(query, steps) == [("ADDED", "c")]


def test_selectors_hold_for_the_stream() -> None:
    async def steps(client: MemoryClient, group: ResourceGroup) -> list[tuple[str, str]]:
        make_node(group, "c", tier="control-plane", component="etcd")
        make_node(group, "d", tier="control-plane", component="other")
        group.apply_own(
            resource("nodes"),
            "",
            "c",
            lambda it: it | {"metadata": {**it["metadata"], "labels": {}}},
        )
        return seen(await client.events())

    query = "labelSelector=tier%3Dcontrol-plane%2Ccomponent%20in%20(etcd%2Ckube-apiserver)"
    assert watching(query, steps) == [("ADDED", "c"), ("DELETED", "c")]


def test_bookmarks_come_about_every_minute_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capim.server.watch._BOOKMARK_S", 0.01)

    async def steps(client: MemoryClient, group: ResourceGroup) -> None:
        await client.events()
        marks: list[JsonObject] = []
        async with asyncio.timeout(5):
            while len(marks) < 2:
                marks += await client.events()
        assert {event["type"] for event in marks} == {"BOOKMARK"}
        assert marks[0]["object"]["metadata"]["resourceVersion"] == str(group.resource_version)

    watching("allowWatchBookmarks=true", steps)


def test_watch_ends_with_its_timeout_and_the_connection_lives_on() -> None:
    async def steps(client: MemoryClient, _: ResourceGroup) -> None:
        async with asyncio.timeout(5):
            while not (answers := client.reader.feed(client.transport.take())):  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert answers[0].status == 200
        assert client.ask("GET", "/readyz").status == 200

    watching("timeout=20ms", steps)


def test_refused_parameters() -> None:
    async def steps(client: MemoryClient, _: ResourceGroup) -> int:
        (answer,) = client.reader.feed(client.transport.take())
        return answer.status

    assert watching("sendInitialEvents=true", steps) == 422
    assert watching("resourceVersionMatch=NotOlderThan", steps) == 422
    assert watching("resourceVersion=x", steps) == 500
    assert watching("timeoutSeconds=x", steps) == 400
    assert watching("labelSelector=a%20in", steps) == 400


def _plan(query: str) -> WatchPlan:
    info = parse_request(WORKLOAD_RESOURCES, "GET", f"{NODES}&{query}")
    assert isinstance(info, RequestInfo)
    return plan_watch(info, random.Random(1))  # noqa: S311


@pytest.mark.parametrize(
    ("query", "expected_s"),
    [
        pytest.param("timeoutSeconds=300", 300, id="as-asked"),
        pytest.param("timeoutSeconds=300&timeout=10s", 9.5, id="before-the-client"),
        pytest.param("timeout=11m", 627, id="before-a-patient-client"),
        pytest.param("timeout=500ms", 0.25, id="before-a-hasty-client"),
        pytest.param("timeoutSeconds=5&timeout=junk", 5, id="junk-is-ignored"),
    ],
)
def test_timeout(query: str, expected_s: float) -> None:
    assert _plan(query).timeout_s == pytest.approx(expected_s)


def test_default_timeouts_are_spread() -> None:
    info = parse_request(WORKLOAD_RESOURCES, "GET", NODES)
    assert isinstance(info, RequestInfo)
    rng = random.Random(1)  # noqa: S311
    drawn = [plan_watch(info, rng).timeout_s for _ in range(50)]
    assert min(drawn) >= 1800
    assert max(drawn) <= 3600
    assert max(drawn) - min(drawn) > 600
