"""What every section works with: rounds, results, and the program that makes the load."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tests.bench import subjects
from tests.bench.keys import Keys
from tests.bench.results import DONE, Results, Sample
from tests.e2e import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.bench.subjects import Subject

_LOAD_TIMEOUT_S: Final = 900
#: a server may still be busy with the clients that have just left, on the processor of the other
_CALM_S: Final = 0.5
#: with more the Go provider of 1.7 dies: its maps are read and written at the same time
_CONNECTIONS: Final = {"1.7": 1, "1.14": 4}


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that is measured and how the table shows it."""

    name: str
    figure: str
    unit: str
    bar: float | None = None  #: highest ratio of CAPIM's figure to the Go provider's that is good


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure that grows with something: what rows measured it at which size."""

    file: str  #: without its ending
    title: str
    x_label: str
    y_label: str
    figure: str
    rows: Mapping[int, str]


class Section(Protocol):
    """A module of measurements."""

    @property
    def TITLE(self) -> str:
        """What it measures; --help and the table say it."""

    @property
    def ROWS(self) -> Sequence[Row]:
        """What the table shows."""

    @property
    def PLOTS(self) -> Sequence[Plot]:
        """What is drawn."""

    @property
    def LINES(self) -> Sequence[str]:
        """With which lines' Go providers; empty: CAPIM alone."""

    def run(self, bench: Bench, line: str) -> None:
        """Measure everything, for one line or, with an empty one, without the Go provider."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long and how often things are measured."""

    rounds: int
    cpu_s: float  #: of the server in each measurement; it ticks every 10 ms
    quick: bool


@dataclass
class Bench:
    """A section's run."""

    section: str
    line: str
    effort: Effort
    results: Results
    run: str
    commit: str
    folder: Path
    keys: Keys = field(init=False)

    def __post_init__(self) -> None:
        self.keys = Keys.make(self.folder / "keys")

    @property
    def connections(self) -> int:
        """How many connections a load may have with the Go provider of the line."""
        return _CONNECTIONS.get(self.line, 4)

    def record(self, row: str, subject: str, figures: Mapping[str, float]) -> None:
        """Write a measurement down and show it."""
        effort = self.effort
        self.results.append(
            Sample(
                self.section,
                self.line,
                row,
                subject,
                figures,
                run=self.run,
                commit=self.commit,
                quick=effort.quick,
            )
        )
        if row != DONE:
            shown = " ".join(f"{name}={value:.4g}" for name, value in figures.items())
            tell(f"{self.section} {self.line} | {row} | {subject}: {shown}")

    @contextlib.contextmanager
    def pair(self) -> Iterator[list[Subject]]:
        """Yield CAPIM and the Go provider of the line, each with one cluster."""
        with (
            subjects.capim(self.keys, self.folder) as ours,
            subjects.go(self.line, self.keys, self.folder) as theirs,
        ):
            yield [ours, theirs]

    def alternate(
        self,
        row: str,
        running: Sequence[Subject],
        measure: Callable[[Subject], Mapping[str, float]],
    ) -> None:
        """Measure every subject in turn, as often as the effort says."""
        for _ in range(self.effort.rounds):
            for subject in running:
                time.sleep(_CALM_S)
                self.record(row, subject.name, measure(subject))

    def asking(self, what: str, *flags: str) -> Callable[[Subject], dict[str, float]]:
        """Return what lets the load program ask a subject so."""
        return lambda subject: self.load(subject, what, *flags)

    def load(self, subject: Subject, what: str, *flags: str, pin: bool = True) -> dict[str, float]:
        """Let the load program ask `subject`; returns what it reports, costs by operation added."""
        program = build.ensure(["load"]) / "load"
        command = [
            *(str(program), f"-urls={','.join(subject.urls)}", f"-keys={subject.keys.folder}"),
            f"-pids={','.join(map(str, subject.process.family()))}",
            *(f"-cpu={self.effort.cpu_s}", *flags, what),
        ]
        done = subprocess.run(
            subjects.pinned(command, last=True) if pin else command,
            capture_output=True,
            text=True,
            timeout=_LOAD_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            subject.process.check_alive()
            raise RuntimeError(f"load {what} of {subject.name}: {done.stderr[-2000:]}")
        report = json.loads(done.stdout)
        return _figures(report)


def _figures(report: dict[str, float | str]) -> dict[str, float]:
    figures = {name: value for name, value in report.items() if not isinstance(value, str)}
    figures["cpu_us"] = figures["server_cpu_s"] / max(figures["count"], 1) * 1e6
    figures["per_s"] = figures["count"] / max(figures["seconds"], 1e-9)
    return figures


def tell(text: str) -> None:
    """Say how far the measurement is."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@contextlib.contextmanager
def work_folder() -> Iterator[Path]:
    """Yield a folder for logs and keys that is gone after."""
    with tempfile.TemporaryDirectory(prefix="capim-bench-") as folder:
        yield Path(folder)
