"""Real Cluster API controllers: what clusters cost the provider until they run, and while they run.

Each run has a management cluster of its own. With the newest line there are ten clusters: its Go provider
does not get fifty to rest, because health checks replace its machines.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.bench.bench import Row
from tests.bench.subjects import CAPIM, go_name
from tests.e2e import manifests, processes, provider
from tests.e2e.fleet import Fleet
from tests.e2e.testbed import Testbed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.bench import Bench
    from tests.e2e.fleet import Size

TITLE: Final = "Clusters of 1 + 3 machines under real Cluster API controllers"
LINES: Final = ("1.14", "1.7")
PLOTS: Final = ()
_FEW: Final = 10
_MANY: Final = 50
_WORKERS: Final = 3
_IDLE_S: Final = 30.0
_TIMEOUT_S: Final = 900
_MIB: Final = 1 << 20
#: start-up durations of a VM, and of node, etcd and API server each, in the line's class of the Go provider
_DELAYS: Final = {"1.7": ("30s", "10s"), "1.14": ("10s", "2s")}
_NO_DELAYS: Final = ("0s", "0s")
_JITTER: Final = "0.2"
_DELAYED: Final = f"{_FEW} clusters, start-up delays"
_DELETED: Final = "all of them deleted"


def _name(clusters: int) -> str:
    return f"{clusters} clusters"


ROWS: Final = (
    *(
        row
        for clusters, bar in ((_FEW, 2.0), (_MANY, 1.0))
        for row in (
            Row(_name(clusters), "ready_s", "s until all machines run", 1.0),
            Row(_name(clusters), "machine_ms", "ms of CPU a machine", 0.7),
            Row(_name(clusters), "idle_cpu", "processors when idle", 0.5),
            Row(_name(clusters), "pss_mib", "MiB", bar),
        )
    ),
    Row(_name(_MANY), "cluster_mib", "MiB more a cluster", 0.5),
    Row(_DELETED, "delete_s", "s", 1.0),
    Row(_DELAYED, "ready_s", "s until all machines run", 1.0),
    Row(_DELAYED, "machine_ms", "ms of CPU a machine", 0.7),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run creates: at first so many clusters, then more until there are as many as said next."""

    line: str
    stages: tuple[int, ...]
    workers: int
    delays: tuple[str, str]
    idle_s: float


def run(bench: Bench, line: str) -> None:
    """Measure without delays, growing, and then a few clusters with them."""
    for number in range(bench.effort.rounds):
        for name, subject in (("capim", CAPIM), ("go", go_name(line))):
            folder = bench.folder / f"{name}-{number}"
            for row, figures in measure(name, _plan(bench, line), folder):
                bench.record(row, subject, figures)
            if not bench.effort.quick:
                plan = Plan(line, (_FEW,), _WORKERS, _DELAYS[line], _IDLE_S)
                [(_, figures), _] = measure(name, plan, folder.with_suffix(".delays"))
                bench.record(_DELAYED, subject, figures)


def _plan(bench: Bench, line: str) -> Plan:
    if bench.effort.quick:
        return Plan(line, (1,), 1, _NO_DELAYS, 1.0)
    stages = (_FEW, _MANY) if line == "1.7" else (_FEW,)
    return Plan(line, stages, _WORKERS, _NO_DELAYS, _IDLE_S)


def measure(name: str, plan: Plan, folder: Path) -> list[tuple[str, dict[str, float]]]:
    """Run a plan on a new testbed with `capim`, with `journal` or with `go`; returns rows and figures."""
    testbed = Testbed.start(plan.line, folder, baseline=name == "go")
    try:
        running = provider.start(name, testbed, port_count=max(plan.stages))
        try:
            fleet = Fleet(testbed.kube, plan.line, "default", running)
            documents = running.class_documents()
            vm, others = plan.delays
            manifests.with_delays(documents, vm=vm, others=others, jitter=_JITTER)
            fleet.kube.apply(documents, fleet.namespace)
            return list(_stages(fleet, plan))
        finally:
            running.stop()
    finally:
        testbed.stop()


def _stages(fleet: Fleet, plan: Plan) -> Iterator[tuple[str, dict[str, float]]]:
    size = fleet.size(1, plan.workers)
    names = [f"bench-{number}" for number in range(max(plan.stages))]
    cpu_s, ready_s, there, before_mib = 0.0, 0.0, 0, 0.0
    for clusters in plan.stages:
        stage = _grow(fleet, names[there:clusters], size, plan.idle_s)
        cpu_s += stage["cpu_s"]
        ready_s += stage["ready_s"]
        machines = clusters * (1 + plan.workers)
        figures = {**stage, "ready_s": ready_s, "machine_ms": cpu_s / machines * 1000}
        if there:
            figures["cluster_mib"] = (stage["pss_mib"] - before_mib) / (clusters - there)
        yield _name(clusters), figures
        there, before_mib = clusters, stage["pss_mib"]
    began = time.monotonic()
    fleet.delete(names, _TIMEOUT_S)
    yield _DELETED, {"delete_s": time.monotonic() - began}


def _grow(fleet: Fleet, names: list[str], size: Size, idle_s: float) -> dict[str, float]:
    """Create clusters, wait until they run, and leave the provider alone for a while."""
    pids = fleet.provider.pids
    before, began = processes.usage(pids()), time.monotonic()
    for name in names:
        fleet.create(name, size)
    fleet.wait_running(names, size, _TIMEOUT_S)
    ready_s = time.monotonic() - began
    ready, ready_at = processes.usage(pids()), time.monotonic()
    time.sleep(idle_s)
    idle = processes.usage(pids())
    return {
        "ready_s": ready_s,
        "cpu_s": ready.cpu_s - before.cpu_s,
        "idle_cpu": (idle.cpu_s - ready.cpu_s) / (time.monotonic() - ready_at),
        "pss_mib": idle.pss_bytes / _MIB,
        "rss_mib": idle.rss_bytes / _MIB,
    }
