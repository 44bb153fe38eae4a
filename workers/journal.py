"""The journal of a worker's shard: what changes is written down soon, in groups, off the loop.

While one commit is under way, changes of all clusters gather for the next. Nothing waits for a clock: a
change that somebody is to hear of asks for a commit, and it begins in the same turn of the loop.
"""

from __future__ import annotations

import asyncio
import functools
import sqlite3
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import structlog

from capim.runtime.journal.frames import DamageError, read
from capim.runtime.journal.recorder import Recorder
from capim.runtime.journal.restoring import floor_of, restore, revived
from workers import strays
from workers.journalfile import Entry, JournalError, JournalFile
from workers.strays import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from capim.aio.clock import Clock
    from capim.api.workload import ClusterSpec
    from capim.runtime.journal.frames import Row
    from capim.runtime.workload import WorkloadCluster

    #: builds an empty cluster whose versions begin at a number, or above all there were (None)
    Make = Callable[[ClusterSpec, int | None], WorkloadCluster]

_log = structlog.get_logger(__name__)

_RETRY_S: Final = 1.0
_REBUILT: Final = "built anew from the management cluster's objects"


class ClusterJournal:
    """One cluster's part of the journal, and the barrier of its listener. One loop, no lock."""

    def __init__(self, recorder: Recorder, journal: Journal) -> None:
        self.recorder = recorder
        self.saved = recorder.number
        self.forgotten = (
            False  #: the cluster is deleted: connections that end have nothing to wait for
        )
        self._journal = journal
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        #: why the cluster is not all that was written down of it, for a person; empty: it is
        self.damage = ""

    @property
    def position(self) -> int:
        """The frame that holds, or will hold, the last change there was."""
        recorder = self.recorder
        if self.forgotten:
            return self.saved
        return recorder.number if recorder.clean else recorder.number + 1

    @property
    def broken(self) -> str:
        """Why nothing can be written down now; empty: it can."""
        return self._journal.broken

    def when_saved(self, position: int, callback: Callable[[], None]) -> None:
        """Call back when this frame is written down, or cannot be."""
        if position <= self.saved or self.broken:
            callback()
            return
        self._waiting.append((position, callback))
        self._journal.save_soon(self)

    def written(self, number: int) -> None:
        """Note that all frames to this one are written down."""
        self.saved = number
        self._call(lambda position: position <= number)

    def give_up(self) -> None:
        """Let nobody wait: nothing can be written down now."""
        self._call(lambda _: True)

    def _call(self, ready: Callable[[int], bool]) -> None:
        while self._waiting and ready(self._waiting[0][0]):
            self._waiting.popleft()[1]()


