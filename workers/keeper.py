"""Who keeps a worker's clusters beyond its life: what its state asks of a journal, and nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from capim.api.workload import ClusterSpec
    from capim.runtime.workload import WorkloadCluster


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
