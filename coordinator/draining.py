"""Draining and rebalancing: what a person wants of workers, and which clusters move next. Pure.

The wish stands in annotations of the leader election Lease, one a worker. That object is the installation
(its UID is the installation's ID), is read by the leader every two seconds anyway, and outlives every
coordinator; a wish cannot be another installation's, and needs no right that the manager has not. The wish
that clusters be spread evenly has an end, by which whoever gave it is served or has gone.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import structlog

from capim.api.infrastructure import GROUP
from capim.api.meta import parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from capim.aio.clock import Clock
    from capim.api.gvk import NamespacedName
    from capim.api.meta import JsonObject
    from coordinator.placement import Placements

_log = structlog.get_logger(__name__)

#: so many clusters are on their way at a time: each is closed for as long as it travels
AT_ONCE: Final = 4
_PREFIX: Final = f"workers.{GROUP}/"
#: of the Lease: until this time clusters move from workers with many to those with few
REBALANCE_ANNOTATION: Final = f"{GROUP}/rebalance-until"


class Wish(enum.StrEnum):
    """What a person wants of a worker; without one it takes clusters like any other."""

    CORDONED = "Cordoned"  #: no more clusters
    DRAINED = "Drained"  #: no clusters


def wish_annotation(worker: str) -> str:
    """Return the annotation of the Lease that says what is wanted of a worker."""
    return f"{_PREFIX}{worker}"


def wishes_of(lease: JsonObject) -> dict[str, Wish]:
    """Return what the Lease says, by worker; what is no wish is left out."""
    annotations = lease["metadata"].get("annotations") or {}
    known = {str(wish): wish for wish in Wish}
    return {
        name.removeprefix(_PREFIX): known[value]
        for name, value in annotations.items()
        if name.startswith(_PREFIX) and value in known
    }


def rebalance_until(lease: JsonObject) -> float:
    """Return until when clusters are to be spread evenly, in seconds; 0: they are not."""
    written = (lease["metadata"].get("annotations") or {}).get(REBALANCE_ANNOTATION, "")
    try:
        return parse_time(written)
    except ValueError:
        return 0.0


class Drainer:
    """Moves clusters as people want it, and never else. One loop, no lock."""

    def __init__(
        self,
        placements: Placements,
        *,
        ready: Callable[[], Collection[str]],
        movable: Callable[[NamespacedName], bool],
        wake: Callable[[NamespacedName], None],
        clock: Clock,
    ) -> None:
        """Wire a drainer.

        Args:
            placements: where clusters are and where they go.
            ready: the workers that hold their shards now; from and to others nothing moves.
            movable: whether a cluster may be touched now: it is neither paused nor being deleted.
            wake: have a cluster looked at that is to go, or to stay.
            clock: seconds since the epoch.
        """
        self._placements = placements
        self._ready = ready
        self._movable = movable
        self._wake = wake
        self._clock = clock
        self._rebalance_until = 0.0
        self._wishes: Mapping[str, Wish] = {}
        placements.on_arrived = self.go_on

    def follow(self, lease: JsonObject) -> None:
        """Do what the Lease says."""
        self._rebalance_until = rebalance_until(lease)
        self.wish(wishes_of(lease))

    def wish(self, wishes: Mapping[str, Wish]) -> None:
        """Let these workers be empty, or be given no more, and no others."""
        if wishes != self._wishes:
            _log.info("workers", wanted={name: str(wish) for name, wish in wishes.items()})
        self._wishes = wishes
        self._placements.cordoned = frozenset(wishes)
        self.go_on()

    def go_on(self) -> None:
        """Let the next clusters go; those whose way has become wrong go elsewhere or stay."""
        evenly = self._clock() < self._rebalance_until
        if not self._wishes and not self._placements.moving and not evenly:
            return
        ready = self._ready()
        for cluster, target in self._placements.moving.items():
            here = self._placements.worker(cluster)
            if here is not None and not self._drained(here) and not evenly:
                self._placements.stay(cluster)
                self._wake(cluster)
            elif target not in ready:
                self._send(cluster, ready)
        for worker in filter(self._drained, ready):
            self._empty(worker, ready)
        if evenly:
            self._even_out(ready)

    def _empty(self, worker: str, ready: Collection[str]) -> None:
        for cluster in self._placements.on(worker):
            if len(self._placements.moving) >= AT_ONCE:
                return
            if self._placements.target(cluster) is None and self._movable(cluster):
                self._send(cluster, ready)

    def _even_out(self, ready: Collection[str]) -> None:
        while len(self._placements.moving) < AT_ONCE:
            worker = self._placements.uneven(ready)
            if worker is None or not self._send_one(worker, ready):
                return

    def _send_one(self, worker: str, ready: Collection[str]) -> bool:
        """Let any cluster of a worker go; say whether one could."""
        staying = (one for one in self._placements.on(worker) if not self._placements.target(one))
        return any(self._movable(one) and self._send(one, ready) for one in staying)

    def _send(self, cluster: NamespacedName, ready: Collection[str]) -> bool:
        target = self._placements.send(cluster, ready)
        if target is not None:
            _log.info("cluster moves", cluster=str(cluster), worker=target)
            self._wake(cluster)
        return target is not None

    def _drained(self, worker: str) -> bool:
        return self._wishes.get(worker) is Wish.DRAINED