class Journal:
    """Group commit for all clusters of a worker. One loop; the file is used in one thread."""

    def __init__(self, path: Path, *, full_sync: bool, clock: Clock) -> None:
        """Open the journal. Raises JournalError."""
        self._file = JournalFile(path, full_sync=full_sync)
        self._path = path
        self._clock = clock
        self._workers: frozenset[str] = frozenset()
        self._ours = False
        self._taken: dict[str, Origin] = {}
        self._thread = ThreadPoolExecutor(1, "journal")
        self._loop = asyncio.get_running_loop()
        self._clusters: dict[str, ClusterJournal] = {}  #: by uid
        self._dirty: dict[ClusterJournal, None] = {}
        self._under_way = False
        self._closing = False
        self._unwritten: list[tuple[ClusterJournal, Entry]] = []  #: of a commit that failed
        self._retry: asyncio.TimerHandle | None = None
        self._gone: set[str] = set()  #: clusters that are to be removed from the file
        self._retry_removal: asyncio.TimerHandle | None = None
        self._round = self._ended = 0  #: commits begun and ended
        self._settling: deque[tuple[int, asyncio.Future[None]]] = deque()
        #: why nothing can be written down now, for a person; empty: it can
        self.broken = ""

    async def close(self) -> None:
        """Write down what is not yet, if that is possible, and close the file."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._retry_removal is not None:
            self._retry_removal.cancel()
        for journal in self._clusters.values():
            self.touch(journal.recorder.cluster)
        self._closing = True
        if self._gone:
            self._remove_gone()
        if not self._under_way:
            self._under_way = True
            self._commit()
        if self._under_way:
            await self._round_after(self._round + bool(self._dirty))
        await asyncio.to_thread(self._thread.shutdown)
        self._file.close()

    # --- the worker's place among others ---

    def greet(self, installation: str, workers: Iterable[str]) -> None:
        """Know whose clusters these are, and whose files beside ours are living workers'."""
        self._workers = frozenset(workers)
        try:
            self._ours = self._thread.submit(self._file.belongs_to, installation).result()
        except sqlite3.Error as error:
            _log.error("journal cannot be written", file=str(self._path), error=str(error))
        if not self._ours:
            _log.warning(
                "journal of another installation: nothing is removed from it", file=str(self._path)
            )

    def expect(self, uids: Iterable[str]) -> None:
        """Fetch clusters that are to be built from files of workers that have them no more."""
        job = self._thread.submit(strays.take_over, self._file, set(uids), self._workers)
        self._taken |= job.result()

    async def tidy(
        self, living: Collection[str], *, complete: bool, elsewhere: Collection[str]
    ) -> None:
        """Write down what is not yet, give away what is other workers', remove what is gone.

        Args:
            living: uids of clusters that there are, on any worker.
            complete: these are all of the installation.
            elsewhere: uids of clusters that other workers are to hold.
        """
        await self.settle()
        if not self.broken:
            held = frozenset(self._clusters)
            gone = self._file.uids - held - set(living) if complete and self._ours else set()
            kept = held.union(living) if complete and self._ours else None
            job = functools.partial(self._tidy, set(elsewhere) - held, gone, kept)
            await self._loop.run_in_executor(self._thread, job)

    def _tidy(self, moved: set[str], gone: set[str], kept: frozenset[str] | None) -> None:
        try:
            strays.hand_over(self._file, self._file.uids & moved)
            if gone:
                self._file.forget(*gone)
            if kept is not None:
                strays.purge(self._file, kept, self._workers)
        except (OSError, sqlite3.Error, JournalError) as error:  # the next Sync tries again
            _log.error("journal cannot be tidied", file=str(self._path), error=str(error))

    # --- lives of clusters ---

    def build(self, spec: ClusterSpec, make: Make) -> WorkloadCluster:
        """Return the cluster as it was written down, or an empty one; it is written down from now on."""
        if spec.uid not in self._file:
            self.expect([spec.uid])
        origin = self._taken.pop(spec.uid, Origin(self._file.uncertain, self._file.loss))
        damage = origin.loss
        try:
            rows = self._thread.submit(self._file.rows, spec.uid).result()
            cluster = self._restored(spec, make, rows) if rows else None
        except DamageError as error:
            why = "cluster's journal is damaged: it is built anew"
            _log.error(why, cluster=str(spec.key), uid=spec.uid, error=str(error))
            self._thread.submit(self._file.set_aside, spec.uid).result()
            rows, cluster, damage = [], None, f"the cluster's journal was damaged ({error})"
        recorder = Recorder(cluster or make(spec, None))
        if cluster is not None:
            recorder.resume(rows[-1], sum(len(row.body) for row in rows))
            damage = damage if origin.uncertain else ""
            if origin.uncertain:  # what was handed out last may be lost: no version twice
                cluster.group.store.skip_to(int(self._clock() * 1000))
            cluster.group.settle()
        elif damage:
            damage = f"{damage}: {_REBUILT}"
        mine = self._clusters[spec.uid] = ClusterJournal(recorder, self)
        mine.damage = damage
        return recorder.cluster

    def take(self, spec: ClusterSpec, make: Make, state: bytes) -> WorkloadCluster:
        """Return a cluster as another worker gave it; what was left here of it is from before.

        Raises:
            DamageError: it is not what a worker gives; nothing has changed.
        """
        if not state:
            return self.build(spec, make)
        cluster = revived(spec, make, state)
        job = functools.partial(strays.forget, self._file, {spec.uid}, self._workers)
        self._thread.submit(job).result()
        self._clusters[spec.uid] = ClusterJournal(Recorder(cluster), self)
        return cluster

    def damage(self, uid: str) -> str:
        """Return why a cluster is not all that was written down of it, for a person; empty: it is."""
        return self._clusters[uid].damage

    @property
    def damaged(self) -> int:
        """How many clusters are not what was written down of them."""
        return sum(bool(journal.damage) for journal in self._clusters.values())

    def confirm(self) -> None:
        """The shard is whole: clusters that come from now on are new."""
        self._file.loss = ""

    def of(self, cluster: WorkloadCluster) -> ClusterJournal:
        """Return a cluster's part."""
        return self._clusters[cluster.spec.uid]

    def touch(self, cluster: WorkloadCluster) -> None:
        """Write down what is new of a cluster, if anything is."""
        journal = self._clusters.get(cluster.spec.uid)
        if journal is not None and not journal.recorder.clean:
            self.save_soon(journal)

    def drop(self, cluster: WorkloadCluster) -> None:
        """Let go of a cluster; what is written down of it stays."""
        self.touch(cluster)
        self._clusters.pop(cluster.spec.uid, None)

    async def let_go(self, cluster: WorkloadCluster) -> None:
        """Free what a dropped cluster held once that is written down; while nothing can be, it is kept."""
        await self.settle()
        if not self.broken:
            cluster.let_go()

    def forget(self, uid: str) -> None:
        """Remove what is written down of a cluster that is not to come back."""
        journal = self._clusters.pop(uid, None)
        if journal is not None:
            journal.written(journal.position)
            journal.forgotten = True
            self._dirty.pop(journal, None)
            self._unwritten = [pair for pair in self._unwritten if pair[0] is not journal]
        self._gone.add(uid)
        self._remove_gone()

    def _remove_gone(self) -> None:
        gone = frozenset(self._gone)
        job = functools.partial(strays.forget, self._file, gone, self._workers)
        done = self._loop.run_in_executor(self._thread, job)
        done.add_done_callback(lambda future: self._removed(gone, future))

    def _removed(self, gone: frozenset[str], done: asyncio.Future[None]) -> None:
        error = done.exception()
        if error is None:
            self._gone -= gone
        elif not self._closing:
            _log.error("journal cannot be written", file=str(self._path), error=str(error))
            self._retry_removal = self._loop.call_later(_RETRY_S, self._remove_gone)

    def _restored(self, spec: ClusterSpec, make: Make, rows: list[Row]) -> WorkloadCluster:
        """Return the cluster that was written down. Raises DamageError."""
        frames = read(spec.uid, rows)
        cluster = make(spec, floor_of(frames))
        restore(cluster, frames)
        return cluster

    # --- commits ---

    async def settle(self) -> None:
        """Wait until what asked for a commit is written down, or cannot be."""
        target = self._round + bool(self._dirty)
        if self._ended < target and not self.broken:
            await self._round_after(target)

    def _round_after(self, target: int) -> asyncio.Future[None]:
        """Return what is done with this commit, or with the next that fails."""
        done = self._loop.create_future()
        self._settling.append((target, done))
        return done

    def save_soon(self, journal: ClusterJournal) -> None:
        """Write down what is new of a cluster in the next commit."""
        if journal.forgotten or self._closing:
            return
        self._dirty[journal] = None
        if not self._under_way and self._retry is None:
            self._under_way = True
            self._loop.call_soon(self._commit)

    def _commit(self) -> None:
        self._round += 1
        dirty, self._dirty = self._dirty, {}
        entries, self._unwritten = self._unwritten, []
        for journal in dirty:
            if not journal.recorder.clean:
                row, whole = journal.recorder.take()
                entries.append((journal, Entry(journal.recorder.cluster.spec.uid, row, whole)))
        if not entries:
            self._under_way = False
            self._end_round()
            return
        rows = [entry for _, entry in entries]
        done = self._loop.run_in_executor(self._thread, self._file.append, rows)
        done.add_done_callback(lambda future: self._committed(entries, future))

    def _committed(
        self, entries: list[tuple[ClusterJournal, Entry]], done: asyncio.Future[None]
    ) -> None:
        error = done.exception()
        if error is not None:
            self._failed(entries, error)
            return
        self.broken = ""
        for journal, entry in entries:
            journal.written(entry.row.number)
        self._end_round()
        if self._dirty or self._settling:  # who waits does so also when what was dirty is forgotten
            self._commit()
        else:
            self._under_way = False

    def _failed(self, entries: list[tuple[ClusterJournal, Entry]], error: BaseException) -> None:
        """Keep what could not be written and try again; until then nobody waits for it."""
        _log.error("journal cannot be written", file=str(self._path), error=str(error))
        self._under_way = False
        self._unwritten = entries
        self.broken = str(error) or type(error).__name__
        if not self._closing:
            self._retry = self._loop.call_later(_RETRY_S, self._try_again)
        for journal in {journal for journal, _ in entries} | self._dirty.keys():
            journal.give_up()
        self._end_round()

    def _end_round(self) -> None:
        """Let those go on who waited for this commit, or for any while none can succeed."""
        self._ended = self._round
        while self._settling and (self._settling[0][0] <= self._ended or self.broken):
            _, done = self._settling.popleft()
            if not done.done():
                done.set_result(None)

    def _try_again(self) -> None:
        self._retry = None
        for (
            journal
        ) in self._clusters.values():  # while nothing could be written nobody asked for it
            if not journal.recorder.clean:
                self._dirty[journal] = None
        self._under_way = True
        self._commit()
