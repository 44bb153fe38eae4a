"""Lets real controllers create, scale, upgrade and delete clusters for an hour, and tells what CAPIM grew by.

    python -m tests.soak --minutes 60 --results out/soak.jsonl --plot docs/soak.svg

Every ten seconds each process of CAPIM is looked at; while it runs, clients read in all clusters. The exit
code is 1 if a process grows over the last three quarters, a client saw what it should not have, or CAPIM
logged an error. The results are a line of JSON a sample, and a last one with what was counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.e2e import processes
from tests.e2e.fleet import Fleet
from tests.e2e.provider import CapimProvider
from tests.e2e.testbed import Testbed
from tests.soak import plot
from tests.soak.measuring import Gauge
from tests.soak.population import LIFE
from tests.soak.run import Soak
from tests.soak.trend import judge, table

#: of what went wrong, told on standard output; the results have all
_SHOWN: Final = 10


def soak(testbed: Testbed, options: argparse.Namespace) -> bool:
    """Run on a testbed, tell what came of it, and return whether all held."""
    capim = CapimProvider(
        testbed, port_count=2 * len(LIFE), journal=True, flags=["--logging-format=json"]
    )
    fleet = Fleet(testbed.kube, testbed.line, "default", capim)
    fleet.apply_class()
    gauge = Gauge(capim)
    run = Soak(fleet, gauge, options.results)
    load = Load(testbed, capim)
    asyncio.run(run.run(options.minutes * 60, options.period))
    shares = load.shares()
    errors, warnings = gauge.complaints()
    capim.stop()
    counted: dict[str, float] = {
        "minutes": round(run.age_s / 60, 1),
        "turns": run.turns,
        "requests": run.told.requests,
        "watch_events": run.told.events,
        "watches_resumed": run.told.resumed,
        "log_warnings": warnings,
        **shares,
    }
    wrong = [*run.told.errors, *errors]
    rows = judge(run.samples, run.age_s)
    sys.stdout.write(table(rows))
    wrong += [f"{row.process} grows: {row.measure}" for row in rows if row.grows]
    with options.results.open("a") as file:
        file.write(json.dumps({"counted": counted, "wrong": wrong}) + "\n")
    options.plot.write_text(plot.drawn(run.samples, run.age_s))
    lines = [json.dumps(counted), f"{len(wrong)} things went wrong", *wrong[:_SHOWN]]
    sys.stdout.write("\n".join(lines) + "\n")
    return not wrong


class Load:
    """How busy CAPIM, and all that runs on the testbed, keep one core."""

    def __init__(self, testbed: Testbed, capim: CapimProvider) -> None:
        self._own = capim.pids()
        self._all = {*self._own, *(process.pid for process in testbed.processes)}
        self._began, self._before = time.monotonic(), self._used()

    def _used(self) -> tuple[float, float]:
        return processes.usage(self._own).cpu_s, processes.usage(self._all).cpu_s

    def shares(self) -> dict[str, float]:
        """Return both, as parts of a core since this was made."""
        took_s = time.monotonic() - self._began
        own, everything = (
            (after - before) / took_s
            for after, before in zip(self._used(), self._before, strict=True)
        )
        return {"capim_cpu": round(own, 3), "all_cpu": round(everything, 3)}


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--period", type=float, default=120, help="seconds a turn takes at least")
    parser.add_argument("--results", type=Path, default=Path("out/soak.jsonl"))
    parser.add_argument("--plot", type=Path, default=Path("out/soak.svg"))
    options = parser.parse_args()
    for path in (options.results, options.plot):
        path.parent.mkdir(parents=True, exist_ok=True)
    options.results.unlink(missing_ok=True)
    processes.adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="capim-soak-") as folder:
        testbed = Testbed.start("1.14", Path(folder, "testbed"))
        try:
            held = soak(testbed, options)
        finally:
            testbed.stop()
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
