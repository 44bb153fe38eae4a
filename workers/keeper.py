"""Who keeps a worker's clusters beyond its life: what its state asks of a journal, and nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import structlog

from capim.runtime.journal.frames import DamageError
from capim.runtime.journal.restoring import revived

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from capim.api.workload import ClusterSpec
    from capim.runtime.workload import WorkloadCluster


_log = structlog.get_logger(__name__)


class Keeper(Protocol):
    """Writes clusters down, and knows earlier lives of them."""

    def greet(self, installation: str, workers: Iterable[str]) -> None:
        """Know whose clusters these are, and which workers there are."""

    def expect(self, uids: Iterable[str]) -> None:
        """Make ready for clusters that are to be built."""

    def build(
        self, spec: ClusterSpec, make: Callable[[ClusterSpec, int | None], WorkloadCluster]
    ) -> WorkloadCluster:
        """Return a cluster as it was; `make` makes an empty one that begins at a version, None: above all."""

    def take(
        self,
        spec: ClusterSpec,
        make: Callable[[ClusterSpec, int | None], WorkloadCluster],
        state: bytes,
    ) -> WorkloadCluster:
        """Return a cluster as another worker gave it; raises DamageError. Empty `state`: as `build`."""

    def damage(self, uid: str, /) -> str:
        """Return why a cluster is not all that was written down of it, for a person; empty: it is."""

    def confirm(self) -> None:
        """The shard is whole: clusters that come from now on are new."""

    def touch(self, cluster: WorkloadCluster) -> None:
        """Write down what may be new of a cluster."""

    def drop(self, cluster: WorkloadCluster) -> None:
        """Let go of a cluster; what is written down of it stays."""

    def forget(self, uid: str) -> None:
        """Remove what is written down of a cluster that is not to come back."""


class NoKeeper:
    """Writes nothing down."""

    def greet(self, installation: str, workers: Iterable[str]) -> None:
        """There is nothing to know it for."""

    def expect(self, uids: Iterable[str]) -> None:
        """There is nothing to make ready."""

    def build(
        self, spec: ClusterSpec, make: Callable[[ClusterSpec, int | None], WorkloadCluster]
    ) -> WorkloadCluster:
        """Return an empty cluster."""
        return make(spec, None)

    def take(
        self,
        spec: ClusterSpec,
        make: Callable[[ClusterSpec, int | None], WorkloadCluster],
        state: bytes,
    ) -> WorkloadCluster:
        """Return a cluster as another worker gave it."""
        return revived(spec, make, state) if state else make(spec, None)

    def damage(self, _uid: str, /) -> str:
        """Nothing was written down that could be damaged."""
        return ""

    def confirm(self) -> None:
        """All clusters are new."""

    def touch(self, cluster: WorkloadCluster) -> None:
        """Write nothing down."""

    def drop(self, cluster: WorkloadCluster) -> None:
        """Let go of a cluster."""

    def forget(self, uid: str) -> None:
        """There is nothing to remove."""


def taken(
    keeper: Keeper,
    spec: ClusterSpec,
    make: Callable[[ClusterSpec, int | None], WorkloadCluster],
    state: bytes,
) -> WorkloadCluster:
    """Return a cluster as another worker gave it, or built anew where that cannot be read here."""
    try:
        return keeper.take(spec, make, state)
    except DamageError as error:  # of another CAPIM, that serves other kinds
        _log.error("cluster is built anew", cluster=str(spec.key), error=str(error))
        return keeper.take(spec, make, b"")
