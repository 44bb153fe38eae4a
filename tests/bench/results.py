"""What was measured: a line of JSON for each measurement, appended to a file.

Lines are told apart by the run of the section that they belong to; a table takes the last run of each
section for each line of Cluster API.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

#: the row of the line that says that a section has come to its end
DONE = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement."""

    section: str
    line: str  #: of Cluster API, whose Go provider CAPIM is measured beside; empty: without
    row: str  #: what was done
    subject: str  #: who did it
    figures: Mapping[str, float]
    run: str  #: when the section began, the commit and whether it was a quick run
    commit: str
    quick: bool


class Results:
    """The file of all samples."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, sample: Sample) -> None:
        """Write a sample down."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(dataclasses.asdict(sample)) + "\n")

    def all(self) -> list[Sample]:
        """Read all samples, oldest first."""
        if not self._path.exists():
            return []
        return [Sample(**json.loads(line)) for line in self._path.read_text().splitlines()]

    def is_done(self, section: str, line: str, commit: str) -> bool:
        """Say whether a whole run of the section was made of this very commit."""
        wanted = (section, line, commit, DONE, False)
        return any(
            (sample.section, sample.line, sample.commit, sample.row, sample.quick) == wanted
            for sample in self.all()
        )


def latest(samples: Iterable[Sample]) -> list[Sample]:
    """Return the samples of the last finished run of each section and line."""
    found = list(samples)
    last = {(one.section, one.line): one.run for one in found if one.row == DONE}
    return [
        one for one in found if one.row != DONE and last.get((one.section, one.line)) == one.run
    ]


def median(samples: Iterable[Sample], figure: str) -> float | None:
    """Return the median of a figure; None where nobody measured it."""
    values = [one.figures[figure] for one in samples if figure in one.figures]
    return statistics.median(values) if values else None


def select(samples: Iterable[Sample], **wanted: Any) -> list[Sample]:
    """Return the samples whose fields are as wanted."""
    return [
        one
        for one in samples
        if all(getattr(one, field) == value for field, value in wanted.items())
    ]
