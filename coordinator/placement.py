"""Placement: which worker hosts which workload cluster. Pure.

A cluster stays where it is for as long as its worker is configured. Its InMemoryCluster carries an
annotation with the installation and the worker, so that a restarted coordinator finds it again; an
annotation of another installation (the object was moved between management clusters) says nothing here.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from capim.api.infrastructure import GROUP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capim.api.gvk import NamespacedName

#: On an InMemoryCluster: `<installation>/<worker>`.
PLACEMENT_ANNOTATION: Final = f"inmemorycluster.{GROUP}/placement"

#: On an InMemoryCluster: `<host>:<port>` of its listener as we advertised it. An endpoint that says
#: otherwise is a user's and is left alone; one that says the same is ours to correct.
ENDPOINT_ANNOTATION: Final = f"inmemorycluster.{GROUP}/endpoint"


class Placement(NamedTuple):
    """Where a cluster is."""

    installation: str
    worker: str

    def __str__(self) -> str:
        return f"{self.installation}/{self.worker}"

    @classmethod
    def parse(cls, text: str) -> Placement | None:
        """Read an annotation; None for what is no placement."""
        installation, _, worker = text.partition("/")
        return cls(installation, worker) if installation and worker else None


class Placements:
    """Every cluster's worker. One loop, no lock."""

    def __init__(self, installation: str, workers: Sequence[str]) -> None:
        if not workers:
            raise ValueError("no workers to place clusters on")
        self.installation = installation
        self._workers = tuple(workers)
        self._placed: dict[NamespacedName, str] = {}
        self._load: Counter[str] = Counter()

    def worker(self, cluster: NamespacedName) -> str | None:
        """Return the worker a cluster is on, or None when it was not placed."""
        return self._placed.get(cluster)

    def remembered(self, annotation: str) -> str | None:
        """Return the worker that an annotation names, if it is ours and still configured."""
        placement = Placement.parse(annotation)
        if placement is None or placement.installation != self.installation:
            return None
        return placement.worker if placement.worker in self._workers else None

    def place(self, cluster: NamespacedName, annotation: str) -> str:
        """Return the cluster's worker: where it is, where it was, or the least loaded one."""
        worker = self._placed.get(cluster)
        if worker is None:
            least = min(self._workers, key=lambda name: self._load[name])
            worker = self.remembered(annotation) or least
            self._placed[cluster] = worker
            self._load[worker] += 1
        return worker

    def release(self, cluster: NamespacedName) -> None:
        """Forget a cluster that has gone."""
        if (worker := self._placed.pop(cluster, None)) is not None:
            self._load[worker] -= 1
