"""Which objects a ResourceQuota with scopes counts.

Source: k8s.io/kubernetes `pkg/quota/v1/evaluator/core`. Departure: claims' attribute classes
are no scope.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.podqos import qos_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from capim.api.meta import JsonObject

_PODS: Final = ("", "pods")


def is_scoped(quota: JsonObject) -> bool:
    """Tell whether a quota counts only some objects."""
    return next(_requirements(quota), None) is not None


def is_counted(quota: JsonObject, kind: tuple[str, str], body: JsonObject) -> bool:
    """Tell whether an object is in every scope of a quota; without scopes all are."""
    return all(
        kind == _PODS and _matches(requirement, body.get("spec") or {})
        for requirement in _requirements(quota)
    )


def _requirements(quota: JsonObject) -> Iterator[JsonObject]:
    spec: JsonObject = quota.get("spec") or {}
    for scope in spec.get("scopes") or ():
        yield {"scopeName": scope, "operator": "Exists"}
    yield from (spec.get("scopeSelector") or {}).get("matchExpressions") or ()


def _matches(requirement: JsonObject, spec: JsonObject) -> bool:
    name, operator = requirement["scopeName"], requirement["operator"]
    if name != "PriorityClass":
        holds = _SCOPES.get(name)
        return holds is not None and holds(spec)
    given, values = spec.get("priorityClassName", ""), requirement.get("values") or ()
    if operator in {"Exists", "DoesNotExist"}:
        return bool(given) is (operator == "Exists")
    return (given in values) is (operator == "In")


def _ends(spec: JsonObject) -> bool:
    return spec.get("activeDeadlineSeconds") is not None


def _is_best_effort(spec: JsonObject) -> bool:
    return qos_class(spec) == "BestEffort"


def _looks_across_namespaces(spec: JsonObject) -> bool:
    """Tell whether a pod wants to be near or far from pods of other namespaces."""
    affinity: JsonObject = spec.get("affinity") or {}
    terms: list[JsonObject] = []
    for side in ("podAffinity", "podAntiAffinity"):
        rules: JsonObject = affinity.get(side) or {}
        terms += rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for weighted in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            terms.append(weighted["podAffinityTerm"])
    return any(term.get("namespaces") or "namespaceSelector" in term for term in terms)


_SCOPES: Final[dict[str, Callable[[JsonObject], bool]]] = {
    "Terminating": _ends,
    "NotTerminating": lambda spec: not _ends(spec),
    "BestEffort": _is_best_effort,
    "NotBestEffort": lambda spec: not _is_best_effort(spec),
    "CrossNamespacePodAffinity": _looks_across_namespaces,
}
