"""What a scenario may expect: machines that are replaced or kept, conditions, a scale that ends well."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from tests.e2e.kube import conditions, wait_until

if TYPE_CHECKING:
    from tests.e2e.kube import JsonObject
    from tests.scenarios.world import Cluster


#: several looks, each of which would notice what can be noticed
_OVERLOOKED_FOR_S: Final = 60.0


class Outcome(Protocol):
    """What is expected of the controllers while a cluster suffers."""

    @property
    def text(self) -> str:
        """What is expected, for a person."""

    def await_in(self, cluster: Cluster) -> None:
        """Return when it has come to be so; raises AssertionError, naming what is missing."""


@dataclass(frozen=True, slots=True)
class Remediated:
    """Machines that suffer are replaced."""

    within_s: float = 240.0

    @property
    def text(self) -> str:
        """What is expected, for a person."""
        return f"remediated within {self.within_s:.0f} s"

    def await_in(self, cluster: Cluster) -> None:
        """Wait until at least one of the machines there were is gone."""

        def missing() -> list[str]:
            return [] if cluster.before - cluster.uids() else ["every machine is still there"]

        wait_until(missing, self.within_s, f"{cluster.name}: a machine replaced")


@dataclass(frozen=True, slots=True)
class Kept:
    """No machine is replaced, however long it lasts."""

    for_s: float = 90.0

    @property
    def text(self) -> str:
        """What is expected, for a person."""
        return f"not remediated for {self.for_s:.0f} s"

    def await_in(self, cluster: Cluster) -> None:
        """Look for as long as was said."""
        end = time.monotonic() + self.for_s
        while time.monotonic() < end:
            gone = cluster.before - cluster.uids()
            assert not gone, f"{len(gone)} machines were replaced"
            time.sleep(2)


@dataclass(frozen=True, slots=True)
class Says:
    """A condition of an object of the cluster is not True, and no machine is replaced.

    The control plane's controller is made to look: at one that is healthy it looks again with its resync
    only, every ten minutes, or when an object of it changes.
    """

    kind: str
    condition: tuple[str, str]  #: its type in line 1.7 and in 1.14; empty: that line overlooks it
    overlooked: str = ""  #: what stays True in a line that overlooks it
    within_s: float = 180.0

    @property
    def text(self) -> str:
        """What is expected, for a person."""
        old, new = self.condition
        named = old if old == new else f"{old or 'nothing'} (1.7) or {new or 'nothing'} (1.14)"
        return f"{named} of a {self.kind} is not True; not remediated"

    def await_in(self, cluster: Cluster) -> None:
        """Wait for the condition."""
        wanted = self.condition[cluster.line != "1.7"]
        if not wanted:
            self._stay_overlooked(cluster)
            return

        def missing() -> list[str]:
            cluster.look_again()
            objects = cluster.objects(self.kind)
            return [] if any(_is_not_true(it, wanted) for it in objects) else [f"{wanted} is True"]

        wait_until(missing, self.within_s, f"{cluster.name}: {wanted} of a {self.kind} not True")
        assert cluster.before <= cluster.uids(), "a machine was replaced"

    def _stay_overlooked(self, cluster: Cluster) -> None:
        end = time.monotonic() + _OVERLOOKED_FOR_S
        while time.monotonic() < end:
            cluster.look_again()
            noticed = [it for it in cluster.objects(self.kind) if _is_not_true(it, self.overlooked)]
            assert not noticed, f"{self.overlooked} of a {self.kind} is not True"
            time.sleep(2)
        assert cluster.before <= cluster.uids(), "a machine was replaced"


def _is_not_true(obj: JsonObject, name: str) -> bool:
    found = {**conditions(obj), **_newer(obj)}.get(name)
    return found is not None and found["status"] != "True"


def _newer(obj: JsonObject) -> dict[str, JsonObject]:
    """Return the conditions of the newer contract that an object of the older one carries along."""
    newer = (obj.get("status") or {}).get("v1beta2") or {}
    return {one["type"]: one for one in newer.get("conditions") or ()}


@dataclass(frozen=True, slots=True)
class Scaled:
    """The cluster comes to the size it is told while it suffers."""

    workers: int = 3
    within_s: float = 240.0

    @property
    def text(self) -> str:
        """What is expected, for a person."""
        return f"scaled to {self.workers} workers within {self.within_s:.0f} s"

    def await_in(self, cluster: Cluster) -> None:
        """Scale, and wait until all machines run."""
        cluster.scale(self.workers)

        def missing() -> list[str]:
            running = [it for it in cluster.workers() if it["status"].get("phase") == "Running"]
            return [] if len(running) == self.workers else [f"{len(running)} workers run"]

        wait_until(missing, self.within_s, f"{cluster.name}: {self.workers} workers run")


@dataclass(frozen=True, slots=True)
class Blocked:
    """A machine that is asked for does not come up while the cluster suffers."""

    for_s: float = 45.0

    @property
    def text(self) -> str:
        """What is expected, for a person."""
        return f"a new machine does not run within {self.for_s:.0f} s"

    def await_in(self, cluster: Cluster) -> None:
        """Scale, wait for the machine, and see that it does not run."""
        cluster.scale(2)
        wait_until(
            lambda: [] if len(cluster.workers()) > 1 else ["no new machine"], 60, "a new machine"
        )
        time.sleep(self.for_s)
        phases = [it["status"].get("phase") for it in cluster.workers()]
        assert phases.count("Running") <= 1, f"workers are {phases}"
