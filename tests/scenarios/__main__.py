"""`python -m tests.scenarios`: see the package."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e import build, processes
from tests.e2e.fleet import Fleet
from tests.e2e.provider import CapimProvider
from tests.e2e.testbed import Testbed
from tests.scenarios.catalogue import SCENARIOS, Scenario
from tests.scenarios.outcomes import Blocked, Scaled
from tests.scenarios.world import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.scenarios", description=__doc__)
    parser.add_argument("--line", choices=tuple(build.CLUSTER_API), action="append")
    parser.add_argument(
        "-k", dest="text", default="", help="only those whose names have one of A,B,C"
    )
    parser.add_argument("--at-once", type=int, default=8, help="scenarios at the same time")
    parser.add_argument("--runs", type=int, default=1, help="how often each")
    parser.add_argument("--results", type=Path, help="a file for JSON lines")
    return parser.parse_args(arguments)


def play(fleet: Fleet, scenario: Scenario) -> str:
    """Play a scenario to its end; return what went wrong, empty when nothing did."""
    cluster = Cluster(fleet, scenario.name, fleet.size(scenario.control_planes, 1))
    try:
        cluster.create(watched=scenario.watched)
        cluster.suffer(scenario.spec, on=scenario.on)
        try:
            scenario.outcome.await_in(cluster)
        finally:
            cluster.heal()
        cluster.wait_whole(_workers(scenario))
        fleet.delete([scenario.name], timeout_s=240)
    except Exception as error:  # a row of the table, and the others go on
        return f"{type(error).__name__}: {error}"
    return ""


def _workers(scenario: Scenario) -> int:
    match scenario.outcome:
        case Scaled(workers=workers):
            return workers
        case Blocked():
            return 2
    return 1


def play_line(line: str, chosen: Sequence[Scenario], at_once: int) -> Iterator[dict[str, object]]:
    """Play scenarios on a testbed of their own; yield a result for each."""
    with tempfile.TemporaryDirectory(prefix="capim-scenarios-") as folder:
        testbed = Testbed.start(line, Path(folder) / line)
        try:
            provider = CapimProvider(testbed, port_count=len(chosen) + 2)
            with (
                Fleet.in_namespace(testbed.kube, line, "scenarios", provider) as fleet,
                ThreadPoolExecutor(at_once) as pool,
            ):
                fleet.apply_class()
                yield from pool.map(lambda one: _timed(fleet, one), chosen)
            provider.stop()
        finally:
            testbed.stop()


def _timed(fleet: Fleet, scenario: Scenario) -> dict[str, object]:
    began = time.monotonic()
    wrong = play(fleet, scenario)
    return {
        "line": fleet.line,
        "scenario": scenario.name,
        "expected": scenario.outcome.text,
        "seconds": round(time.monotonic() - began),
        "wrong": wrong,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Play and print; return 1 when an expectation was not met."""
    options = parse(arguments)
    parts = options.text.split(",")
    chosen = [one for one in SCENARIOS if any(part in one.name for part in parts)]
    failed = 0
    with processes.ending_cleanly():
        for line in (options.line or list(build.CLUSTER_API)) * options.runs:
            for result in play_line(line, chosen, options.at_once):
                failed += bool(result["wrong"])
                verdict = "as expected" if not result["wrong"] else f"NOT: {result['wrong']}"
                sys.stdout.write(
                    f"{line}  {result['scenario']}: {result['expected']}: {verdict}"
                    f" ({result['seconds']} s)\n"
                )
                sys.stdout.flush()
                if options.results:
                    with options.results.open("a") as file:
                        file.write(json.dumps(result) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
