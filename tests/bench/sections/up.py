"""`capim up` with a thousand clusters: everything in one command, the stand-in for Cluster API included."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

from tests.bench.bench import Row
from tests.bench.subjects import CAPIM
from tests.e2e.processes import Process, usage

if TYPE_CHECKING:
    from tests.bench.bench import Bench

TITLE: Final = "capim up with 1 000 clusters of 1 + 3 machines"
LINES: Final = ()
_CLUSTERS: Final = 1000
_QUICK_CLUSTERS: Final = 10
_TIMEOUT_S: Final = 1800
_LOOK_S: Final = 2.0
_IDLE_S: Final = 30.0
_MIB: Final = 1 << 20
#: what `capim up` prints when all machines run
_UP: Final = "machines running after"
_NAME: Final = "capim up, 1 000 clusters of 1 + 3"
ROWS: Final = (
    Row(_NAME, "ready_s", "s until all machines run"),
    Row(_NAME, "cpu_s", "s of CPU until then"),
    Row(_NAME, "pss_mib", "MiB when they do"),
    Row(_NAME, "peak_mib", "MiB at most"),
    Row(_NAME, "idle_cpu", "processors after that"),
)
PLOTS: Final = ()


def run(bench: Bench, line: str) -> None:
    """Run it as often as the effort says."""
    del line
    clusters = _QUICK_CLUSTERS if bench.effort.quick else _CLUSTERS
    for number in range(bench.effort.rounds):
        folder = bench.folder / f"up-{number}"
        folder.mkdir()
        command = [sys.executable, "-m", "capim.cli.main", "up", f"--clusters={clusters}"]
        process = Process.start("up", command, folder=folder)
        try:
            bench.record(_NAME, CAPIM, _measure(process, quick=bench.effort.quick))
        finally:
            process.stop(grace_s=60)


def _measure(process: Process, *, quick: bool) -> dict[str, float]:
    began, peak = time.monotonic(), 0
    while _UP not in (text := process.tail(5000)):
        process.check_alive()
        if time.monotonic() - began > _TIMEOUT_S:
            raise RuntimeError(f"not up after {_TIMEOUT_S} s; it printed:\n{text}")
        peak = max(peak, usage(process.family()).pss_bytes)
        time.sleep(_LOOK_S)
    # as it prints, to the second: to ask for memory takes long where there is much
    ready_s = float(text.partition(_UP)[2].split()[0])
    ready, ready_at = usage(process.family()), time.monotonic()
    time.sleep(1 if quick else _IDLE_S)
    idle, idle_s = usage(process.family()), time.monotonic() - ready_at
    return {
        "ready_s": ready_s,
        "cpu_s": ready.cpu_s,
        "pss_mib": ready.pss_bytes / _MIB,
        "peak_mib": max(peak, ready.pss_bytes) / _MIB,
        "idle_cpu": (idle.cpu_s - ready.cpu_s) / idle_s,
    }
