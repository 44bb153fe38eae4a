"""What a namespace that is to end says of the objects it still has. Pure.

Source: kube-controller-manager's namespace controller; reasons and messages are its.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from capim.api.meta import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.api.meta import JsonObject
    from capim.runtime.objects import Stored


class _Finding(NamedTuple):
    status: str
    reason: str
    message: str


_FINE: Final = {
    "NamespaceDeletionDiscoveryFailure": _Finding(
        "False", "ResourcesDiscovered", "All resources successfully discovered"
    ),
    "NamespaceDeletionGroupVersionParsingFailure": _Finding(
        "False", "ParsedGroupVersions", "All legacy kube types successfully parsed"
    ),
    "NamespaceDeletionContentFailure": _Finding(
        "False",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": _Finding(
        "False", "ContentRemoved", "All content successfully removed"
    ),
    "NamespaceFinalizersRemaining": _Finding(
        "False", "ContentHasNoFinalizers", "All content-preserving finalizers finished"
    ),
}


def conditions(namespace: JsonObject, contents: Iterable[Stored], now: float) -> list[JsonObject]:
    """Return a namespace's conditions when these objects are left in it."""
    old = {c["type"]: c for c in (namespace.get("status") or {}).get("conditions") or ()}
    for kind, finding in _findings(contents).items():
        before = old.get(kind) or {"lastTransitionTime": format_time(now)}
        if before.get("status", finding.status) != finding.status:
            before = {"lastTransitionTime": format_time(now)}
        old[kind] = before | {"type": kind} | finding._asdict()
    return list(old.values())


def _findings(contents: Iterable[Stored]) -> dict[str, _Finding]:
    kinds: Counter[str] = Counter()
    finalizers: Counter[str] = Counter()
    for stored in contents:
        kinds[f"{stored.resource.plural}.{stored.resource.group}"] += 1
        finalizers.update(stored.finalizers)
    found = dict(_FINE)
    if kinds:
        listed = _listed(f"{kind} has {count} resource instances" for kind, count in kinds.items())
        text = f"Some resources are remaining: {listed}"
        found["NamespaceContentRemaining"] = _Finding("True", "SomeResourcesRemain", text)
    if finalizers:
        listed = _listed(f"{name} in {n} resource instances" for name, n in finalizers.items())
        text = f"Some content in the namespace has finalizers remaining: {listed}"
        found["NamespaceFinalizersRemaining"] = _Finding("True", "SomeFinalizersRemain", text)
    return found


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(sorted(texts))
