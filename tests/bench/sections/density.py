"""Ten thousand clusters of ten machines on one machine, without controllers: time, memory, answers.

Clients of five hundred of them ask two hundred times a second, over kept connections and over new ones.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tests.bench import subjects
from tests.bench.bench import Row

if TYPE_CHECKING:
    from tests.bench.bench import Bench
    from tests.bench.subjects import Subject

TITLE: Final = "10 000 clusters of 10 machines held and served"
LINES: Final = ()
_CLUSTERS: Final = 10_000
_QUICK_CLUSTERS: Final = 200
_MACHINES: Final = 10
_ASKED: Final = 500
_RATE: Final = 200
_HELD: Final = "10 000 clusters of 10 machines"
_KEPT: Final = f"{_HELD}, {_RATE} GETs a second"
_FRESH: Final = f"{_HELD}, {_RATE} new connections a second"
ROWS: Final = (
    Row(_HELD, "ready_s", "s until all are served"),
    Row(_HELD, "cpu_ms", "ms of CPU a cluster"),
    Row(_HELD, "pss_mib", "MiB"),
    Row(_HELD, "cluster_kib", "KiB a cluster"),
    Row(_KEPT, "p50_ms", "ms at the median"),
    Row(_KEPT, "p99_ms", "ms at 99 %"),
    Row(_KEPT, "busy", "processors"),
    Row(_FRESH, "p50_ms", "ms at the median"),
    Row(_FRESH, "p99_ms", "ms at 99 %"),
    Row(_FRESH, "busy", "processors"),
)
PLOTS: Final = ()


def run(bench: Bench, line: str) -> None:
    """Fill two workers once, then ask."""
    del line
    clusters = _QUICK_CLUSTERS if bench.effort.quick else _CLUSTERS
    shape = subjects.Shape(clusters, _MACHINES, workers=2, pinned=False)
    with subjects.capim(bench.keys, bench.folder, shape) as subject:
        pss_mib = subject.pss_mib()
        figures = {
            "ready_s": subject.ready_s,
            "cpu_ms": subject.cpu_s() / clusters * 1000,
            "pss_mib": pss_mib,
            "cluster_kib": pss_mib / clusters * 1024,
        }
        bench.record(_HELD, subject.name, figures)
        some = replace(subject, ports=_spread(subject.ports, min(_ASKED, clusters)))
        for _ in range(bench.effort.rounds):
            bench.record(_KEPT, subject.name, _ask(bench, some))
            bench.record(_FRESH, subject.name, _ask(bench, some, "-fresh"))


def _spread(ports: range, count: int) -> range:
    """Return so many of the ports, evenly taken."""
    return ports[:: len(ports) // count][:count]


def _ask(bench: Bench, subject: Subject, *flags: str) -> dict[str, float]:
    found = bench.load(
        subject,
        "read",
        "-path=/api/v1/namespaces/kube-system",
        f"-connections={len(subject.ports)}",
        f"-rate={_RATE}",
        "-cpu=0",
        f"-longest={3 if bench.effort.quick else 30}s",
        *flags,
        pin=False,
    )
    return {**found, "busy": found["server_cpu_s"] / found["seconds"]}
