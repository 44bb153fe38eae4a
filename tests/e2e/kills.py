"""Kills CAPIM's processes at random moments while real controllers create, scale, upgrade and delete.

    python -m tests.e2e.kills --line 1.14 --kills 200

Every flow has ten kills or more, and begins when the one before is complete. Told of each flow: how many
kills it had and how long it took. The exit code is 1 if a flow does not complete, a Machine is replaced
that need not be, or Cluster API remediates one.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.e2e import build, processes
from tests.e2e.fleet import CLUSTER_LABEL, Fleet, Size
from tests.e2e.kube import wait_until
from tests.e2e.provider import CapimProvider
from tests.e2e.testbed import Testbed

if TYPE_CHECKING:
    from collections.abc import Callable

_FLOW_S: Final = 900
_WORKERS: Final = 3
_BETWEEN_S: Final = (0.3, 2.5)  #: kills, while a flow has had fewer than its share
_LEAST: Final = 10


class Killer:
    """Kills now and then whoever the seed says; a killed coordinator is started again at once."""

    def __init__(self, capim: CapimProvider, rng: random.Random) -> None:
        self._capim = capim
        self._rng = rng
        self._left = 0
        self._next = 0.0
        self.kills = 0

    def begin(self, kills: int) -> None:
        """Allow so many kills from now on."""
        self._left = kills
        self._plan()

    @property
    def left(self) -> int:
        """How many kills are still to come."""
        return self._left

    def look(self) -> None:
        """Kill if it is time."""
        if not self._left or time.monotonic() < self._next:
            return
        workers = self._capim.workers()
        chosen = self._rng.choice(["worker", "worker", "coordinator", "all"])
        if chosen != "worker":
            self._capim.kill_coordinator()
        for pid in workers if chosen == "all" else self._rng.sample(workers, k=chosen == "worker"):
            processes.kill(pid)
        if chosen != "worker":
            self._capim.start()
        self.kills += 1
        self._left -= 1
        self._plan()

    def _plan(self) -> None:
        self._next = time.monotonic() + self._rng.uniform(*_BETWEEN_S)


class Campaign:
    """Flow after flow on one fleet, with what must hold after each."""

    def __init__(self, fleet: Fleet, killer: Killer, clusters: int) -> None:
        self._fleet = fleet
        self._killer = killer
        self._names = [f"killed-{number}" for number in range(clusters)]
        self._seen: set[str] = set()  #: UIDs of Machines in this flow

    def round(self) -> None:
        """Create, scale, upgrade, delete. Raises AssertionError."""
        fleet, names = self._fleet, self._names
        size, larger = fleet.size(1, _WORKERS), fleet.size(1, _WORKERS + 1)
        upgraded = fleet.size(1, _WORKERS + 1, fleet.next_version)
        self._flow("create", lambda name: fleet.create(name, size), self._gaps(size))
        made = self._machines()
        assert self._seen == made, "a new cluster's machines were replaced"
        self._flow("scale", lambda name: fleet.resize(name, larger), self._gaps(larger))
        scaled = self._machines()
        assert made < scaled, "scaling made no machines"
        assert self._seen == scaled, "scaling replaced machines"
        self._flow("upgrade", lambda name: fleet.resize(name, upgraded), self._gaps(upgraded))
        rolled = self._machines()
        assert not scaled & rolled, "machines were not upgraded"
        assert self._seen == scaled | rolled, "the upgrade replaced machines twice"
        self._flow(
            "delete",
            lambda name: fleet.kube.delete("Cluster", fleet.namespace, name),
            lambda: [left for name in names for left in fleet.remains(name)],
        )

    def _flow(
        self, name: str, ask: Callable[[str], None], missing: Callable[[], list[str]]
    ) -> None:
        self._seen, started, before = set(), time.monotonic(), self._killer.kills
        for cluster in self._names:
            ask(cluster)
        self._killer.begin(_LEAST)

        def look() -> list[str]:
            self._killer.look()
            if name != "delete":
                self._seen |= self._machines()
            # what is complete stays so until all kills have been
            return missing() or [f"{self._killer.left} kills"] * bool(self._killer.left)

        wait_until(look, _FLOW_S, name)
        self._expect_no_remediation()
        took_s = time.monotonic() - started
        sys.stdout.write(f"{name}: {self._killer.kills - before} kills, {took_s:.0f} s\n")
        sys.stdout.flush()

    def _gaps(self, size: Size) -> Callable[[], list[str]]:
        return lambda: self._fleet.missing(self._names, size)

    def _machines(self) -> set[str]:
        found = self._fleet.kube.list("Machine", self._fleet.namespace, labels=CLUSTER_LABEL)
        return {machine["metadata"]["uid"] for machine in found}

    def _expect_no_remediation(self) -> None:
        marked = [
            machine["metadata"]["name"]
            for machine in self._fleet.kube.list("Machine", self._fleet.namespace)
            if any("remediat" in name for name in machine["metadata"].get("annotations", {}))
        ]
        events = [
            event["message"]
            for event in self._fleet.kube.list("Event", self._fleet.namespace)
            if "remediat" in event["reason"].lower()
        ]
        assert not marked, f"remediation of {marked}"
        assert not events, f"remediation: {events}"


def main() -> int:
    """Run rounds until there were as many kills as asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--line", choices=tuple(build.CLUSTER_API), default="1.14")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    processes.adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="capim-kills-") as folder:
        testbed = Testbed.start(asked.line, Path(folder, "testbed"))
        try:
            capim = CapimProvider(testbed, port_count=asked.clusters, journal=True)
            killer = Killer(capim, random.Random(asked.seed))  # noqa: S311 - repeatable
            fleet = Fleet(testbed.kube, asked.line, "default", capim)
            fleet.apply_class()
            campaign = Campaign(fleet, killer, asked.clusters)
            while killer.kills < asked.kills:
                campaign.round()
            capim.stop()
        finally:
            testbed.stop()
    sys.stdout.write(f"{killer.kills} kills: all held\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
