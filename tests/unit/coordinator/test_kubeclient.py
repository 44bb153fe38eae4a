"""The client: errors as the API means them, reads that insist, writes that do not, one token a request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from capim.api.errors import APIError
from capim.api.gvk import GVR
from coordinator.kube.client import object_path
from coordinator.kube.limiter import TokenBucket
from tests.support.kubeapi import KubeApi, make_client, serve

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from coordinator.kube.client import KubeClient

SECRETS = GVR("", "v1", "secrets")
LEASES = GVR("coordination.k8s.io", "v1", "leases")


def run(use: Callable[[KubeApi, KubeClient], Awaitable[None]]) -> None:
    async def scenario() -> None:
        api = KubeApi()
        async with serve(api) as client:
            await use(api, client)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("gvr", "namespace", "name", "subresource", "expected"),
    [
        pytest.param(SECRETS, "", "", "", "/api/v1/secrets", id="core-all"),
        pytest.param(SECRETS, "a", "b", "", "/api/v1/namespaces/a/secrets/b", id="core-one"),
        pytest.param(
            LEASES,
            "a",
            "b",
            "status",
            "/apis/coordination.k8s.io/v1/namespaces/a/leases/b/status",
            id="group-subresource",
        ),
        pytest.param(SECRETS, "a", "b/c", "", "/api/v1/namespaces/a/secrets/b%2Fc", id="quoted"),
    ],
)
def test_paths(gvr: GVR, namespace: str, name: str, subresource: str, expected: str) -> None:
    assert object_path(gvr, namespace, name, subresource) == expected


def test_what_is_written_is_read_and_listed_with_its_kind() -> None:
    async def use(_api: KubeApi, client: KubeClient) -> None:
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
        created = await client.create(SECRETS, "default", body)
        patched = await client.patch(SECRETS, "default", "s", {"data": {"a": "Yg=="}})
        assert patched["metadata"]["uid"] == created["metadata"]["uid"]
        assert (await client.get(SECRETS, "default", "s"))["data"] == {"a": "Yg=="}
        listed = await client.list(SECRETS)
        assert [(item["kind"], item["apiVersion"]) for item in listed.items] == [("Secret", "v1")]
        assert listed.resource_version == patched["metadata"]["resourceVersion"]

    run(use)


def test_a_refusal_is_the_apis_own_error() -> None:
    async def use(_api: KubeApi, client: KubeClient) -> None:
        with pytest.raises(APIError) as refused:
            await client.get(SECRETS, "default", "none")
        assert (refused.value.reason, refused.value.code) == ("NotFound", 404)

    run(use)


def test_a_patch_of_an_older_version_is_a_conflict() -> None:
    async def use(_api: KubeApi, client: KubeClient) -> None:
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
        created = await client.create(SECRETS, "default", body)
        version = {"metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}}
        await client.patch(SECRETS, "default", "s", {"data": {"a": "Yg=="}, **version})
        with pytest.raises(APIError) as refused:
            await client.patch(SECRETS, "default", "s", {"data": {"a": "Yw=="}, **version})
        assert (refused.value.reason, refused.value.code) == ("Conflict", 409)

    run(use)


@pytest.mark.parametrize("fault", [429, 500, 503])
def test_reads_insist_and_writes_do_not(fault: int) -> None:
    async def use(api: KubeApi, client: KubeClient) -> None:
        api.faults = [fault, fault]
        await client.list(SECRETS)
        assert len(api.requests) == 3
        api.faults = [fault]
        with pytest.raises(APIError) as refused:
            await client.patch(SECRETS, "default", "s", {})
        assert refused.value.code == fault

    run(use)


def test_reads_give_up_after_a_while_and_at_once_where_asking_again_is_no_use() -> None:
    async def use(api: KubeApi, client: KubeClient) -> None:
        api.faults = [500] * 10
        with pytest.raises(APIError):
            await client.list(SECRETS)
        assert len(api.requests) == 5
        api.requests.clear()
        api.faults = [403]
        with pytest.raises(APIError):
            await client.list(SECRETS)
        assert len(api.requests) == 1

    run(use)


def test_the_servers_wish_to_wait_is_told() -> None:
    async def use(api: KubeApi, client: KubeClient) -> None:
        api.faults, api.retry_after = [429], "7"
        with pytest.raises(APIError) as refused:
            await client.create(SECRETS, "default", {})
        assert refused.value.retry_after_s == 7

    run(use)


def test_an_unreachable_server_is_unavailable() -> None:
    async def scenario() -> None:
        client = make_client("http://127.0.0.1:1")
        try:
            with pytest.raises(APIError) as refused:
                await client.create(SECRETS, "default", {})
            assert refused.value.code == 503
            assert "cannot be reached" in refused.value.message
            assert "--kubeconfig" in refused.value.message
        finally:
            await client.close()

    asyncio.run(scenario())


def test_a_burst_is_free_and_then_the_rate_holds() -> None:
    bucket = TokenBucket(qps=10, burst=2)
    assert [bucket.reserve(0.0) for _ in range(4)] == [0.0, 0.0, 0.1, 0.2]
    assert bucket.reserve(0.3) == 0.0
    assert bucket.reserve(100.0) == 0.0  # a long pause fills the bucket no further than the burst
    assert [bucket.reserve(100.0) for _ in range(2)] == [0.0, 0.1]


def test_no_rate_is_no_limit() -> None:
    bucket = TokenBucket(qps=0, burst=1)
    assert {bucket.reserve(0.0) for _ in range(100)} == {0.0}
