"""A resource group with a still clock and counted uids, and the words tests use about it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from capim.api.resources import WORKLOAD_RESOURCES
from capim.api.views import is_view
from capim.runtime.resourcegroup import ResourceGroup, Stored, WatchEvent

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource

NOW = 1_700_000_000.0
NOW_TEXT = "2023-11-14T22:13:20Z"
FIRST_VERSION = 1000

SERVED = {it.plural: it for it in WORKLOAD_RESOURCES if not is_view(it)}
CONFIG_MAPS = SERVED["configmaps"]
SECRETS = SERVED["secrets"]
NODES = SERVED["nodes"]
PODS = SERVED["pods"]
NAMESPACES = SERVED["namespaces"]
DEPLOYMENTS = SERVED["deployments"]
BUDGETS = SERVED["poddisruptionbudgets"]
DEFINITIONS = SERVED["customresourcedefinitions"]


def new_group(**options: Any) -> ResourceGroup:
    """Return a group with the namespaces `default` and `other`."""
    uids = itertools.count(1)
    group = ResourceGroup(
        WORKLOAD_RESOURCES,
        clock=lambda: NOW,
        new_uid=lambda: f"uid-{next(uids)}",
        first_version=FIRST_VERSION,
        **options,
    )
    for name in ("default", "other"):
        group.create(NAMESPACES, "", named(name))
    return group


def named(name: str, **fields: Any) -> JsonObject:
    """Return an object's body; `metadata` among the fields is added to the name."""
    metadata = {"name": name, **fields.pop("metadata", {})}
    return {"metadata": metadata, **fields}


def owned(name: str, *owners: Stored, block: bool = True) -> JsonObject:
    """Return the body of an object with these owners."""
    references = [
        {
            "apiVersion": owner.resource.api_version,
            "kind": owner.resource.kind,
            "name": owner.name,
            "uid": owner.uid,
            "blockOwnerDeletion": block,
        }
        for owner in owners
    ]
    return named(name, metadata={"ownerReferences": references})


def names(group: ResourceGroup, resource: Resource, namespace: str | None = None) -> list[str]:
    """Return the names of what a list shows."""
    return [stored.name for stored in group.list(resource, namespace).items]


def told(events: list[WatchEvent]) -> list[tuple[str, str]]:
    """Return type and name of events."""
    return [(event.type, event.stored.name) for event in events]
