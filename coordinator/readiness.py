"""What /readyz says of a coordinator: a candidate is ready as it is, a leader once it can do its work."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Sequence

    from coordinator.fleetview import WorkerView


class Readiness:
    """The checks, and what they look at as far as it is there yet."""

    def __init__(self, remote_workers: Collection[str]) -> None:
        """Begin as a candidate; `remote_workers` are started by others, and are not waited for."""
        self.leads = False
        self.in_step: Sequence[asyncio.Event] = ()  #: of the informers
        self.workers: Callable[[], Sequence[WorkerView]] | None = None
        self._remote = frozenset(remote_workers)
        self._was_staffed = False

    def synced(self) -> bool:
        """Say whether the informers are in step; a candidate has none."""
        if not self.leads:
            return True
        return bool(self.in_step) and all(one.is_set() for one in self.in_step)

    def staffed(self) -> bool:
        """Say whether workers hold their whole shards: at first all of this host, from then on any.

        One that is lost costs its own clusters; without our webhooks nobody could change any other.
        """
        if not self.leads:
            return True
        if self.workers is None:
            return False
        workers = self.workers()
        if all(one.ready for one in workers if one.name not in self._remote):
            self._was_staffed = True
        return self._was_staffed and any(one.ready for one in workers)
