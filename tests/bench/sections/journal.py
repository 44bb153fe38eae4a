"""What the journal costs while clusters are created under real Cluster API controllers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.bench.bench import Row
from tests.bench.sections import fleet
from tests.bench.subjects import CAPIM

if TYPE_CHECKING:
    from tests.bench.bench import Bench

TITLE: Final = "Cost of the journal: 10 clusters of 1 + 3 machines"
LINES: Final = ()
PLOTS: Final = ()
_LINE: Final = "1.14"
_CLUSTERS: Final = 10
_IDLE_S: Final = 30.0
#: row -> how the provider is started
_ROWS: Final = {"10 clusters without a journal": "capim", "10 clusters with one": "journal"}
ROWS: Final = tuple(
    row
    for name in _ROWS
    for row in (
        Row(name, "machine_ms", "ms of CPU a machine"),
        Row(name, "idle_cpu", "processors when idle"),
        Row(name, "pss_mib", "MiB"),
    )
)


def run(bench: Bench, line: str) -> None:
    """Measure with and without in turn."""
    del line
    clusters, workers, idle_s = (1, 1, 1.0) if bench.effort.quick else (_CLUSTERS, 3, _IDLE_S)
    plan = fleet.Plan(_LINE, (clusters,), workers, ("0s", "0s"), idle_s)
    for number in range(bench.effort.rounds):
        for row, name in _ROWS.items():
            [(_, figures), _] = fleet.measure(name, plan, bench.folder / f"{name}-{number}")
            bench.record(row, CAPIM, figures)
