"""The file of a worker's journal: one SQLite database, all its clusters' frames.

Blocking; called from one thread at a time. A commit of many clusters is one transaction. With
`synchronous=NORMAL` it survives the death of any process, with `FULL` the loss of power.

What is damaged is noticed: frames by their links, the last one of each cluster by its head, a head by its
seal, the set of heads by the tip, the database's own structure by SQLite. A damaged structure is never
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
from workers.journaltables import NUMBER_BITS, Head, Heads, JournalError
from workers.journaltip import TIP_BYTES, Tip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Entry", "JournalError", "JournalFile"]

_log = structlog.get_logger(__name__)

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_NUMBERS: Final = (1 << NUMBER_BITS) - 1


class Entry(NamedTuple):
    """One frame to be written."""

    uid: str  #: of the cluster's life
    row: Row
    whole: bool  #: it takes the place of all before it


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
            self._database, self._heads = self._opened()
        except BaseException:
            self._lock.close()
            raise
        self._tip = 0
        for uid, head in self._heads.items():
            self._tip ^= _number(head.seal(uid))
        #: whether commits that clients may have heard of can be missing at the end
        self.uncertain = self._compare_with_notes()

    def close(self) -> None:
        """Close the file and let go of it; once more does nothing."""
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
        return set(self._heads)

    def __contains__(self, uid: str) -> bool:
        return uid in self._heads

    def append(self, entries: Iterable[Entry]) -> None:
        """Write frames, all or none. Raises OSError, sqlite3.Error: nothing is written."""
        fresh: dict[str, Head] = {}
        try:
            with self._transaction(fresh):
                self._insert(entries, fresh)
        except (OSError, sqlite3.Error):
            with contextlib.suppress(OSError):
                self._lock.note_behind()
            raise

    def _insert(self, entries: Iterable[Entry], fresh: dict[str, Head]) -> None:
        free = self._free_id()
        for uid, row, whole in entries:
            before = fresh.get(uid) or self._heads.get(uid)
            head = Head(before.id if before else free, row.number, row.link)
            free += before is None
            if whole and before:
                self._delete_frames(before)
            values = (head.span[0] | row.number, row.link, row.body)
            self._database.execute("INSERT INTO frame VALUES (?, ?, ?)", values)
            fresh[uid] = head
        for uid, head in fresh.items():
            tables.write_head(self._database, uid, head)

    def rows(self, uid: str) -> list[Row]:
        """Return a cluster's frames in order; none for one that is not here.

        Raises:
            DamageError: they are not all here, or cannot be read.
        """
        head = self._heads.get(uid)
        if head is None:
            return []
        rows = self._readable(head)
        if not rows or (rows[-1].number, rows[-1].link) != head[1:]:
            raise DamageError(f"frame {head.number} is missing")
        return rows

    def _readable(self, head: Head) -> list[Row]:
        found = tables.readable(self._database, head)
        return [Row(number & _NUMBERS, link, body) for number, link, body in found]

    def take(self, uid: str, other: JournalFile) -> None:
        """Copy what another file has of a cluster, which is not here; damage is copied as it is."""
        head = other._heads[uid]
        entries = [Entry(uid, row, False) for row in other._readable(head)]
        fresh: dict[str, Head] = {}
        with self._transaction(fresh):
            self._insert(entries, fresh)
            mine = fresh.get(uid) or Head(self._free_id(), 0, b"")
            fresh[uid] = Head(mine.id, head.number, head.link)
            tables.write_head(self._database, uid, fresh[uid])

    def _free_id(self) -> int:
        return max((head.id for head in self._heads.values()), default=0) + 1

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
            copy = "INSERT INTO damaged SELECT ?, id & ?, link, body FROM frame WHERE id BETWEEN ? AND ?"
            self._database.execute(copy, (uid, _NUMBERS, *self._heads[uid].span))
            self._delete(uid)

    def _delete(self, uid: str) -> None:
        if head := self._heads.get(uid):
            self._delete_frames(head)
            self._database.execute("DELETE FROM cluster WHERE id = ?", (head.id,))

    def _delete_frames(self, head: Head) -> None:
        self._database.execute("DELETE FROM frame WHERE id BETWEEN ? AND ?", head.span)

    @contextlib.contextmanager
    def _transaction(self, fresh: dict[str, Head], gone: Iterable[str] = ()) -> Iterator[None]:
        """Write all or nothing; `fresh` and `gone` are what becomes of the heads."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            tip = self._tip
            for uid in {*fresh, *gone}:
                if before := self._heads.get(uid):
                    tip ^= _number(before.seal(uid))
            for uid, head in fresh.items():
                tip ^= _number(head.seal(uid))
            self._lock.note(_bytes(self._tip), _bytes(tip))
            self._database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                self._database.execute("ROLLBACK")
            raise
        self._lock.note(_bytes(tip))
        self._tip = tip
        self._heads |= fresh
        for uid in gone:
            self._heads.pop(uid, None)

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
