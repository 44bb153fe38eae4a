"""What a journal's file keeps when power goes, or its process ends, between any two steps of SQLite's.

`python -m tests.unit.workers.test_powerloss` tries all steps of many stories; here a few of one.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from capim.runtime.journal.frames import Row
from tests.support.sqlitedisk import Step, after_power_loss, after_process_death, library, recorded
from workers.journalfile import Entry, JournalFile

if TYPE_CHECKING:
    from collections.abc import Iterable

UIDS: Final = ("a", "b", "c")
NAME: Final = "w.journal"
COMMITS: Final = 40
CUTS: Final = 25
Contents = dict[str, list[Row]]


class Story(NamedTuple):
    """What was written: what SQLite did, what was there after each commit, and how far SQLite was then."""

    steps: list[Step]
    contents: list[Contents]
    ends: list[int]

    def commits_at(self, step: int) -> int:
        """Return how many commits were acknowledged before a step."""
        return sum(end <= step for end in self.ends)


def entries(contents: Contents, rng: random.Random) -> list[Entry]:
    """Return some frames that follow what is there."""
    found: list[Entry] = []
    for uid in rng.sample(UIDS, rng.randint(1, 3)):
        number = contents[uid][-1].number + 1 if uid in contents else 1
        row = Row(number, rng.randbytes(16), rng.randbytes(rng.choice([10, 700, 6000])))
        found.append(Entry(uid, row, uid not in contents or rng.random() < 0.2))
    return found


def written(path: Path, *, full_sync: bool, seed: int) -> Story:
    """Write to a new file, with its log checkpointed and begun anew every few commits."""
    sqlite = library()
    if sqlite is None:
        pytest.skip("SQLite is part of Python here")
    rng = random.Random(seed)  # noqa: S311 - a test's story
    with recorded(sqlite) as steps:
        story = Story(steps, [{}], [0])
        with contextlib.closing(JournalFile(path, full_sync=full_sync)) as file:
            file._database.execute("PRAGMA wal_autocheckpoint=12")
            for _ in range(COMMITS):
                after = dict(story.contents[-1])
                commit(file, after, rng)
                story.contents.append(after)
                story.ends.append(len(steps))
    return story


def commit(file: JournalFile, contents: Contents, rng: random.Random) -> None:
    """Write something, or forget a cluster."""
    if contents and rng.random() < 0.1:
        gone = rng.choice(sorted(contents))
        file.forget(gone)
        del contents[gone]
        return
    fresh = entries(contents, rng)
    file.append(fresh)
    for uid, row, whole in fresh:
        contents[uid] = [row] if whole else [*contents[uid], row]


def found_in(folder: Path, files: dict[str, bytes]) -> Contents:
    """Return what a file says that consists of these bytes."""
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    with contextlib.closing(JournalFile(folder / NAME, full_sync=False)) as file:
        assert not file.loss
        contents = {uid: file.rows(uid) for uid in file.uids}
    shutil.rmtree(folder)
    return contents


def check(story: Story, steps: Iterable[int], folder: Path, *, full_sync: bool, seed: int) -> None:
    """Let power go after each of these steps, and see what is left."""
    rng = random.Random(seed)  # noqa: S311 - which writes reach the disk
    for step in steps:
        commits = story.commits_at(step)
        left = after_power_loss(story.steps[:step], rng)
        found = found_in(folder / "left", left)
        first = commits - 1 if full_sync else 0
        assert found in story.contents[first : commits + 1], f"after step {step}"


@pytest.mark.parametrize("full_sync", [True, False], ids=["full", "normal"])
def test_power_that_goes_at_any_step_costs_no_more_than_promised(
    tmp_path: Path, full_sync: bool
) -> None:
    story = written(tmp_path / NAME, full_sync=full_sync, seed=1)
    steps = range(random.Random(3).randrange(20), len(story.steps), len(story.steps) // CUTS)  # noqa: S311
    check(story, steps, tmp_path, full_sync=full_sync, seed=2)


def test_a_process_that_ends_at_any_step_costs_nothing(tmp_path: Path) -> None:
    """The system writes what it was given: all steps before its end, and none after."""
    story = written(tmp_path / NAME, full_sync=False, seed=4)
    for step in range(7, len(story.steps), len(story.steps) // CUTS):
        commits = story.commits_at(step)
        found = found_in(tmp_path / "left", after_process_death(story.steps[:step]))
        assert found in story.contents[commits - 1 : commits + 1], f"after step {step}"


def main() -> None:
    """Try all steps of some stories, in both modes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    for seed in range(parser.parse_args().seeds):
        for full_sync in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                story = written(Path(folder, NAME), full_sync=full_sync, seed=seed)
                steps = range(len(story.steps) + 1)
                check(story, steps, Path(folder), full_sync=full_sync, seed=seed)
            print(f"seed {seed} full_sync {full_sync}: {len(steps)} cuts")  # noqa: T201


if __name__ == "__main__":
    main()
