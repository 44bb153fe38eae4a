"""Files beside a worker's journal that are no living worker's: taken over, then removed. Blocking.

They were left by workers that are no more, or hold a cluster that is on its way from one worker to
another: who gives it away writes it to a file of its own, who is given it finds it there. A crash at any
moment leaves it in one place at least, and what stays in two is dropped by who serves it.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from workers.journalfile import JournalError, JournalFile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_log = structlog.get_logger(__name__)

#: another worker that takes something over holds a file for as long as it copies
_ATTEMPTS: Final = 40
_PAUSE_S: Final = 0.05


class Origin(NamedTuple):
    """What is to be known of the file that clusters were taken from."""

    uncertain: bool
    loss: str


def take_over(
    mine: JournalFile, wanted: Collection[str], workers: Collection[str]
) -> dict[str, Origin]:
    """Move clusters from strays into a worker's own file; those that are there already stay as they are.

    Args:
        mine: the worker's file.
        wanted: uids.
        workers: names of all workers there are; their files are no strays.
    """
    taken: dict[str, Origin] = {}
    if mine.uids.issuperset(wanted):
        return taken
    for stray in _strays(mine.path, workers):
        for uid in (set(wanted) - mine.uids) & stray.uids:
            mine.take(uid, stray)
            taken[uid] = Origin(stray.uncertain, stray.loss)
        mine.loss = mine.loss or stray.loss
        _shrink(stray, taken.keys())
    return taken


def hand_over(mine: JournalFile, uids: Collection[str]) -> None:
    """Write clusters that are another worker's now where it finds them, and let go of them."""
    for uid in uids:
        with contextlib.closing(_patiently(_way_of(mine, uid))) as file:
            file.forget(uid)
            file.take(uid, mine)
        mine.forget(uid)


def forget(mine: JournalFile, uids: Collection[str], workers: Collection[str]) -> None:
    """Remove clusters that are deleted, wherever they are written down. Raises OSError, sqlite3.Error."""
    mine.forget(*uids)
    for stray in _strays(mine.path, workers):
        _shrink(stray, uids)


def _way_of(mine: JournalFile, uid: str) -> Path:
    """Return the file of a cluster on its way."""
    digest = hashlib.blake2b(uid.encode(), digest_size=16).hexdigest()
    return mine.path.with_name(f"moved-{digest}{mine.path.suffix}")


def purge(mine: JournalFile, living: Collection[str], workers: Collection[str]) -> None:
    """Remove clusters that are gone from strays, with those that the worker's own file has now."""
    for stray in _strays(mine.path, workers):
        _shrink(stray, (stray.uids - set(living)) | (stray.uids & mine.uids))


def _shrink(stray: JournalFile, gone: Collection[str]) -> None:
    if gone := stray.uids & set(gone):
        stray.forget(*gone)
    if not stray.uids:
        _log.info("journal taken over", file=str(stray.path))
        stray.remove()


def _strays(path: Path, workers: Collection[str]) -> Iterator[JournalFile]:
    """Yield the files of no living worker, each held meanwhile."""
    for other in sorted(path.parent.glob(f"*{path.suffix}")):
        if other == path or other.stem in workers:
            continue
        try:
            file = _patiently(other)
        except JournalError as error:
            _log.error("journal cannot be taken over", file=str(other), error=str(error))
            continue
        with contextlib.closing(file):
            yield file


def _patiently(path: Path) -> JournalFile:
    for _ in range(_ATTEMPTS):
        try:
            return JournalFile(path, full_sync=True)
        except JournalError as error:
            failure = error
            threading.Event().wait(_PAUSE_S)
    raise failure
