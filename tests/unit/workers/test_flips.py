"""Each bit of a journal's file that is not what was written is noticed, or says nothing."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

from capim.runtime.journal import frames as f
from capim.runtime.journal.frames import Frame, ObjectFrame, Row, first_link, link
from workers.journalfile import Entry, JournalFile

if TYPE_CHECKING:
    from pathlib import Path

UIDS: Final = tuple(f"{number}d7b3b2e-4c0f-4a8e-9d58-0f0c3c3a1b2{number}" for number in range(6))
NAME: Final = "w.journal"
ROUNDS: Final = 12


class Written:
    """A file with some history, and what was written to it last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[str, list[Row]] = {}
        self._rng = random.Random(3)  # noqa: S311 - sizes of a test's frames
        self._file = JournalFile(folder / NAME, full_sync=False)
        for number in range(1, ROUNDS + 1):
            self._file.append([self._entry(uid, number) for uid in UIDS])
        self._file.forget(UIDS[-1])  # leaves free pages
        del self.rows[UIDS[-1]]

    def _entry(self, uid: str, number: int) -> Entry:
        whole = number % 5 == 1
        before = [] if whole else self.rows[uid]
        size = self._rng.choice([10, 300, 9000])
        text = ObjectFrame("v1", "ConfigMap", b"{" + self._rng.randbytes(size))
        body = Frame(number if whole else None, [text]).encode()
        last = before[-1].link if before else first_link(uid)
        row = Row(number, link(last, body), body)
        self.rows[uid] = [*before, row]
        return Entry(uid, row, whole)

    def copies(self, folder: Path, *, closed: bool) -> Path:
        """Return a folder with the files as a worker that ends, or is killed, leaves them."""
        if closed:
            self._file.close()
        shutil.copytree(self.folder, folder)
        if not closed:
            self._file.close()
        return folder


def flipped(folder: Path, name: str, rng: random.Random, into: Path) -> Path:
    """Return a copy of a folder with one bit of one file another."""
    shutil.copytree(folder, into)
    data = bytearray((into / name).read_bytes())
    bit = rng.randrange(len(data) * 8)
    data[bit // 8] ^= 1 << bit % 8
    (into / name).write_bytes(data)
    return into / NAME


def verdict(path: Path, written: dict[str, list[Row]]) -> set[str]:
    """Return the clusters that are found damaged or missing; a wrong one that is not is an error."""
    harmed: set[str] = set()
    with contextlib.closing(JournalFile(path, full_sync=False)) as file:
        for uid, rows in written.items():
            try:
                found = file.rows(uid)
                f.read(uid, found or [])
            except f.DamageError:
                assert uid in file or file.loss, "it is told that the cluster was here"
                harmed.add(uid)
            else:
                assert found == rows[: len(found)] or (file.uncertain and found[0] not in rows)
                assert found == rows or (file.uncertain and file.loss)
        assert file.uids <= written.keys() or file.uncertain
    return harmed


@pytest.mark.parametrize(
    ("closed", "flips"),
    [pytest.param(True, 150, id="closed"), pytest.param(False, 40, id="killed")],
)
def test_a_bit_that_flips_is_noticed(tmp_path: Path, closed: bool, flips: int) -> None:
    (tmp_path / "made").mkdir()
    written = Written(tmp_path / "made")
    intact = written.copies(tmp_path / "intact", closed=closed)
    names = [NAME] if closed else [NAME, f"{NAME}-wal"]
    rng, harmed = random.Random(8), Counter[int]()  # noqa: S311 - bits of a test
    for _ in range(flips):
        path = flipped(intact, rng.choice(names), rng, tmp_path / "copy")
        harmed[len(verdict(path, written.rows))] += 1
        shutil.rmtree(tmp_path / "copy")
    shutil.copytree(intact, tmp_path / "whole")
    assert not verdict(tmp_path / "whole" / NAME, written.rows)
    assert harmed[0] + harmed[1] > flips * 0.8, "what is damaged is contained"
