"""Who manages a workload's replicas, as its Scale shows it. Pure.

Managers of the replicas appear in the Scale as managers of `spec.replicas`; what a write of the Scale
makes of them is carried back. As in the original, entries carried back have no time.

Source: apimachinery's `util/managedfields`, ScaleHandler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.wire import fieldset
from capim.wire.managedfields import APPLY, owner_of, sort_entries

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

SCALE_VERSION: Final = "autoscaling/v1"
_REPLICAS: Final = ("f:spec", "f:replicas")
_FIELDS: Final = fieldset.of_paths(_REPLICAS)


def to_scale(entries: list[JsonObject], api_version: str) -> list[JsonObject]:
    """Return the entries of a Scale, given those of the workload it is of."""
    return [
        {**entry, "apiVersion": SCALE_VERSION, "fieldsV1": _FIELDS}
        for entry in entries
        if entry["apiVersion"] == api_version and fieldset.has(entry["fieldsV1"], _REPLICAS)
    ]


def to_workload(
    entries: list[JsonObject], scale: list[JsonObject], api_version: str
) -> list[JsonObject]:
    """Return the entries of a workload after its Scale, whose entries these are, was written."""
    managers = {owner_of(entry): entry for entry in scale}
    times = {owner_of(entry): entry.get("time") for entry in entries}
    made: list[JsonObject] = []
    for entry in entries:
        if entry["apiVersion"] != api_version:
            continue
        owner = owner_of(entry)
        if owner in managers or not fieldset.has(entry["fieldsV1"], _REPLICAS):
            managers.pop(owner, None)
            made.append(entry)
        elif rest := fieldset.difference(entry["fieldsV1"], _FIELDS):
            made.append({**entry, "fieldsV1": rest})
    for owner, entry in managers.items():
        if fieldset.has(entry["fieldsV1"], _REPLICAS):
            new = {key: value for key, value in entry.items() if key != "time"}
            time = times.get(owner) if owner.operation == APPLY else None
            new |= {"apiVersion": api_version, "fieldsV1": _FIELDS}
            made.append(new | {"time": time} if time else new)
    return sort_entries(made)
