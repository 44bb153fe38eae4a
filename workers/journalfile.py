"""The file of a worker's journal: one SQLite database, all its clusters' frames.

Blocking; called from one thread at a time. A commit of many clusters is one transaction. With
`synchronous=NORMAL` it survives the death of any process, with `FULL` the loss of power.

What is damaged is noticed: frames by their links, that some are missing at a cluster's end by a sealed row
that names one of the last, or by the tip over the last frames of all, the database's own structure by
SQLite. A damaged structure is never
written to again: what is whole moves to a new file, and the old one is kept under another name.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from capim.runtime.journal.frames import DamageError, Row
from workers import journaltables as tables
from workers.journaltables import Head, Heads, JournalError
from workers.journaltip import TIP_BYTES, Tip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Entry", "JournalError", "JournalFile"]

_log = structlog.get_logger(__name__)

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
#: after so many commits the rows of `cluster` are brought up to date
_HEADS_EVERY: Final = 64


class Entry(NamedTuple):
    """One frame to be written."""

    uid: str  #: of the cluster's life
    row: Row
    whole: bool  #: it takes the place of all before it


class Kept(NamedTuple):
    """What is here of a cluster."""

    last: Head
    frames: tuple[int, ...]  #: their ids, in order
    least: Head  #: as its row says it


class JournalFile:
    """Frames of clusters, on disk. Held by a lock for as long as it is open."""

    def __init__(self, path: Path, *, full_sync: bool) -> None:
        """Open the file, or make it. Raises JournalError."""
        self.path = path
        self._full_sync = full_sync
        #: why clusters that are not here may have been here, for a person; empty: they were not
        self.loss = ""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = Tip(path.with_suffix(".lock"))
        try:
            self._database, heads = self._opened()
            self._kept = self._found(heads)
        except BaseException:
            self._lock.close()
            raise
        self._next = max(
            (kept.frames[-1] for kept in self._kept.values() if kept.frames), default=0
        )
        self._commits = 0
        self._behind = False  #: frames were refused that their clients may know of
        self._tip = 0
        for uid, kept in self._kept.items():
            self._tip ^= _number(kept.last.seal(uid))
        #: whether commits that clients may have heard of can be missing at the end
        self.uncertain = self._compare_with_notes()

    def close(self) -> None:
        """Close the file and let go of it; once more does nothing."""
        with contextlib.suppress(sqlite3.Error):  # a full disk, or closed before
            self._write_heads()
        self._database.close()
        self._lock.close()

    def remove(self) -> None:
        """Remove the file from the disk, and let go of it."""
        self._database.close()
        for path in (self.path, *_companions(self.path), self._lock.path):
            path.unlink(missing_ok=True)
        self._lock.close()

    def belongs_to(self, installation: str) -> bool:
        """Tell whether the file is this installation's; one that was nobody's is from now on."""
        about = "SELECT value FROM about WHERE name = 'installation'"
        if (found := self._database.execute(about).fetchone()) is not None:
            return bool(found[0] == installation)
        with self._transaction({}):
            values = (installation,)
            self._database.execute("INSERT INTO about VALUES ('installation', ?)", values)
        return True

    # --- frames ---

    @property
    def uids(self) -> set[str]:
        """The clusters that are here."""
        return set(self._kept)

    def __contains__(self, uid: str) -> bool:
        return uid in self._kept

    def append(self, entries: Iterable[Entry]) -> None:
        """Write frames, all or none. Raises OSError, sqlite3.Error: nothing is written."""
        fresh: dict[str, Kept] = {}
        try:
            with self._transaction(fresh):
                self._insert(entries, fresh)
        except (OSError, sqlite3.Error):
            self._behind = True
            with contextlib.suppress(OSError):
                self._lock.note_behind()
            raise
        if self._behind:
            self._behind = False
            self._note(self._tip)
        self._commits += 1
        if self._commits % _HEADS_EVERY == 0:
            self._write_heads()

    def _note(self, *tips: int) -> None:
        if not self._behind:
            self._lock.note(*map(_bytes, tips))

    def _insert(self, entries: Iterable[Entry], fresh: dict[str, Kept]) -> None:
        for uid, row, whole in entries:
            before = fresh.get(uid) or self._kept.get(uid)
            cluster = before.last.id if before else self._free_id(fresh)
            if whole and before:
                self._delete_frames(before)
            self._next += 1
            values = (self._next, cluster, row.number, row.link, row.body)
            self._database.execute("INSERT INTO frame VALUES (?, ?, ?, ?, ?)", values)
            last = Head(cluster, row.number, row.link)
            if before is None or whole:
                tables.write_head(self._database, uid, last)
                fresh[uid] = Kept(last, (self._next,), last)
            else:
                fresh[uid] = Kept(last, (*before.frames, self._next), before.least)

    def _free_id(self, fresh: dict[str, Kept]) -> int:
        taken = (kept.last.id for kept in (*self._kept.values(), *fresh.values()))
        return max(taken, default=0) + 1

    def _write_heads(self) -> None:
        """Bring the rows of `cluster` up to date."""
        fresh = {
            uid: kept._replace(least=kept.last)
            for uid, kept in self._kept.items()
            if kept.least != kept.last and kept.frames
        }
        if fresh:
            with self._transaction(fresh):
                for uid, kept in fresh.items():
                    tables.write_head(self._database, uid, kept.last)

    def rows(self, uid: str) -> list[Row]:
        """Return a cluster's frames in order; none for one that is not here.

        Raises:
            DamageError: they are not all here, or cannot be read.
        """
        kept = self._kept.get(uid)
        if kept is None:
            return []
        rows = self._readable(kept)
        if not any((row.number, row.link) == kept.least[1:] for row in rows):
            raise DamageError(f"frame {kept.least.number} is missing")
        return rows

    def _readable(self, kept: Kept) -> list[Row]:
        query = "SELECT number, link, body FROM frame WHERE id = ?"
        found = [self._database.execute(query, (id_,)).fetchone() for id_ in kept.frames]
        return [Row(*values) for values in found]

    def take(self, uid: str, other: JournalFile) -> None:
        """Copy what another file has of a cluster, which is not here; damage is copied as it is."""
        kept = other._kept[uid]
        fresh: dict[str, Kept] = {}
        with self._transaction(fresh):
            self._insert((Entry(uid, row, False) for row in other._readable(kept)), fresh)
            mine = fresh.get(uid)
            cluster = mine.last.id if mine else self._free_id(fresh)
            least = kept.least._replace(id=cluster)
            tables.write_head(self._database, uid, least)
            fresh[uid] = Kept(mine.last, mine.frames, least) if mine else Kept(least, (), least)

    def forget(self, *uids: str) -> None:
        """Remove what is here of clusters."""
        with self._transaction({}, gone=uids):
            for uid in uids:
                self._database.execute("DELETE FROM damaged WHERE uid = ?", (uid,))
                self._delete(uid)

    def set_aside(self, uid: str) -> None:
        """Take a cluster's frames out of the way, for who wants to look at them."""
        with self._transaction({}, gone=(uid,)):
            self._database.execute("DELETE FROM damaged WHERE uid = ?", (uid,))
            copy = "INSERT INTO damaged SELECT ?, number, link, body FROM frame WHERE id = ?"
            self._database.executemany(copy, [(uid, id_) for id_ in self._kept[uid].frames])
            self._delete(uid)

    def _delete(self, uid: str) -> None:
        if kept := self._kept.get(uid):
            self._delete_frames(kept)
            self._database.execute("DELETE FROM cluster WHERE id = ?", (kept.last.id,))

    def _delete_frames(self, kept: Kept) -> None:
        ids = [(id_,) for id_ in kept.frames]
        self._database.executemany("DELETE FROM frame WHERE id = ?", ids)

    @contextlib.contextmanager
    def _transaction(self, fresh: dict[str, Kept], gone: Iterable[str] = ()) -> Iterator[None]:
        """Write all or nothing; `fresh` and `gone` are what becomes of the clusters."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            tip = self._tip
            for uid in {*fresh, *gone}:
                if before := self._kept.get(uid):
                    tip ^= _number(before.last.seal(uid))
            for uid, kept in fresh.items():
                tip ^= _number(kept.last.seal(uid))
            self._note(self._tip, tip)
            self._database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                self._database.execute("ROLLBACK")
            raise
        self._note(tip)
        self._tip = tip
        self._kept |= fresh
        for uid in gone:
            self._kept.pop(uid, None)

    # --- opening ---

    def _opened(self) -> tuple[sqlite3.Connection, dict[str, Head]]:
        try:
            return self._sound_or_salvaged()
        except sqlite3.DatabaseError as error:
            writable = not self.path.exists() or os.access(self.path, os.W_OK)
            if not tables.tells_damage(error, writable=writable):
                text = f"{self.path} cannot be used: {error}; nothing in it is lost"
                raise JournalError(
                    f"{text}: see to the disk, or use another --state-dir"
                ) from error
            self._set_whole_aside(str(error))
            return self._connect(), {}

    def _found(self, heads: dict[str, Head]) -> dict[str, Kept]:
        places = tables.read_places(self._database)
        found: dict[str, Kept] = {}
        for uid, least in heads.items():
            mine = places.get(least.id, [])
            last = least._replace(number=mine[-1].number, link=mine[-1].link) if mine else least
            found[uid] = Kept(last, tuple(place.id for place in mine), least)
        return found

    def _connect(self) -> sqlite3.Connection:
        return tables.connect(self.path, full_sync=self._full_sync)

    def _sound_or_salvaged(self) -> tuple[sqlite3.Connection, dict[str, Head]]:
        with contextlib.ExitStack() as stack:
            database = self._connect()
            stack.callback(database.close)
            heads = tables.read_heads(database)
            if heads.whole and tables.is_sound(database):
                stack.pop_all()
                return database, heads.by_uid
            self._salvage(database, heads)
        self._set_whole_aside("its structure is damaged")
        self._salvaged.rename(self.path)
        return self._connect(), heads.by_uid

    @property
    def _salvaged(self) -> Path:
        return self.path.with_suffix(".salvaged")

    def _salvage(self, database: sqlite3.Connection, heads: Heads) -> None:
        for left in (self._salvaged, *_companions(self._salvaged)):
            left.unlink(missing_ok=True)
        with contextlib.closing(tables.connect(self._salvaged, full_sync=True)) as into:
            tables.salvage(database, heads, into)

    def _set_whole_aside(self, why: str) -> None:
        """Keep a damaged file under another name."""
        number = 1
        while (aside := self.path.with_suffix(f".damaged-{number}")).exists():
            number += 1
        for path in (self.path, *_companions(self.path)):
            if path.exists():
                path.rename(f"{aside}{path.name.removeprefix(self.path.name)}")
        self.loss = f"the journal {self.path.name} was damaged ({why}) and is kept as {aside.name}"
        _log.error("journal set aside", file=str(self.path), kept_as=str(aside), error=why)

    def _compare_with_notes(self) -> bool:
        """Tell whether the end of the file can be missing, and note that it ends here now."""
        noted, behind = self._lock.allows(_bytes(self._tip)), self._lock.behind
        rebooted = self._note_boot()
        missing = not (noted or behind or rebooted or self.loss)
        with contextlib.suppress(OSError):  # a full disk is told of by the first commit
            self._lock.note(_bytes(self._tip))
        if missing:
            self.loss = f"the last commits of the journal {self.path.name} are missing"
            _log.error("journal is not what was written last", file=str(self.path))
        return missing or behind or (rebooted and not self._full_sync)

    def _note_boot(self) -> bool:
        """Tell whether the host has started anew since the file was last open."""
        now = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
        query = "SELECT value FROM about WHERE name = 'boot'"
        before = self._database.execute(query).fetchone()
        if before is None or before[0] != now:
            # on a full disk the next start is taken for one after a loss of power: no harm
            with contextlib.suppress(sqlite3.OperationalError), self._transaction({}):
                self._database.execute("INSERT OR REPLACE INTO about VALUES ('boot', ?)", (now,))
        return before is not None and before[0] != now


def _companions(path: Path) -> list[Path]:
    """The files that SQLite may keep beside a database."""
    return [Path(f"{path}{suffix}") for suffix in ("-wal", "-shm", "-journal")]


def _number(seal: bytes) -> int:
    return int.from_bytes(seal, "big")


def _bytes(tip: int) -> bytes:
    return tip.to_bytes(TIP_BYTES, "big")
