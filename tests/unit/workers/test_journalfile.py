"""The journal's file: what is written is there, whole, and nobody else writes it."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from capim.runtime.journal.frames import Row
from workers.journalfile import Entry, JournalError, JournalFile, found_elsewhere

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
        assert not file.rebooted
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
        with pytest.raises(sqlite3.IntegrityError):
            file.append([Entry("b", row(1), True), Entry("a", row(1), False)])
        assert file.rows("b") == []
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
    with pytest.raises(JournalError, match="written by a newer CAPIM"):
        JournalFile(path, full_sync=False)
    assert path.exists()


def test_a_start_of_the_host_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boot, path = tmp_path / "boot_id", tmp_path / "w.journal"
    boot.write_text("first\n")
    monkeypatch.setattr("workers.journalfile._BOOT_ID", boot)
    with opened(path) as file:
        assert not file.rebooted
    boot.write_text("second\n")
    with opened(path) as file:
        assert file.rebooted
    boot.write_text("third\n")
    with opened(path, full_sync=True) as file:
        assert not file.rebooted, "nothing can be lost that was acknowledged"


def test_frames_of_a_worker_that_is_no_more_are_found(tmp_path: Path) -> None:
    mine, other, living = (tmp_path / f"worker-{n}.journal" for n in range(3))
    with opened(other) as file:
        file.append([Entry("a", row(5), True)])
    with opened(living) as file:
        file.append([Entry("b", row(5), True)])
        assert found_elsewhere(mine, "a") == [row(5)]
        assert found_elsewhere(mine, "b") == []
