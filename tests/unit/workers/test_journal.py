"""Group commit: what waits for it, what a crash leaves, and what happens when nothing can be written."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from capim.aio.clock import ManualClock
from capim.aio.tasks import TaskScope
from capim.api.gvk import GVR, NamespacedName
from capim.api.workload import ClusterSpec, MachineSpec
from capim.messaging import envelope as m
from capim.runtime.workload import WorkloadCluster
from workers import journal as j
from workers.journalfile import JournalFile
from workers.journalmetrics import JournalMetrics
from workers.state import WorkerState

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from pathlib import Path

    from workers.journalfile import Entry

KEY = NamespacedName("default", "one")
CONFIG_MAPS = GVR("", "v1", "configmaps")
CLOCK = ManualClock()


def spec(uid: str = "u1") -> ClusterSpec:
    return ClusterSpec(KEY, uid, "10.0.0.1", 20000, "10.0.0.1:20000")


def make(cluster: ClusterSpec, first_version: int | None) -> WorkloadCluster:
    rng = random.Random(1)  # noqa: S311 - uids of a test
    return WorkloadCluster(cluster, clock=CLOCK, rng=rng, first_version=first_version or 1000)


def write(cluster: WorkloadCluster, name: str) -> None:
    resource = cluster.group.resources.by_gvr(CONFIG_MAPS)
    assert resource is not None
    cluster.group.create(resource, "default", {"metadata": {"name": name}}, keep_status=True)


def names(cluster: WorkloadCluster) -> list[str]:
    resource = cluster.group.resources.by_gvr(CONFIG_MAPS)
    assert resource is not None
    return [stored.name for stored in cluster.group.list(resource, "default").items]


def uids(path: Path) -> set[str]:
    """Return the clusters that a file holds."""
    with contextlib.closing(JournalFile(path, full_sync=False)) as file:
        return file.uids


def started(cluster: WorkloadCluster) -> WorkloadCluster:
    """Bring a namespace into being, for the writes."""
    namespaces = cluster.group.resources.by_gvr(GVR("", "v1", "namespaces"))
    assert namespaces is not None
    cluster.group.create(namespaces, "", {"metadata": {"name": "default"}}, keep_status=True)
    return cluster


def run(path: Path, scenario: Callable[[j.Journal], Coroutine[None, None, None]]) -> None:
    """Run a scenario with a journal, in one life of a worker."""

    async def life() -> None:
        journal = j.Journal(path, full_sync=False, clock=CLOCK)
        try:
            await scenario(journal)
        finally:
            await journal.close()

    asyncio.run(life())


def test_a_change_is_seen_when_it_is_written_down(tmp_path: Path) -> None:
    async def scenario(journal: j.Journal) -> None:
        cluster = started(journal.build(spec(), make))
        mine, seen = journal.of(cluster), asyncio.Event()
        write(cluster, "a")
        assert mine.position == mine.saved + 1
        mine.when_saved(mine.position, seen.set)
        assert not seen.is_set()
        await seen.wait()
        assert mine.position == mine.saved
        seen.clear()
        mine.when_saved(mine.position, seen.set)
        assert seen.is_set(), "nothing waits where nothing has changed"

    run(tmp_path / "w.journal", scenario)


def test_the_next_life_has_what_was_written_and_goes_on(tmp_path: Path) -> None:
    path, versions = tmp_path / "w.journal", []

    async def first(journal: j.Journal) -> None:
        cluster = started(journal.build(spec(), make))
        write(cluster, "a")
        cluster.ensure_machine(MachineSpec(KEY, "w", "uid-w", False, "v1.35.0", "in-memory://w"))
        versions.append(cluster.group.resource_version)

    async def second(journal: j.Journal) -> None:
        cluster = journal.build(spec(), make)
        assert names(cluster) == ["a"]
        assert list(cluster.machines) == ["w"]
        assert cluster.group.resource_version == versions[0]
        write(cluster, "b")
        journal.touch(cluster)
        await journal.settle()
        journal.forget(cluster.spec.uid)

    async def third(journal: j.Journal) -> None:
        assert journal.build(spec(), make).group.resource_version == 1000, "it was deleted"

    for life in (first, second, third):
        run(path, life)


def test_nothing_is_written_of_a_cluster_that_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "w.journal"

    async def scenario(journal: j.Journal) -> None:
        cluster, said = started(journal.build(spec(), make)), []
        mine = journal.of(cluster)
        mine.when_saved(mine.position, lambda: said.append("held"))
        journal.forget(cluster.spec.uid)
        assert said == ["held"], "nobody waits for it any more"
        write(cluster, "a")
        mine.when_saved(mine.position, lambda: said.append("later"))
        assert said == ["held", "later"]
        await journal.settle()

    run(path, scenario)
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM frame").fetchone() == (0,)


def test_a_cluster_that_is_given_away_is_freed_when_its_last_changes_are_written_down(
    tmp_path: Path,
) -> None:
    path = tmp_path / "w.journal"

    async def first(journal: j.Journal) -> None:
        cluster = started(journal.build(spec(), make))
        write(cluster, "a")
        journal.touch(cluster)
        await asyncio.sleep(0)  # a commit is under way; what follows is for the next one
        write(cluster, "b")
        journal.drop(cluster)
        await journal.let_go(cluster)
        assert len(cluster.group.history) == 0

    async def second(journal: j.Journal) -> None:
        assert names(journal.build(spec(), make)) == ["a", "b"]

    run(path, first)
    run(path, second)


def test_a_worker_writes_nothing_more_of_a_cluster_that_it_is_to_remove(tmp_path: Path) -> None:
    path = tmp_path / "w.journal"

    async def scenario(journal: j.Journal) -> None:
        state = WorkerState("w", life="a", pid=1, clock=CLOCK, steady=CLOCK, keeper=journal)
        list(state.handle(m.EnsureCluster(1, spec())))
        write(started(state.clusters[KEY].cluster), "a")
        list(state.handle(m.RemoveCluster(1, KEY, "u1")))

    run(path, scenario)
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM frame").fetchone() == (0,)


def test_who_waits_for_the_next_commit_does_not_wait_for_a_forgotten_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, append = threading.Event(), JournalFile.append

    def slow(self: JournalFile, entries: Iterable[Entry]) -> None:
        gate.wait()
        append(self, entries)

    monkeypatch.setattr(JournalFile, "append", slow)

    async def scenario(journal: j.Journal) -> None:
        first, second = (started(journal.build(spec(uid), make)) for uid in ("u1", "u2"))
        journal.touch(first)
        await asyncio.sleep(0)  # the commit of the first is under way
        journal.touch(second)
        async with TaskScope() as scope:
            waiting = scope.spawn(journal.settle(), name="settle")
            await asyncio.sleep(0)
            journal.forget("u2")
            gate.set()
            await asyncio.wait_for(waiting, 10)

    run(tmp_path / "w.journal", scenario)


def test_changes_of_many_clusters_share_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    append = JournalFile.append

    def counted(self: JournalFile, entries: Iterable[Entry]) -> None:
        found = list(entries)
        commits.append(len(found))
        append(self, found)

    monkeypatch.setattr(JournalFile, "append", counted)

    async def scenario(journal: j.Journal) -> None:
        clusters = [started(journal.build(spec(f"u{n}"), make)) for n in range(20)]
        for cluster in clusters:
            journal.touch(cluster)
        await journal.settle()
        assert commits == [20]
        gate = threading.Event()

        def slow(self: JournalFile, entries: Iterable[Entry]) -> None:
            gate.wait()
            counted(self, entries)

        monkeypatch.setattr(JournalFile, "append", slow)
        for number in range(30):
            write(clusters[0], f"a{number}")
            journal.touch(clusters[0])
            await asyncio.sleep(0)
        gate.set()
        await journal.settle()
        assert len(commits) <= 3

    run(tmp_path / "w.journal", scenario)


def test_what_cannot_be_written_is_told_and_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(j, "_RETRY_S", 0.0)
    path, append, full = tmp_path / "w.journal", JournalFile.append, [True]
    written, note = asyncio.Event(), j.ClusterJournal.written

    def noted(self: j.ClusterJournal, number: int) -> None:
        note(self, number)
        written.set()

    def sometimes(self: JournalFile, entries: Iterable[Entry]) -> None:
        if full[0]:
            raise sqlite3.OperationalError("database or disk is full")
        append(self, entries)

    monkeypatch.setattr(JournalFile, "append", sometimes)
    monkeypatch.setattr(j.ClusterJournal, "written", noted)

    async def first(journal: j.Journal) -> None:
        cluster, told = started(journal.build(spec(), make)), asyncio.Event()
        mine = journal.of(cluster)
        mine.when_saved(mine.position, told.set)
        await told.wait()
        assert mine.broken == "database or disk is full"
        assert mine.saved == 0
        write(cluster, "a")
        full[0] = False
        await asyncio.wait_for(written.wait(), 10)
        journal.touch(cluster)
        await journal.settle()
        assert mine.position == mine.saved
        assert not mine.broken

    async def second(journal: j.Journal) -> None:
        assert names(journal.build(spec(), make)) == ["a"]

    run(path, first)
    run(path, second)


def test_damage_costs_its_own_cluster_only(tmp_path: Path) -> None:
    path = tmp_path / "w.journal"

    async def first(journal: j.Journal) -> None:
        for uid in ("u1", "u2"):
            write(started(journal.build(spec(uid), make)), "a")

    run(path, first)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE frame SET body = zeroblob(9) WHERE cluster = 1")

    damages: list[tuple[str, str]] = []

    async def second(journal: j.Journal) -> None:
        assert names(journal.build(spec("u1"), make)) == []
        assert names(journal.build(spec("u2"), make)) == ["a"]
        damages.append((journal.damage("u1"), journal.damage("u2")))
        registry = CollectorRegistry()
        registry.register(JournalMetrics(journal))
        damaged = registry.get_sample_value("capim_journal_damaged_clusters")
        assert damaged == bool(journal.damage("u1"))
        assert registry.get_sample_value("capim_journals_unwritable") == 0

    run(path, second)
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT DISTINCT uid FROM damaged").fetchall() == [("u1",)]
    run(path, second)  # the damaged one has a journal of its own again
    why = "the cluster's journal was damaged (frame 1 is not what was written)"
    anew = "built anew from the management cluster's objects"
    assert damages == [(f"{why}: {anew}", ""), ("", "")]


def test_clusters_of_a_file_that_is_no_database_are_told_of(tmp_path: Path) -> None:
    path = tmp_path / "w.journal"
    path.write_bytes(b"no database" * 99)

    async def scenario(journal: j.Journal) -> None:
        journal.build(spec("u1"), make)
        assert "w.journal was damaged (file is not a database)" in journal.damage("u1")
        journal.confirm()
        journal.build(spec("u2"), make)
        assert not journal.damage("u2"), "what comes after the first whole Sync is new"

    run(path, scenario)


def test_versions_do_not_come_again_after_the_end_of_a_file_is_lost(tmp_path: Path) -> None:
    path, before = tmp_path / "w.journal", tmp_path / "before.journal"

    async def first(journal: j.Journal) -> None:
        write(started(journal.build(spec(), make)), "a")

    async def second(journal: j.Journal) -> None:
        write(journal.build(spec(), make), "b")

    async def third(journal: j.Journal) -> None:
        cluster = journal.build(spec(), make)
        assert names(cluster) == ["a"]
        assert cluster.group.resource_version == int(CLOCK() * 1000)
        assert journal.damage("u1") == "the last commits of the journal w.journal are missing"

    run(path, first)
    shutil.copy(path, before)
    run(path, second)
    shutil.copy(before, path)
    run(path, third)


def test_a_cluster_that_moved_is_found_by_the_worker_that_has_it_now(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "worker-0.journal", tmp_path / "worker-1.journal"
    workers = ("worker-0", "worker-1")

    async def giving(journal: j.Journal) -> None:
        journal.greet("installation", workers)
        for uid in ("u1", "u2"):
            write(started(journal.build(spec(uid), make)), uid)
        journal.drop(journal._clusters["u1"].recorder.cluster)
        await journal.tidy(["u1", "u2"], complete=True, elsewhere=["u1"])

    async def taking(journal: j.Journal) -> None:
        journal.greet("installation", workers)
        journal.expect(["u1"])
        cluster = journal.build(spec("u1"), make)
        assert names(cluster) == ["u1"]
        write(cluster, "more")

    async def afterwards(journal: j.Journal) -> None:
        assert names(journal.build(spec("u1"), make)) == ["more", "u1"]
        assert not journal.damage("u1")

    for path, life in ((ours, giving), (theirs, taking), (theirs, afterwards)):
        run(path, life)
    assert sorted(file.name for file in tmp_path.glob("*.journal")) == [ours.name, theirs.name]


def test_a_cluster_that_is_removed_on_its_way_to_another_worker_leaves_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "worker-0.journal"

    def on_their_way() -> list[Path]:
        return list(tmp_path.glob("moved-*"))

    async def scenario(journal: j.Journal) -> None:
        journal.greet("installation", ("worker-0", "worker-1"))
        cluster = started(journal.build(spec(), make))
        journal.touch(cluster)
        journal.drop(cluster)
        await journal.tidy(["u1"], complete=True, elsewhere=["u1"])
        assert on_their_way()
        journal.forget("u1")

    run(path, scenario)
    assert on_their_way() == []
    assert uids(path) == set()


def test_a_cluster_that_is_deleted_is_removed_once_the_disk_has_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, forget, full = tmp_path / "w.journal", JournalFile.forget, [True]
    monkeypatch.setattr(j, "_RETRY_S", 0.0)
    removed = threading.Event()

    def sometimes(self: JournalFile, *uids: str) -> None:
        if full[0]:
            full[0] = False
            raise sqlite3.OperationalError("database or disk is full")
        forget(self, *uids)
        removed.set()

    monkeypatch.setattr(JournalFile, "forget", sometimes)

    async def scenario(journal: j.Journal) -> None:
        write(started(journal.build(spec(), make)), "a")
        journal.touch(journal._clusters["u1"].recorder.cluster)
        await journal.settle()
        journal.forget("u1")
        await asyncio.to_thread(removed.wait, 10)

    run(path, scenario)
    assert uids(path) == set()


def test_a_cluster_that_is_deleted_on_its_way_is_removed(tmp_path: Path) -> None:
    async def giving(journal: j.Journal) -> None:
        journal.greet("installation", ("worker-0", "worker-1"))
        write(started(journal.build(spec(), make)), "a")
        journal.drop(journal._clusters["u1"].recorder.cluster)
        await journal.tidy(["u1"], complete=True, elsewhere=["u1"])

    async def other(journal: j.Journal) -> None:
        journal.greet("installation", ("worker-0", "worker-1"))
        journal.forget("u1")

    run(tmp_path / "worker-0.journal", giving)
    assert len(list(tmp_path.glob("*.journal"))) == 2
    run(tmp_path / "worker-1.journal", other)
    assert {file.name: uids(file) for file in tmp_path.glob("*.journal")} == {
        "worker-0.journal": set(),
        "worker-1.journal": set(),
    }


def test_what_is_known_of_a_cluster_that_is_gone_is_removed(tmp_path: Path) -> None:
    path, stray = tmp_path / "worker-0.journal", tmp_path / "worker-9.journal"

    async def first(journal: j.Journal) -> None:
        journal.greet("installation", ("worker-0",))
        for uid in ("here", "elsewhere", "gone"):
            write(started(journal.build(spec(uid), make)), uid)

    async def second(journal: j.Journal) -> None:
        journal.greet(installations[0], ("worker-0",))
        journal.build(spec("here"), make)
        await journal.tidy(["here", "elsewhere"], complete=complete[0], elsewhere=["elsewhere"])

    run(path, first)
    run(stray, first)
    installations, complete, left = ["installation"], [False], tmp_path.glob("*.journal")
    run(path, second)
    assert uids(path) == {"here", "gone"}, "what is not seen may live"
    installations, complete = ["another"], [True]
    run(path, second)
    assert uids(path) == {"here", "gone"}, "not this installation's to remove"
    installations = ["installation"]
    run(path, second)
    assert uids(path) == {"here"}
    names_left = {file.name: uids(file) for file in left}
    assert list(names_left.values()).count({"elsewhere"}) >= 1
    assert "gone" not in set().union(*names_left.values())


def test_versions_do_not_come_again_after_a_loss_of_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, boot = tmp_path / "w.journal", tmp_path / "boot"
    monkeypatch.setattr("workers.journalfile._BOOT_ID", boot)

    async def first(journal: j.Journal) -> None:
        write(started(journal.build(spec(), make)), "a")

    async def second(journal: j.Journal) -> None:
        cluster = journal.build(spec(), make)
        assert names(cluster) == ["a"]
        assert cluster.group.resource_version == int(CLOCK() * 1000)
        assert cluster.group.history.floor == cluster.group.resource_version

    boot.write_text("one")
    run(path, first)
    boot.write_text("two")
    run(path, second)
