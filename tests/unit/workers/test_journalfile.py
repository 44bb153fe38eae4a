"""The journal's file: what is written is there, whole, and nobody else writes it."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from capim.runtime.journal.frames import Row
from workers.journalfile import Entry, JournalError, JournalFile

if TYPE_CHECKING:
    from pathlib import Path


def row(number: int, body: bytes = b"body") -> Row:
    return Row(number, b"link", body)


def opened(path: Path, *, full_sync: bool = False) -> contextlib.closing[JournalFile]:
    return contextlib.closing(JournalFile(path, full_sync=full_sync))


def test_frames_are_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "worker-0.journal"
    with opened(path) as file:
        file.append([Entry("a", row(1), True), Entry("b", row(7), True)])
        file.append([Entry("a", row(2), False)])
    with opened(path, full_sync=True) as file:
        assert file.rows("a") == [row(1), row(2)]
        assert file.rows("b") == [row(7)]
        assert file.rows("c") == []
        assert not file.uncertain
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_whole_frame_takes_the_place_of_all_before_it(tmp_path: Path) -> None:
    with opened(tmp_path / "w.journal") as file:
        file.append([Entry("a", row(1), True), Entry("a", row(2), False), Entry("b", row(1), True)])
        file.append([Entry("a", row(3), True)])
        assert file.rows("a") == [row(3)]
        assert file.rows("b") == [row(1)]
        file.forget("b")
        assert file.rows("b") == []


def test_a_commit_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    with opened(tmp_path / "w.journal") as file:
        file.append([Entry("a", row(1), True)])
        full(file, True)
        with pytest.raises(sqlite3.OperationalError, match="disk is full"):
            file.append([Entry("b", row(1), True), Entry("a", row(2, b"long" * 9999), False)])
        assert file.rows("b") == []
        assert file.rows("a") == [row(1)]
        full(file, False)
        file.append([Entry("b", row(2), True)])
        assert file.rows("b") == [row(2)]


def test_a_file_is_held_by_one_worker(tmp_path: Path) -> None:
    path = tmp_path / "w.journal"
    with opened(path), pytest.raises(JournalError, match="held by another worker"):
        JournalFile(path, full_sync=False)
    with opened(path):
        pass


def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "w.journal"
    for number in (1, 2):
        path.write_bytes(b"this is not a database, but long enough to be taken for one" * 20)
        with opened(path) as file:
            assert file.rows("a") == []
        assert (tmp_path / f"w.damaged-{number}").read_bytes().startswith(b"this is not")


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "w.journal"
    with opened(path) as file:
        file.append([Entry("a", row(1), True)])
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version=99")
        database.execute("UPDATE about SET value = '99' WHERE name = 'schema'")
        database.commit()
    with pytest.raises(JournalError, match="written by a newer CAPIM"):
        JournalFile(path, full_sync=False)
    assert path.exists()


def test_a_start_of_the_host_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boot, path = tmp_path / "boot_id", tmp_path / "w.journal"
    boot.write_text("first\n")
    monkeypatch.setattr("workers.journalfile._BOOT_ID", boot)
    with opened(path) as file:
        assert not file.uncertain
    boot.write_text("second\n")
    with opened(path) as file:
        assert file.uncertain
    boot.write_text("third\n")
    with opened(path, full_sync=True) as file:
        assert not file.uncertain, "nothing can be lost that was acknowledged"


def test_a_file_of_the_first_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "w.journal"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(
            """
            CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
            CREATE TABLE frame (uid TEXT NOT NULL, number INTEGER NOT NULL, link BLOB NOT NULL,
                body BLOB NOT NULL, PRIMARY KEY (uid, number)) STRICT;
            CREATE TABLE damaged (uid TEXT NOT NULL, number INTEGER, link BLOB, body BLOB) STRICT;
            PRAGMA user_version=1;
            """
        )
        for uid, number in (("a", 3), ("b", 1), ("a", 2)):
            values = (uid, number, b"link", b"body")
            database.execute("INSERT INTO frame VALUES (?, ?, ?, ?)", values)
        database.commit()
    for _ in range(2):
        with opened(path) as file:
            assert file.rows("a") == [row(2), row(3)]
            assert file.rows("b") == [row(1)]
            assert not file.uncertain


def test_a_file_that_cannot_be_used_now_is_not_taken_for_damaged(tmp_path: Path) -> None:
    path = tmp_path / "w.journal"
    path.mkdir()
    with pytest.raises(JournalError, match="unable to open database file; nothing in it is lost"):
        JournalFile(path, full_sync=False)
    assert path.exists()


@pytest.mark.parametrize("commits", [1, 3])
def test_a_full_disk_costs_nothing_that_was_written(tmp_path: Path, commits: int) -> None:
    path = tmp_path / "w.journal"
    with opened(path) as file:
        for number in range(1, commits + 1):
            file.append([Entry("a", row(number), number == 1)])
        full(file, True)
        with pytest.raises(sqlite3.OperationalError, match="disk is full"):
            file.append([Entry("a", row(commits + 1, b"long" * 9999), False)])
        assert len(file.rows("a")) == commits, "reads go on"
        full(file, False)
        file.append([Entry("a", row(commits + 1), False)])
    with opened(path) as file:
        assert len(file.rows("a")) == commits + 1
        assert not file.uncertain


def test_what_was_seen_while_the_disk_was_full_makes_the_end_uncertain(tmp_path: Path) -> None:
    path = tmp_path / "w.journal"
    with opened(path) as file:
        file.append([Entry("a", row(1), True)])
        full(file, True)
        with pytest.raises(sqlite3.OperationalError, match="disk is full"):
            file.append([Entry("a", row(2, b"long" * 9999), False)])
        full(file, False)
        file.forget("b")  # what is written besides says nothing of it
    with opened(path) as file:
        assert file.rows("a") == [row(1)]
        assert file.uncertain
        assert not file.loss
    with opened(path) as file:
        assert not file.uncertain


def full(file: JournalFile, is_so: bool) -> None:
    """Let a file grow no more, or again."""
    database = file._database
    pages = database.execute("PRAGMA page_count").fetchone()[0] if is_so else 1 << 30
    database.execute(f"PRAGMA max_page_count={pages}")
