"""What watchers of any selection know is what a list shows, however they come, stall and come again.

A seed decides everything; a run that fails names its own. `CAPIM_WATCH_SEED` sets it, and
`CAPIM_WATCH_WRITES` how many writes there are: some here, ten thousand where there is time.
"""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import orjson
import pytest

from capim.server.streams import BUFFER_LIMIT_BYTES
from tests.support.groups import PODS, new_group
from tests.support.memory import MemoryClient, encode_request, make_api
from tests.support.served import make_served

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.runtime.resourcegroup import ResourceGroup
    from capim.server.apiserver import ApiServer

WRITES: Final = int(os.environ.get("CAPIM_WATCH_WRITES", "3000"))
SEEDS: Final = [int(seed) for seed in os.environ.get("CAPIM_WATCH_SEED", "1,2").split(",")]
WATCHERS: Final = 50
#: so few that who stalls for long finds its version gone
HISTORY: Final = 150
NAMESPACES: Final = ("default", "other")
VALUES: Final = ("1", "2", "3")
PATHS: Final = ("/api/v1/pods", *(f"/api/v1/namespaces/{name}/pods" for name in NAMESPACES))
LABEL_SELECTORS: Final = ("", "x", "!x", "x=1", "x!=2", "x in (1,2)", "y notin (1)", "x=1,y", "x>1")
FIELD_SELECTORS: Final = (
    "",
    "",
    "metadata.name=p3",
    "spec.nodeName=n1",
    "spec.nodeName!=n1",
    "status.phase=Running",
    "status.phase!=Running,spec.nodeName=n2",
)
JOINS: Final = (
    "",
    "resourceVersion=0&",
    "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&",
)


class Watcher:
    """A client with a selection; it believes its events alone."""

    def __init__(self, api: ApiServer, rng: random.Random) -> None:
        self._api = api
        self._rng = rng
        labels = quote(rng.choice(LABEL_SELECTORS))
        fields = quote(rng.choice(FIELD_SELECTORS))
        self.path = f"{rng.choice(PATHS)}?labelSelector={labels}&fieldSelector={fields}&"
        self.known: dict[tuple[str, str], JsonObject] = {}
        self.version = ""
        self.relisted = self.resumed = 0
        self._client: MemoryClient | None = None
        self.join()

    @property
    def watching(self) -> bool:
        """Whether the stream is open."""
        return self._client is not None

    def join(self) -> None:
        """Begin from nothing, in one of the ways that there are."""
        self.known, self.version = {}, ""
        if self._rng.random() < 0.5:
            self._open(self._rng.choice(JOINS))
        else:
            self.relist()

    def relist(self) -> None:
        """Begin with a list, as clients do that know no other way."""
        listed = MemoryClient(self._api).ask("GET", self.path).json()
        self.known = {_key(item): item["metadata"] for item in listed["items"]}
        self.version = listed["metadata"]["resourceVersion"]
        self._open(f"resourceVersion={self.version}&")

    def resume(self) -> None:
        """Go on from the last version seen."""
        self.resumed += 1
        if self.version:
            self._open(f"resourceVersion={self.version}&")
        else:
            self.join()

    def stall(self) -> None:
        """Read no more: the server may keep this much for a client and then cuts it off."""
        if self._client is not None:
            self._client.transport.waiting = BUFFER_LIMIT_BYTES + 1

    def leave(self) -> None:
        """Break the connection; what was not read is lost."""
        client, self._client = self._client, None
        if client is not None:
            client.connection.connection_lost(None)

    def read(self) -> None:
        """Take what has come."""
        client = self._client
        if client is None:
            return
        if client.transport.aborted:
            self.leave()
            return
        ended = client.reader.feed(client.transport.take())
        lines, client.reader.body = client.reader.body, b""
        for line in b"".join([*(answer.body for answer in ended), lines]).splitlines():
            self._learn(orjson.loads(line))

    def _open(self, query: str) -> None:
        self.leave()
        client = self._client = MemoryClient(self._api)
        client.connection.data_received(encode_request("GET", f"{self.path}{query}watch=true"))

    def _learn(self, event: JsonObject) -> None:
        shown, metadata = event["object"], event["object"]["metadata"]
        if event["type"] == "ERROR":
            assert (shown["code"], shown["reason"]) == (410, "Expired")
            self.relisted += 1
            self.relist()
            return
        assert shown["kind"] == "Pod"
        if event["type"] != "BOOKMARK":
            key = _key(shown)
            assert (event["type"] == "ADDED") == (key not in self.known), event
            self.known[key] = metadata
            if event["type"] == "DELETED":
                del self.known[key]
        # the first state comes in the order of names, not of versions
        self.version = str(max(int(self.version or 0), int(metadata["resourceVersion"])))


def _key(item: JsonObject) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


def _write(group: ResourceGroup, rng: random.Random) -> None:
    """Make, change or delete one of forty pods."""
    namespace, name = rng.choice(NAMESPACES), f"p{rng.randrange(20)}"
    exists = any(stored.name == name for stored in group.list(PODS, namespace).items)
    if exists and rng.random() < 0.2:
        group.delete(PODS, namespace, name)
        return
    labels = {key: rng.choice(VALUES) for key in "xy" if rng.random() < 0.6}
    pod = {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"nodeName": f"n{rng.randrange(3)}"},
        "status": {"phase": rng.choice(("Pending", "Running"))},
    }
    group.apply_own(PODS, namespace, name, lambda old: old | pod | {"metadata": _on(old, pod)})


def _on(old: JsonObject, new: JsonObject) -> JsonObject:
    return {**old["metadata"], **new["metadata"]}


def _disturb(watcher: Watcher, rng: random.Random) -> None:
    """Let a watcher do what happens to clients."""
    if watcher.watching:
        rng.choice((watcher.leave, watcher.stall, watcher.join, watcher.read))()
    elif rng.random() < 0.3:  # the others stay away for a while
        watcher.resume()


async def _run(seed: int, writes: int) -> tuple[int, int]:
    rng = random.Random(seed)  # noqa: S311
    group = new_group(history_events=HISTORY)
    api = make_api(replace(make_served(), group=group))
    watchers = [Watcher(api, rng) for _ in range(WATCHERS // 2)]
    for number in range(writes):
        _write(group, rng)
        if len(watchers) < WATCHERS and number % 20 == 0:
            watchers.append(Watcher(api, rng))
        if number % 5 == 0:
            _disturb(rng.choice(watchers), rng)
            await asyncio.sleep(0)
            rng.choice(watchers).read()
    await _settle(watchers)
    for watcher in watchers:
        listed = MemoryClient(api).ask("GET", watcher.path).json()["items"]
        assert watcher.known == {_key(item): item["metadata"] for item in listed}, watcher.path
        watcher.leave()
    assert group.watches == 0
    return sum(it.relisted for it in watchers), sum(it.resumed for it in watchers)


async def _settle(watchers: list[Watcher]) -> None:
    """Let everybody come back, and read to the end."""
    for watcher in watchers:
        await asyncio.sleep(0)
        watcher.read()
        if not watcher.watching:
            watcher.resume()
    for _ in range(3):  # an answer of 410, then a list, then its watch
        await asyncio.sleep(0)
        for watcher in watchers:
            watcher.read()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
def test_every_watcher_knows_what_a_list_shows(seed: int) -> None:
    print(f"CAPIM_WATCH_SEED={seed} CAPIM_WATCH_WRITES={WRITES}")  # noqa: T201 - shown when it fails
    relisted, resumed = asyncio.run(_run(seed, WRITES))
    assert relisted, "history was long enough for everybody: nothing was shown about 410"
    assert resumed > relisted
