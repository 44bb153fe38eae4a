"""From the start of the servers' processes to the first handshake with a workload cluster.

The Go provider's servers are alone here; CAPIM is a coordinator's side of the workers and one worker.
Neither has controllers or a management cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.bench import subjects
from tests.bench.bench import Row

if TYPE_CHECKING:
    from tests.bench.bench import Bench
    from tests.bench.subjects import Subject

TITLE: Final = "Cold start"
LINES: Final = ("1.14", "1.7")
_NAME: Final = "first cluster served"
ROWS: Final = (
    Row(_NAME, "start_s", "s after the start"),
    Row(_NAME, "cpu_s", "s of CPU"),
    Row(_NAME, "pss_mib", "MiB"),
)
PLOTS: Final = ()


def run(bench: Bench, line: str) -> None:
    """Start each in turn."""
    for _ in range(bench.effort.rounds):
        with subjects.capim(bench.keys, bench.folder) as subject:
            bench.record(_NAME, subject.name, _figures(subject))
        with subjects.go(line, bench.keys, bench.folder) as subject:
            bench.record(_NAME, subject.name, _figures(subject))


def _figures(subject: Subject) -> dict[str, float]:
    cpu_s, pss_mib = subject.cpu_s(), subject.pss_mib()
    return {"start_s": subject.start_s, "cpu_s": cpu_s, "pss_mib": pss_mib}
