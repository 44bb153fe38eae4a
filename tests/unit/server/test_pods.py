"""What answers for containers that do not run: logs, exec, proxies, bindings."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from tests.support.memory import MemoryClient, encode_request, make_api

PODS = "/api/v1/namespaces/default/pods"
STARTED = "2023-11-14T22:00:00Z"


@pytest.fixture
def client() -> MemoryClient:
    made = MemoryClient(make_api())
    containers = [{"name": "a", "image": "x"}, {"name": "b", "image": "x"}]
    pod = {"metadata": {"name": "p"}, "spec": {"containers": containers}}
    assert made.ask("POST", PODS, pod).status == 201
    return made


def run(client: MemoryClient) -> None:
    """Bind the pod and let its container `a` run."""
    client.ask("POST", "/api/v1/nodes", {"metadata": {"name": "n"}})
    target = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    assert client.ask("POST", f"{PODS}/p/binding", target).status == 201
    state = {"name": "a", "image": "x", "state": {"running": {"startedAt": STARTED}}}
    waiting = {"name": "b", "image": "x", "state": {"waiting": {"reason": "ErrImagePull"}}}
    status = {"status": {"phase": "Running", "containerStatuses": [state, waiting]}}
    merge = "application/merge-patch+json"
    assert client.ask("PATCH", f"{PODS}/p/status", status, Content_Type=merge).status == 200


def test_log_of_a_pod_without_a_node_is_nothing(client: MemoryClient) -> None:
    assert client.ask("GET", f"{PODS}/p/log?container=a").status == 204
    assert client.ask("GET", f"{PODS}/none/log").status == 404


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", "a: started\na: simulated, no process runs\n"),
        ("&tailLines=1", "a: simulated, no process runs\n"),
        ("&tailLines=0", ""),
        ("&limitBytes=3", "a: "),
        ("&sinceSeconds=1", ""),
        ("&sinceTime=2023-01-01T00:00:00Z&tailLines=1", "a: simulated, no process runs\n"),
        ("&timestamps=true&limitBytes=20", STARTED),
    ],
)
def test_log_has_lines_that_say_what_it_is(client: MemoryClient, query: str, body: str) -> None:
    run(client)
    answer = client.ask("GET", f"{PODS}/p/log?container=a{query}")
    assert (answer.status, answer.body.decode()) == (200, body)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "a container name must be specified for pod p, choose one of: [a b]"),
        ("?container=z", "container z is not valid for pod p"),
        ("?container=b", 'container "b" in pod "p" is waiting to start: ErrImagePull'),
        (
            "?container=a&tailLines=-1",
            'PodLogOptions "p" is invalid: tailLines: Invalid value: -1: '
            "must be greater than or equal to 0",
        ),
    ],
)
def test_log_refuses(client: MemoryClient, query: str, message: str) -> None:
    run(client)
    assert client.ask("GET", f"{PODS}/p/log{query}").json()["message"] == message


def test_followed_log_ends_with_its_pod(client: MemoryClient) -> None:
    run(client)

    async def follow() -> None:
        assert client.send(encode_request("GET", f"{PODS}/p/log?container=a&follow=true")) == []
        await asyncio.sleep(0)
        assert client.reader.feed(client.transport.take()) == []
        assert client.reader.body.startswith(b"a: started")
        other = MemoryClient(client.connection._application)
        other.ask("DELETE", f"{PODS}/p?gracePeriodSeconds=0")
        await asyncio.sleep(0)
        (answer,) = client.reader.feed(client.transport.take())
        assert answer.status == 200

    asyncio.run(follow())


def test_nothing_runs_in_a_container(client: MemoryClient) -> None:
    path = f"{PODS}/p/exec?command=ls&container=a"
    assert client.ask("POST", path).json()["message"] == "pod p does not have a host assigned"
    run(client)
    assert client.ask("POST", path).json()["message"] == "Upgrade request required"
    (refused,) = client.send(encode_request("POST", path, Connection="Upgrade", Upgrade="SPDY/3.1"))
    assert "no process runs in it" in orjson.loads(refused.body)["message"]


@pytest.mark.parametrize("rest", ["", "/", "/metrics", "/a//b"])
def test_nothing_listens_behind_a_proxy(client: MemoryClient, rest: str) -> None:
    assert client.ask("GET", f"{PODS}/p:80/proxy{rest}").status == 503
    assert client.ask("GET", f"{PODS}/https:p:80/proxy{rest}").status == 503
    assert client.ask("GET", f"{PODS}/q/proxy{rest}").status == 404


def test_a_pod_is_bound_once(client: MemoryClient) -> None:
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    path = "/api/v1/namespaces/default/bindings"
    assert client.ask("POST", path, binding | {"target": {}}).status == 422
    assert client.ask("POST", path, binding).json()["status"] == "Success"
    pod = client.ask("GET", f"{PODS}/p").json()
    assert pod["spec"]["nodeName"] == "n"
    assert pod["status"]["conditions"][0]["type"] == "PodScheduled"
    again = client.ask("POST", path, binding).json()
    assert again["message"].endswith('pod p is already assigned to node "n"')
