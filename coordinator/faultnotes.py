"""What is told of a fault that begins or ends: to itself and to the clusters it befalls. Pure.

Messages say nothing that differs from one time to the next, so that a fault that comes and goes is counted
and not written again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coordinator.events import Note

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from capim.api.meta import JsonObject

BEGUN: Final = "FaultBegun"
ENDED: Final = "FaultEnded"
#: of a fault that befalls more clusters the others are not told: they would use up all Events' budget
_CLUSTERS_TOLD: Final = 20


def notes_of_phase(
    before: JsonObject, after: JsonObject, clusters: Sequence[JsonObject]
) -> Iterator[Note]:
    """Yield what is told of an InMemoryFault whose status was written; `clusters`: InMemoryClusters."""
    was, now = _acts(before), _acts(after)
    if was == now:
        return
    effect = (after["status"] or {}).get("effect", "")
    befallen = f"{effect} befalls {_counted(len(clusters))}."
    ended = f"{effect} is over; {_counted(len(clusters))} heal."
    yield Note(after, BEGUN if now else ENDED, befallen if now else ended, warning=now)
    yield from _to_clusters(after, clusters, begun=now)


def notes_of_removal(fault: JsonObject, clusters: Sequence[JsonObject]) -> Iterator[Note]:
    """Yield what is told when an InMemoryFault is deleted."""
    if _acts(fault):
        yield from _to_clusters(fault, clusters, begun=False)


def _to_clusters(
    fault: JsonObject, clusters: Sequence[JsonObject], *, begun: bool
) -> Iterator[Note]:
    name, effect = fault["metadata"]["name"], fault["status"].get("effect", "")
    reason, what = (BEGUN, "acts") if begun else (ENDED, "is over")
    for cluster in clusters[:_CLUSTERS_TOLD]:
        yield Note(cluster, reason, f"{effect} by InMemoryFault {name} {what}.", warning=begun)


def _acts(fault: JsonObject) -> bool:
    return (fault.get("status") or {}).get("phase") == "Active"


def _counted(clusters: int) -> str:
    return "1 cluster" if clusters == 1 else f"{clusters} clusters"
