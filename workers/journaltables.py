"""The tables of a journal's file: made, brought up to date, and looked over for damage. Blocking."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: raised with every change of the tables; `_UPGRADES` has the way from each one before
SCHEMA: Final = 2
#: Frames follow one another in the order of their commits, whosever they are: a commit of many clusters
#: changes few pages. Which are whose is read once, when the file is opened. A row of `cluster` tells of a
#: frame that is there at least; it is brought up to date now and then.
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE cluster (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL,
    number INTEGER NOT NULL,
    link BLOB NOT NULL,
    seal BLOB NOT NULL
) STRICT;
CREATE TABLE frame (
    id INTEGER PRIMARY KEY,
    cluster INTEGER NOT NULL,
    number INTEGER NOT NULL,
    link BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS damaged (uid TEXT NOT NULL, number INTEGER, link BLOB, body BLOB) STRICT;
"""
#: pages of the log: each is written to the file proper once for all of its changes in so many
_CHECKPOINT_PAGES: Final = 4000
#: takes most frames whole: a commit of eight frames of 2.5 kB costs 77 us of CPU, with half of it 136
_PAGE_BYTES: Final = 8192
_SEAL_BYTES: Final = 16

#: errors that say something of the host, not of the file's contents
_NOT_OF_THE_FILE: Final = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)


class JournalError(Exception):
    """The journal cannot be used; the message says why and what to do."""


class HeldError(JournalError):
    """Another process holds the file."""


class Head(NamedTuple):
    """A cluster and a frame of it, the last or one before."""

    id: int  #: of the cluster in this file
    number: int
    link: bytes

    def seal(self, uid: str) -> bytes:
        """Return a digest by which a row of `cluster` is known to be what was written."""
        text = f"{self.id} {self.number} {uid}".encode()
        return hashlib.blake2b(text, key=self.link, digest_size=_SEAL_BYTES).digest()


class Place(NamedTuple):
    """Where a frame is."""

    id: int
    number: int
    link: bytes


class Heads(NamedTuple):
    """What a file says it holds."""

    by_uid: dict[str, Head]
    whole: bool  #: there is no row that says something else than was written


def connect(path: Path, *, full_sync: bool) -> sqlite3.Connection:
    """Open a database and bring its tables up to date.

    Raises:
        JournalError: a newer version wrote it.
        sqlite3.DatabaseError: see `tells_damage`.
    """
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        os.chmod(path, 0o600)
        database.execute(f"PRAGMA page_size={_PAGE_BYTES}")
        # Our lock keeps others out; without theirs SQLite needs no memory shared through a file.
        database.execute("PRAGMA locking_mode=EXCLUSIVE")
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(f"PRAGMA synchronous={'FULL' if full_sync else 'NORMAL'}")
        database.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        database.text_factory = lambda text: text.decode(errors="replace")
        _bring_up_to_date(database, path)
    except BaseException:
        database.close()
        raise
    return database


def _bring_up_to_date(database: sqlite3.Connection, path: Path) -> None:
    (schema,) = database.execute("PRAGMA user_version").fetchone()
    if schema == SCHEMA:
        return
    if schema > SCHEMA:
        if _about(database, "schema") != str(schema):
            raise sqlite3.DatabaseError(f"two schema versions, one of them {schema}")
        text = f"{path} was written by a newer CAPIM (schema {schema}, known: {SCHEMA})"
        raise JournalError(f"{text}: use that one, or another --state-dir")
    database.execute("BEGIN IMMEDIATE")
    if schema == 1:
        database.execute("ALTER TABLE frame RENAME TO frame_1")
    for statement in _TABLES.split(";")[:-1]:
        database.execute(statement)
    if schema == 1:
        _take_frames_of_1(database)
    database.execute("INSERT OR REPLACE INTO about VALUES ('schema', ?)", (str(SCHEMA),))
    database.execute(f"PRAGMA user_version={SCHEMA}")
    database.execute("COMMIT")


def _take_frames_of_1(database: sqlite3.Connection) -> None:
    """Schema 1 had a table of frames alone, by the cluster's uid."""
    uids = database.execute("SELECT DISTINCT uid FROM frame_1").fetchall()
    for number, (uid,) in enumerate(uids, start=1):
        query = "SELECT number, link FROM frame_1 WHERE uid = ? ORDER BY number DESC LIMIT 1"
        head = Head(number, *database.execute(query, (uid,)).fetchone())
        query = "SELECT ?, number, link, body FROM frame_1 WHERE uid = ? ORDER BY number"
        copy = f"INSERT INTO frame (cluster, number, link, body) {query}"
        database.execute(copy, (number, uid))
        write_head(database, uid, head)
    database.execute("DROP TABLE frame_1")


def _about(database: sqlite3.Connection, name: str) -> str:
    found = database.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
    return str(found[0]) if found else ""


def write_head(database: sqlite3.Connection, uid: str, head: Head) -> None:
    """Note a cluster's frame that is there at least."""
    values = (head.id, uid, head.number, head.link, head.seal(uid))
    database.execute("INSERT OR REPLACE INTO cluster VALUES (?, ?, ?, ?, ?)", values)


def read_heads(database: sqlite3.Connection) -> Heads:
    """Return all clusters of a file; those whose row is not what was written are left out."""
    heads: dict[str, Head] = {}
    whole = True
    for *head, uid, seal in database.execute("SELECT id, number, link, uid, seal FROM cluster"):
        found = Head(*head)
        if _is_sealed(found, uid, seal):
            heads[uid] = found
        else:
            whole = False
    return Heads(heads, whole)


def _is_sealed(head: Head, uid: str, seal: bytes) -> bool:
    return isinstance(head.link, bytes) and len(head.link) <= _SEAL_BYTES and head.seal(uid) == seal


def is_sound(database: sqlite3.Connection) -> bool:
    """Tell whether the database's own structure is whole; what is in its rows has digests of its own."""
    return [row[0] for row in database.execute("PRAGMA quick_check(1)")] == ["ok"]


def read_places(database: sqlite3.Connection) -> dict[int, list[Place]]:
    """Return where each cluster's frames are, in order, by the cluster's id."""
    found: dict[int, list[Place]] = {}
    query = "SELECT cluster, id, number, link FROM frame ORDER BY id"
    for cluster, *place in database.execute(query):
        found.setdefault(cluster, []).append(Place(*place))
    return found


def salvage(database: sqlite3.Connection, heads: Heads, into: sqlite3.Connection) -> None:
    """Copy what can be read of a damaged file, from both ends to the first damage met."""
    into.execute("BEGIN IMMEDIATE")
    for uid, head in heads.by_uid.items():
        write_head(into, uid, head)
    for query in ("SELECT * FROM frame ORDER BY id", "SELECT * FROM frame ORDER BY id DESC"):
        for row in _readable(database, query):
            with contextlib.suppress(sqlite3.IntegrityError):  # what no such table could hold
                into.execute("INSERT OR IGNORE INTO frame VALUES (?, ?, ?, ?, ?)", row)
    into.execute("COMMIT")


def _readable(database: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    try:
        yield from database.execute(query)
    except sqlite3.DatabaseError as error:
        if not tells_damage(error):
            raise


def tells_damage(error: sqlite3.DatabaseError, *, writable: bool = True) -> bool:
    """Tell whether an error says that a file is not what was written, and not that the host fails."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code == sqlite3.SQLITE_READONLY:  # a flag in the file says so, where its mode does not
        return writable
    return code not in _NOT_OF_THE_FILE
