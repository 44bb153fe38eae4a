"""The file of a worker's journal: one SQLite database, all its clusters' frames.

Blocking; called from one thread at a time. A commit of many clusters is one transaction. With
`synchronous=NORMAL` it survives the death of any process, with `FULL` the loss of power.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from capim.runtime.journal.frames import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_log = structlog.get_logger(__name__)

#: raised with every change of the tables; `_open` knows the way from each one before
_SCHEMA: Final = 1
_TABLES: Final = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE frame (
    uid TEXT NOT NULL,
    number INTEGER NOT NULL,
    link BLOB NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (uid, number)
) STRICT;
CREATE TABLE damaged (uid TEXT NOT NULL, number INTEGER, link BLOB, body BLOB) STRICT;
"""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class JournalError(Exception):
    """The journal cannot be used; the message says why and what to do."""


class Entry(NamedTuple):
    """One frame to be written."""

    uid: str  #: of the cluster's life
    row: Row
    whole: bool  #: it takes the place of all before it


class JournalFile:
    """Frames of clusters, on disk. Held by a lock for as long as it is open."""

    def __init__(self, path: Path, *, full_sync: bool) -> None:
        """Open the file, or make it. Raises JournalError."""
        self._path = path
        self._full_sync = full_sync
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _lock(path.with_suffix(".lock"))
        try:
            self._database = self._open()
        except sqlite3.DatabaseError as error:
            self._replace(error)
            self._database = self._open()
        #: whether power may have been lost since the last commit, and with it commits
        self.rebooted = self._note_boot() and not full_sync

    def close(self) -> None:
        """Close the file and let go of it."""
        self._database.close()
        os.close(self._lock)

    def append(self, entries: Iterable[Entry]) -> None:
        """Write frames, all or none. Raises OSError, sqlite3.Error: nothing is written."""
        with self._transaction():
            for uid, row, whole in entries:
                if whole:
                    self._database.execute("DELETE FROM frame WHERE uid = ?", (uid,))
                values = (uid, row.number, row.link, row.body)
                self._database.execute("INSERT INTO frame VALUES (?, ?, ?, ?)", values)

    def rows(self, uid: str) -> list[Row]:
        """Return a cluster's frames in order; none for one that is not here."""
        query = "SELECT number, link, body FROM frame WHERE uid = ? ORDER BY number"
        return [Row(*found) for found in self._database.execute(query, (uid,))]

    def forget(self, uid: str) -> None:
        """Remove a cluster's frames."""
        with self._transaction():
            self._database.execute("DELETE FROM frame WHERE uid = ?", (uid,))

    def set_aside(self, uid: str) -> None:
        """Take a cluster's frames out of the way, for who wants to look at them."""
        with self._transaction():
            self._database.execute("DELETE FROM damaged WHERE uid = ?", (uid,))
            query = "INSERT INTO damaged SELECT uid, number, link, body FROM frame WHERE uid = ?"
            self._database.execute(query, (uid,))
            self._database.execute("DELETE FROM frame WHERE uid = ?", (uid,))

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            os.chmod(self._path, 0o600)
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(f"PRAGMA synchronous={'FULL' if self._full_sync else 'NORMAL'}")
            (schema,) = database.execute("PRAGMA user_version").fetchone()
            if schema == 0:
                database.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={_SCHEMA}; COMMIT;")
            elif schema > _SCHEMA:
                text = (
                    f"{self._path} was written by a newer CAPIM (schema {schema}, known: {_SCHEMA})"
                )
                raise JournalError(f"{text}: use that one, or another --state-dir")
            database.execute("SELECT count(*) FROM frame").fetchone()
        except BaseException:
            database.close()
            raise
        return database

    def _replace(self, error: sqlite3.DatabaseError) -> None:
        """Keep a file that is no database under another name: its clusters are built anew."""
        number = 1
        while (aside := self._path.with_suffix(f".damaged-{number}")).exists():
            number += 1
        for suffix in ("-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        self._path.rename(aside)
        _log.error("journal set aside", file=str(self._path), kept_as=str(aside), error=str(error))

    def _note_boot(self) -> bool:
        """Tell whether the host has started anew since the file was last open."""
        now = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
        query = "SELECT value FROM about WHERE name = 'boot'"
        before = self._database.execute(query).fetchone()
        with self._transaction():
            self._database.execute("INSERT OR REPLACE INTO about VALUES ('boot', ?)", (now,))
        return before is not None and before[0] != now

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                self._database.execute("ROLLBACK")
            raise


def found_elsewhere(path: Path, uid: str) -> list[Row]:
    """Return a cluster's frames from the file of a worker that is no more, beside `path`."""
    for other in sorted(path.parent.glob(f"*{path.suffix}")):
        if other == path:
            continue
        try:
            file = JournalFile(other, full_sync=False)
        except JournalError:
            continue  # that worker lives
        with contextlib.closing(file):
            if rows := file.rows(uid):
                return rows
    return []


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise JournalError(
            f"{path} is held by another worker: give each its own --state-dir"
        ) from None
    return descriptor
