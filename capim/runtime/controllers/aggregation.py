"""Cluster roles made of others: the rules of all that their selectors match.

Source: kube-controller-manager's clusterrole-aggregation-controller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.validation.common import selects
from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.kinds import CLUSTER_ROLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.objects import Change


def _reconcile(context: Context, _: str, name: str) -> None:
    role = context.get(CLUSTER_ROLES, "", name)
    if role is None or not _selectors(role):
        return
    rules: list[JsonObject] = []
    for selector in _selectors(role):
        for stored in context.stored(CLUSTER_ROLES, None):
            if stored.name == name or not selects(selector, dict(stored.labels)):
                continue
            rules += [it for it in stored.json().get("rules") or () if it not in rules]
    if rules != (role.get("rules") or []):
        context.save(CLUSTER_ROLES, role | {"rules": rules})


def _selectors(role: JsonObject) -> list[JsonObject]:
    return (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or []


def _of_role(context: Context, change: Change) -> Iterator[Key]:
    """Yield the roles that are made of one; without labels it is in none."""
    before = change.previous.labels if change.previous else {}
    if not change.stored.labels and not before:
        return
    for stored in context.stored(CLUSTER_ROLES, None):
        found = _selectors(stored.json()) if b'"aggregationRule"' in stored.rest else []
        if any(selects(it, dict(ls)) for it in found for ls in (change.stored.labels, before)):
            yield "", stored.name


CONTROLLER: Final = Controller(
    "clusterrole-aggregation", CLUSTER_ROLES, _reconcile, watches=((CLUSTER_ROLES, _of_role),)
)
