"""Whether processes grow: a line through what was seen while the fleet rested, and a verdict. Pure.

Cycles come back to the same fleet, so what is compared are floors: the least that a process had during
each rest. Connections, tasks and memory that come and go with requests only add to it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: of the run, at its end: what is before warms up
WINDOW: Final = 0.75
_MIB: Final = 1 << 20
_HOUR_S: Final = 3600.0
#: what is measured -> growth an hour that is too much; a whole descriptor or task more is one too many
LIMITS: Final = {"rss_mib": 1.0, "descriptors": 1.0, "tasks": 1.0}


@dataclass(frozen=True, slots=True)
class Sample:
    """A process at one moment."""

    at_s: float  #: since the run began
    cycle: int
    resting: bool  #: the fleet is what it is at the end of every cycle
    process: str
    rss_bytes: int
    pss_bytes: int
    descriptors: int
    threads: int
    tasks: int

    def value(self, measure: str) -> float:
        """Return one of `LIMITS`' measures."""
        return self.rss_bytes / _MIB if measure == "rss_mib" else float(getattr(self, measure))


@dataclass(frozen=True, slots=True)
class Trend:
    """A least-squares line: what it rises by in an hour."""

    slope: float
    error: float  #: the slope's standard error
    first: float  #: the line at its begin
    last: float  #: and at its end
    points: int


def line(points: Sequence[tuple[float, float]]) -> Trend:
    """Put a line through (seconds, value). Raises ValueError: fewer than three points."""
    count = len(points)
    if count < 3:
        raise ValueError(f"{count} points: a trend needs three, run longer or with shorter cycles")
    mean_t = sum(at for at, _ in points) / count
    mean_v = sum(value for _, value in points) / count
    spread = sum((at - mean_t) ** 2 for at, _ in points)
    slope = sum((at - mean_t) * (value - mean_v) for at, value in points) / spread
    rest = sum((value - mean_v - slope * (at - mean_t)) ** 2 for at, value in points)
    error = math.sqrt(rest / (count - 2) / spread)
    first, last = (mean_v + slope * (at - mean_t) for at in (points[0][0], points[-1][0]))
    return Trend(slope * _HOUR_S, error * _HOUR_S, first, last, count)


def windowed(samples: Iterable[Sample], ended_s: float) -> list[Sample]:
    """Return the samples of the end of a run that took `ended_s`."""
    begin = ended_s * (1 - WINDOW)
    return [sample for sample in samples if sample.at_s >= begin]


def floors(samples: Iterable[Sample], measure: str) -> list[tuple[float, float]]:
    """Return the least value of each rest and when it was seen."""
    rests: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for sample in samples:
        if sample.resting:
            rests[sample.cycle].append((sample.value(measure), sample.at_s))
    return [(at_s, value) for value, at_s in (min(rest) for rest in rests.values())]


@dataclass(frozen=True, slots=True)
class Row:
    """How one process moved in one measure."""

    process: str
    measure: str
    rest: Trend  #: of the floors; what is judged
    all: Trend  #: of every sample

    @property
    def grows(self) -> bool:
        """Say whether it is too much."""
        return self.rest.slope >= LIMITS[self.measure]


def judge(samples: Sequence[Sample], ended_s: float) -> list[Row]:
    """Return a row for each process and measure. Raises ValueError: too few rests."""
    window = windowed(samples, ended_s)
    rows = []
    for process in sorted({sample.process for sample in window}):
        own = [sample for sample in window if sample.process == process]
        for measure in LIMITS:
            every = line([(sample.at_s, sample.value(measure)) for sample in own])
            rows.append(Row(process, measure, line(floors(own, measure)), every))
    return rows


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| process | measure | when warm | at the end | an hour, at rest | an hour, all samples |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        rest, every = (f"{trend.slope:+.2f} ± {trend.error:.2f}" for trend in (row.rest, row.all))
        ends = f"{row.rest.first:.1f} | {row.rest.last:.1f}"
        lines.append(f"| {row.process} | {row.measure} | {ends} | {rest} | {every} |")
    return "\n".join(lines) + "\n"
