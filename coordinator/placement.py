"""Placement: which worker hosts which workload cluster. Pure.

A cluster stays where it is for as long as its worker is configured, unless a person drains that one. Its
InMemoryCluster carries an annotation with the installation and the worker, so that a restarted coordinator
finds it again; an annotation of another installation (the object was moved between management clusters)
says nothing here.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from capim.api.infrastructure import GROUP

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

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
        self._targets: dict[NamespacedName, str] = {}  #: where clusters that move are going
        self._load: Counter[str] = Counter()  #: with those that are coming, without those that go
        self.cordoned: frozenset[str] = frozenset()  #: they are given no cluster
        self._immovable: set[NamespacedName] = set()
        #: called when a cluster has arrived, or will not go: others may
        self.on_arrived: Callable[[], None] = lambda: None

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
            worker = self.remembered(annotation) or self._least(self._open() or self._workers)
            self._placed[cluster] = worker
            self._load[worker] += 1
        return worker

    def release(self, cluster: NamespacedName) -> None:
        """Forget a cluster that has gone."""
        self.stay(cluster)
        self._immovable.discard(cluster)
        if (worker := self._placed.pop(cluster, None)) is not None:
            self._load[worker] -= 1

    # --- moves ---

    def target(self, cluster: NamespacedName) -> str | None:
        """Return where a cluster is going, or None when it stays."""
        return self._targets.get(cluster)

    @property
    def moving(self) -> dict[NamespacedName, str]:
        """All clusters on their way, with where they are going."""
        return dict(self._targets)

    def on(self, worker: str) -> list[NamespacedName]:
        """Return the clusters of a worker, with those that are leaving it."""
        return [cluster for cluster, name in self._placed.items() if name == worker]

    def uneven(self, candidates: Collection[str]) -> str | None:
        """Return which of these workers has more clusters than it need have; None: none has."""
        fit = [name for name in self._open() if name in candidates]
        if not fit:
            return None
        most = max(fit, key=lambda name: self._load[name])
        return most if self._load[most] - self._load[self._least(fit)] > 1 else None

    def send(self, cluster: NamespacedName, candidates: Collection[str]) -> str | None:
        """Let a cluster go to the least loaded of these workers; return which, None if none will do."""
        here = self._placed[cluster]
        fit = [name for name in self._open() if name in candidates and name != here]
        if not fit or cluster in self._immovable:
            return None
        self.stay(cluster)
        target = self._targets[cluster] = self._least(fit)
        self._load[target] += 1
        self._load[here] -= 1
        return target

    def stay(self, cluster: NamespacedName) -> None:
        """Let a cluster that was to move stay where it is."""
        if (target := self._targets.pop(cluster, None)) is not None:
            self._load[target] -= 1
            self._load[self._placed[cluster]] += 1

    def arrived(self, cluster: NamespacedName) -> None:
        """A cluster is where it was going."""
        self._placed[cluster] = self._targets.pop(cluster)
        self.on_arrived()

    def refused(self, cluster: NamespacedName) -> None:
        """A cluster cannot leave its worker: it is not sent again in this process's life."""
        self.stay(cluster)
        self._immovable.add(cluster)
        self.on_arrived()

    def _open(self) -> list[str]:
        return [name for name in self._workers if name not in self.cordoned]

    def _least(self, workers: Sequence[str]) -> str:
        return min(workers, key=lambda name: self._load[name])
