"""Informers: in step with the API through watches that end, history that is gone, and faults."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, Any

import pytest

from capim.aio.tasks import TaskScope
from capim.api.gvk import GVR, NamespacedName
from coordinator.kube import informers
from coordinator.kube.informers import Informer, Scope, Store
from tests.support.kubeapi import Calm, KubeApi, serve, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from capim.api.meta import JsonObject
    from coordinator.kube.client import KubeClient

SECRETS = GVR("", "v1", "secrets")


def secret(name: str, **data: str) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": "default", "name": name},
        "data": data,
    }


class Log:
    """What an informer told: (before's data, after's data) by name; None: not there."""

    def __init__(self, informer: Informer) -> None:
        self.told: list[tuple[str, Any, Any]] = []
        informer.on_change(self._note)

    def _note(self, before: JsonObject | None, after: JsonObject | None) -> None:
        obj = after or before
        assert obj is not None
        name = obj["metadata"]["name"]
        self.told.append((name, before and before.get("data"), after and after.get("data")))


@contextlib.asynccontextmanager
async def running(
    api: KubeApi, client: KubeClient, **options: Any
) -> AsyncIterator[tuple[Informer, Log]]:
    informer = Informer(client, Scope(SECRETS), rng=Calm(), **options)
    log = Log(informer)
    async with TaskScope() as scope:
        scope.spawn(informer.run(), name="informer")
        scope.spawn(informer.resync(), name="resync")
        await asyncio.wait_for(informer.synced.wait(), 10)
        yield informer, log
        api.end_watches()


def key(name: str) -> NamespacedName:
    return NamespacedName("default", name)


def test_list_then_watch_tells_every_change_once() -> None:
    async def scenario() -> None:
        api = KubeApi()
        first = api.create(SECRETS, secret("a", x="MQ=="))
        async with serve(api) as client, running(api, client) as (informer, log):
            assert log.told == [("a", None, {"x": "MQ=="})]
            api.merge(SECRETS, first, {"data": {"x": "Mg=="}})
            api.create(SECRETS, secret("b", x="Mw=="))
            api.group.delete(api.resource(SECRETS), "default", "a")
            await until(lambda: len(log.told) == 4)
            assert log.told[1:] == [
                ("a", {"x": "MQ=="}, {"x": "Mg=="}),
                ("b", None, {"x": "Mw=="}),
                ("a", {"x": "Mg=="}, None),
            ]
            assert informer.get(key("a")) is None
            assert [one["metadata"]["name"] for one in informer.all()] == ["b"]

    asyncio.run(scenario())


def test_a_watch_that_ends_goes_on_where_it_was() -> None:
    async def scenario() -> None:
        api = KubeApi()
        async with serve(api) as client, running(api, client) as (informer, _):
            for name in ("a", "b", "c"):
                api.end_watches()
                api.create(SECRETS, secret(name))
                await until(functools.partial(informer.get, key(name)))
            lists = [path for _, path in api.requests if "watch" not in path]
            assert len(lists) == 1

    asyncio.run(scenario())


def test_history_that_is_gone_is_listed_again_and_deletes_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        api = KubeApi()
        api.create(SECRETS, secret("a", x="MQ=="))
        async with serve(api) as client, running(api, client) as (informer, log):
            api.faults = [410]
            api.group.delete(api.resource(SECRETS), "default", "a")
            api.create(SECRETS, secret("b", x="Mg=="))
            api.end_watches()
            await until(lambda: informer.get(key("b")) is not None and not api.faults)
            await until(lambda: informer.get(key("a")) is None)
            assert ("a", {"x": "MQ=="}, None) in log.told

    monkeypatch.setattr(informers, "_FIRST_BACKOFF_S", 0.001)
    asyncio.run(scenario())


def test_faults_and_a_late_server_delay_but_do_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        api = KubeApi()
        api.create(SECRETS, secret("a"))
        api.faults = [500] * 7  # more than one read insists
        async with serve(api) as client, running(api, client) as (informer, _):
            assert informer.get(key("a")) is not None
            api.faults = [500, 403]
            api.end_watches()
            api.create(SECRETS, secret("b"))
            await until(lambda: informer.get(key("b")) is not None)

    monkeypatch.setattr(informers, "_FIRST_BACKOFF_S", 0.001)
    asyncio.run(scenario())


def test_a_learnt_write_tells_nobody_and_its_event_neither() -> None:
    async def scenario() -> None:
        api = KubeApi()
        api.create(SECRETS, secret("a", x="MQ=="))
        async with serve(api) as client, running(api, client) as (informer, log):
            written = await client.patch(SECRETS, "default", "a", {"data": {"x": "Mg=="}})
            informer.learn(written)
            api.create(SECRETS, secret("z"))
            await until(lambda: informer.get(key("z")) is not None)
            held = informer.get(key("a"))
            assert held is not None
            assert held["data"] == {"x": "Mg=="}
            names = [name for name, _, _ in log.told]
            assert names in (["a", "z"], ["a", "a", "z"])  # the event may have been faster

    asyncio.run(scenario())


def versioned(name: str, version: str, uid: str = "u") -> JsonObject:
    metadata = {"namespace": "default", "name": name, "resourceVersion": version, "uid": uid}
    return {"metadata": metadata}


@pytest.mark.parametrize(
    ("held", "learnt", "kept"),
    [
        pytest.param(versioned("a", "5"), versioned("a", "6"), "6", id="newer"),
        pytest.param(versioned("a", "5"), versioned("a", "4"), "5", id="older"),
        pytest.param(versioned("a", "5"), versioned("a", "9", "v"), "5", id="another-life"),
        pytest.param(None, versioned("a", "9"), None, id="gone"),
    ],
)
def test_only_news_of_what_is_there_is_learnt(
    held: JsonObject | None, learnt: JsonObject, kept: str | None
) -> None:
    async def scenario() -> None:
        api = KubeApi()
        async with serve(api) as client:
            informer = Informer(client, Scope(SECRETS), rng=Calm())
            if held is not None:
                informer._store.put(held)
            informer.learn(learnt)
            got = informer.get(key("a"))
            assert (got and got["metadata"]["resourceVersion"]) == kept

    asyncio.run(scenario())


def test_resync_tells_what_has_not_changed() -> None:
    async def scenario() -> None:
        api = KubeApi()
        api.create(SECRETS, secret("a", x="MQ=="))
        async with serve(api) as client, running(api, client, resync_s=0.01) as (_, log):
            await until(lambda: len(log.told) > 2)
            assert set(map(repr, log.told[1:])) == {repr(("a", {"x": "MQ=="}, {"x": "MQ=="}))}

    asyncio.run(scenario())


def test_the_index_follows_changes() -> None:
    def labelled(name: str, color: str, version: str) -> JsonObject:
        obj = versioned(name, version)
        obj["metadata"]["labels"] = {"color": color}
        return obj

    store = Store(lambda obj: str(obj["metadata"]["labels"]["color"]))
    store.put(labelled("b", "red", "1"))
    store.put(labelled("a", "red", "2"))
    assert [obj["metadata"]["name"] for obj in store.by_index("default", "red")] == ["a", "b"]
    store.put(labelled("a", "blue", "3"))
    store.remove(key("b"))
    assert store.by_index("default", "red") == []
    assert [obj["metadata"]["name"] for obj in store.by_index("default", "blue")] == ["a"]
    assert store.by_index("other", "blue") == []
