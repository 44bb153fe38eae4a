"""ControllerRevisions: the states a DaemonSet's or StatefulSet's template has had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.meta import owner_reference
from capim.runtime.controllers.kinds import REVISIONS
from capim.runtime.controllers.podstate import template_hash

if TYPE_CHECKING:
    from collections.abc import Collection

    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context

_DEFAULT_LIMIT: Final = 10


def current(
    context: Context, owner: JsonObject, hash_label: str, annotations: dict[str, str]
) -> tuple[JsonObject, list[JsonObject]]:
    """Return the revision of the owner's template, made or made the newest, and those before it.

    Args:
        context: the cluster.
        owner: the DaemonSet or StatefulSet.
        hash_label: the label that names the state.
        annotations: of a new revision.

    Returns: the revision, and the others from oldest to newest.
    """
    found = sorted(context.controlled(owner, REVISIONS), key=lambda one: int(one["revision"]))
    data = _patch(owner)
    number = (int(found[-1]["revision"]) if found else 0) + 1
    same = next((one for one in reversed(found) if one["data"] == data), None)
    if same is None:
        made = _make(context, owner, hash_label, annotations, number)
        return made, found
    if same is not found[-1]:
        same = context.save(REVISIONS, same | {"revision": number})
    return same, [one for one in found if one["metadata"]["uid"] != same["metadata"]["uid"]]


def clean_up(
    context: Context, owner: JsonObject, old: list[JsonObject], used: Collection[str]
) -> None:
    """Delete the oldest revisions beyond the limit that no pod has.

    Args:
        context: the cluster.
        owner: whose revisions they are.
        old: all but the current one, the oldest first.
        used: hashes that pods still bear.
    """
    limit = owner["spec"].get("revisionHistoryLimit")
    idle = [one for one in old if one["metadata"]["name"] not in used]
    surplus = len(idle) - (_DEFAULT_LIMIT if limit is None else int(limit))
    for one in idle[: max(surplus, 0)]:
        metadata = one["metadata"]
        context.delete(REVISIONS, metadata["namespace"], metadata["name"])


def _patch(owner: JsonObject) -> JsonObject:
    """Return what a rollback applies: the template as a whole."""
    return {"spec": {"template": {"$patch": "replace"} | owner["spec"]["template"]}}


def _make(
    context: Context, owner: JsonObject, hash_label: str, annotations: dict[str, str], number: int
) -> JsonObject:
    digest = template_hash(owner["spec"]["template"])
    metadata = owner["metadata"]
    labels = (owner["spec"]["template"].get("metadata") or {}).get("labels") or {}
    return context.make(
        REVISIONS,
        {
            "metadata": {
                "name": f"{metadata['name']}-{digest}",
                "namespace": metadata["namespace"],
                "labels": labels | {hash_label: digest},
                "annotations": annotations,
                "ownerReferences": [owner_reference(owner)],
            },
            "data": _patch(owner),
            "revision": number,
        },
    )
