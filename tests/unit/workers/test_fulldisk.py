"""What clients meet while a journal cannot be written, and after."""

from __future__ import annotations

import asyncio
import http.client
import random
from typing import TYPE_CHECKING

import pytest

from capim.aio.clock import wall_clock
from capim.api.gvk import NamespacedName
from capim.api.workload import ClusterSpec
from capim.runtime.workload import WorkloadCluster
from capim.server.served import Served
from tests.support.served import ask, connected, make_authorities, resource, running
from workers import journal as j

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

SPEC = ClusterSpec(NamespacedName("default", "one"), "u1", "127.0.0.1", 0, "127.0.0.1:0")
MAPS = "/api/v1/namespaces/default/configmaps"


def make(spec: ClusterSpec, first_version: int | None) -> WorkloadCluster:
    rng = random.Random(1)  # noqa: S311 - uids of a test
    return WorkloadCluster(spec, clock=wall_clock, rng=rng, first_version=first_version or 1000)


def config_map(name: str) -> dict[str, object]:
    return {"metadata": {"name": name}, "data": {"text": name * 9999}}


def make_full(journal: j.Journal, is_so: bool) -> None:
    """Let the journal's file grow no more, or again."""
    database = journal._file._database

    def limit() -> None:
        pages = database.execute("PRAGMA page_count").fetchone()[0] if is_so else 1 << 30
        database.execute(f"PRAGMA max_page_count={pages}")

    journal._thread.submit(limit).result()


def fill(port: int, context: ssl.SSLContext, journal: j.Journal) -> None:
    """Write until the disk is full, and after; read all the while."""
    with connected(port, context) as client:
        assert ask(client, "POST", MAPS, config_map("before")).status == 201
        make_full(journal, True)
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            ask(client, "POST", MAPS, config_map("in-flight"))
    with connected(port, context) as client:
        refused = ask(client, "POST", MAPS, config_map("refused"))
        assert refused.status == 500
        assert (
            "the journal cannot be written: database or disk is full" in refused.json()["message"]
        )
        assert ask(client, "GET", f"{MAPS}/before").json()["data"] == config_map("before")["data"]
        assert ask(client, "DELETE", f"{MAPS}/before").status == 500
    make_full(journal, False)


def write_again(port: int, context: ssl.SSLContext) -> None:
    with connected(port, context) as client:
        assert ask(client, "POST", MAPS, config_map("after")).status == 201


def test_a_full_disk_refuses_writes_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(j, "_RETRY_S", 0.01)
    written, note = asyncio.Event(), j.ClusterJournal.written

    def noted(self: j.ClusterJournal, number: int) -> None:
        note(self, number)
        written.set()

    monkeypatch.setattr(j.ClusterJournal, "written", noted)

    async def first() -> None:
        journal = j.Journal(tmp_path / "w.journal", full_sync=False, clock=wall_clock)
        cluster = journal.build(SPEC, make)
        namespace = {"metadata": {"name": "default"}}
        cluster.group.create(resource("namespaces"), "", namespace, keep_status=True)
        served = Served(
            "default/one", "127.0.0.1", 0, "127.0.0.1", cluster.group, cluster.etcd,
            lambda: "v1.35.0", make_authorities(wall_clock()), barrier=journal.of(cluster),
        )  # fmt: skip
        async with running(served, clock=wall_clock) as one:
            where = one.listener.port, one.client_context(groups=("system:masters",))
            await asyncio.to_thread(fill, *where, journal)
            while journal.broken:
                written.clear()
                await asyncio.wait_for(written.wait(), 10)
            await asyncio.to_thread(write_again, *where)
        await journal.close()

    async def second() -> None:
        journal = j.Journal(tmp_path / "w.journal", full_sync=False, clock=wall_clock)
        cluster = journal.build(SPEC, make)
        found = cluster.group.list(resource("configmaps"), "default").items
        assert [stored.name for stored in found] == ["after", "before", "in-flight"]
        assert not journal.damage("u1")
        await journal.close()

    asyncio.run(first())
    asyncio.run(second())
