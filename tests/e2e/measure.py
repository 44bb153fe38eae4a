"""Measures CAPIM against the Go provider: time until all runs, CPU time and memory of the provider.

    python -m tests.e2e.measure --line 1.7 --clusters 10 --workers 3 --runs 3

Every run has a testbed of its own, and runs of the two providers alternate, so that a machine that
grows slower or faster favours neither. Medians go to standard output as a Markdown table, every
single run to standard error as JSON. CPU and memory are those of the provider's processes, children
included, by /proc; `idle CPU` is what they use while nothing changes. `--provider journal` is CAPIM with
a journal; without `--provider` CAPIM without one runs beside the Go provider.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e import build, manifests, processes, provider
from tests.e2e.fleet import Fleet
from tests.e2e.kube import wait_until
from tests.e2e.testbed import Testbed

_TIMEOUT_S: Final = 900
_MIB: Final = 1 << 20
#: start-up durations of a VM, and of node, etcd and API server each, in the Go provider's class of the line
_DELAYS: Final = {"1.7": ("30s", "10s"), "1.14": ("10s", "2s")}
_JITTER: Final = "0.2"


@dataclass(frozen=True, slots=True)
class Load:
    """What one run creates."""

    line: str
    clusters: int
    workers: int
    delays: bool
    idle_s: float


@dataclass(frozen=True, slots=True)
class Result:
    """What one run took."""

    ready_s: float
    cpu_s: float  #: of the provider, from the first cluster's creation until all are running
    idle_cpu: float  #: share of one processor
    delete_s: float
    rss_mib: float
    pss_mib: float


_COLUMNS: Final = {
    "ready_s": "all running, s",
    "cpu_s": "CPU until then, s",
    "idle_cpu": "idle CPU, of one core",
    "delete_s": "all deleted, s",
    "rss_mib": "RSS, MiB",
    "pss_mib": "PSS, MiB",
}


def measure(name: str, load: Load, folder: Path) -> Result:
    """Run `load` on a new testbed with the provider of that name."""
    testbed = Testbed.start(load.line, folder, baseline=name == "go")
    try:
        running = provider.start(name, testbed, port_count=load.clusters)
        try:
            fleet = Fleet(testbed.kube, load.line, "default", running)
            documents = running.class_documents()
            vm, others = _DELAYS[load.line] if load.delays else ("0s", "0s")
            manifests.with_delays(documents, vm=vm, others=others, jitter=_JITTER)
            fleet.kube.apply(documents, fleet.namespace)
            return _measure(fleet, load)
        finally:
            running.stop()
    finally:
        testbed.stop()


def _measure(fleet: Fleet, load: Load) -> Result:
    names = [f"measure-{number}" for number in range(load.clusters)]
    size = fleet.size(1, load.workers)
    before, started = processes.usage(fleet.provider.pids()), time.monotonic()
    for name in names:
        fleet.create(name, size)
    fleet.wait_running(names, size, _TIMEOUT_S)
    ready_s = time.monotonic() - started
    ready = processes.usage(fleet.provider.pids())
    idle = _after(fleet, load.idle_s)
    started = time.monotonic()
    fleet.delete(names, _TIMEOUT_S)
    return Result(
        ready_s=ready_s,
        cpu_s=ready.cpu_s - before.cpu_s,
        idle_cpu=(idle.cpu_s - ready.cpu_s) / load.idle_s,
        delete_s=time.monotonic() - started,
        rss_mib=idle.rss_bytes / _MIB,
        pss_mib=idle.pss_bytes / _MIB,
    )


def _after(fleet: Fleet, idle_s: float) -> processes.Usage:
    """Return the provider's usage when it was left alone for so long."""
    end = time.monotonic() + idle_s
    wait_until(lambda: ["a while"] if time.monotonic() < end else [], idle_s + 10, "a while")
    return processes.usage(fleet.provider.pids())


def table(results: dict[str, list[Result]]) -> str:
    """Return the medians as a Markdown table, a row a provider."""
    head = " | ".join(["provider", *_COLUMNS.values()])
    lines = [f"| {head} |", "|" + "---|" * (len(_COLUMNS) + 1)]
    for name, runs in results.items():
        medians = [
            f"{statistics.median(getattr(run, column) for run in runs):.3g}" for column in _COLUMNS
        ]
        lines.append(f"| {' | '.join([name, *medians])} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--line", choices=build.CLUSTER_API, default="1.7")
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--workers", type=int, default=3, help="a cluster")
    parser.add_argument(
        "--delays", action="store_true", help="those of the Go provider's class of the line"
    )
    parser.add_argument("--runs", type=int, default=3, help="of each provider")
    parser.add_argument("--idle", type=float, default=30, help="seconds")
    parser.add_argument("--provider", choices=("capim", "journal", "go"), action="append")
    options = parser.parse_args()
    load = Load(options.line, options.clusters, options.workers, options.delays, options.idle)
    processes.adopt_orphans()
    results: dict[str, list[Result]] = {name: [] for name in options.provider or ("capim", "go")}
    with tempfile.TemporaryDirectory(prefix="capim-measure-") as work:
        for number in range(options.runs):
            for name, runs in results.items():
                runs.append(measure(name, load, Path(work) / f"{name}-{number}"))
                run = {"provider": name, **dataclasses.asdict(runs[-1])}
                sys.stderr.write(json.dumps(run) + "\n")
    sys.stdout.write(table(results))


if __name__ == "__main__":
    main()
