"""More worker processes on the same machine: what they get done together, and what the load takes away.

Eight clusters are written to at the same time. Nothing is bound to a processor, so the program that
makes the load competes with the workers: what it uses is measured too, because it is not theirs.
"""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING, Final

from tests.bench import subjects
from tests.bench.bench import Plot, Row

if TYPE_CHECKING:
    from tests.bench.bench import Bench
    from tests.bench.subjects import Subject

TITLE: Final = "Throughput of 1, 2 and 4 workers"
LINES: Final = ()
_WORKERS: Final = (1, 2, 4)
_CLUSTERS: Final = 8
_CONNECTIONS: Final = 16


def _name(workers: int) -> str:
    return f"lives of nodes, {workers} worker{'s' if workers > 1 else ''}"


ROWS: Final = tuple(
    row
    for workers in _WORKERS
    for row in (
        Row(_name(workers), "per_s", "a second"),
        Row(_name(workers), "busy", "processors used by CAPIM"),
        Row(_name(workers), "load_busy", "processors used by the load"),
    )
)
PLOTS: Final = (
    Plot(
        "workers-throughput",
        f"Nodes created, patched and deleted, {os.cpu_count()} processors",
        "workers",
        "a second",
        "per_s",
        {workers: _name(workers) for workers in _WORKERS},
    ),
)


def run(bench: Bench, line: str) -> None:
    """Measure with more and more workers."""
    del line
    for _ in range(bench.effort.rounds):
        for workers in _WORKERS:
            shape = subjects.Shape(clusters=_CLUSTERS, workers=workers, pinned=False)
            with subjects.capim(bench.keys, bench.folder, shape) as subject:
                bench.load(subject, "fill", "-count=4")
                bench.record(_name(workers), subject.name, _measure(bench, subject))


def _measure(bench: Bench, subject: Subject) -> dict[str, float]:
    before = _of_children()
    found = bench.load(subject, "write", f"-connections={_CONNECTIONS}", pin=False)
    load_s = _of_children() - before
    seconds = found["seconds"]
    return {
        **found,
        "busy": found["server_cpu_s"] / seconds,
        # its warm-up included, which is short
        "load_busy": load_s / seconds,
    }


def _of_children() -> float:
    """Return the CPU time of all children that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
