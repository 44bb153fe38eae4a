"""Who manages a workload's replicas, as its Scale shows it. Pure.

Managers of the replicas appear in the Scale as managers of `spec.replicas`; what a write of the Scale
makes of them is carried back. As in the original, entries carried back have no time.

Source: apimachinery's `util/managedfields`, ScaleHandler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.wire import fieldset
from capim.wire.managedfields import APPLY, Entry, encode_fields, fields_in, sort_entries

if TYPE_CHECKING:
    from capim.wire.managedfields import Entries

SCALE_VERSION: Final = "autoscaling/v1"
_REPLICAS: Final = ("f:spec", "f:replicas")
_REPLICAS_SET: Final = fieldset.of_paths(_REPLICAS)
_FIELDS: Final = encode_fields(_REPLICAS_SET)


def to_scale(entries: Entries, api_version: str) -> Entries:
    """Return the entries of a Scale, given those of the workload it is of."""
    return tuple(
        [
            _at(entry, SCALE_VERSION)._replace(fields=_FIELDS)
            for entry in entries
            if entry.api_version == api_version and _has_replicas(entry)
        ]
    )


def to_workload(entries: Entries, scale: Entries, api_version: str) -> Entries:
    """Return the entries of a workload after its Scale, whose entries these are, was written."""
    managers = {entry.owner: entry for entry in scale}
    times = {entry.owner: entry.time for entry in entries}
    made: list[Entry] = []
    for entry in entries:
        if entry.api_version != api_version:
            continue
        if entry.owner in managers or not _has_replicas(entry):
            managers.pop(entry.owner, None)
            made.append(entry)
        elif rest := fieldset.difference(fields_in(entry.fields), _REPLICAS_SET):
            made.append(entry._replace(fields=encode_fields(rest)))
    for owner, entry in managers.items():
        if _has_replicas(entry):
            time = times.get(owner, "") if owner.operation == APPLY else ""
            made.append(Entry(_at(entry, api_version).owner, api_version, time, _FIELDS))
    return sort_entries(made)


def _has_replicas(entry: Entry) -> bool:
    return fieldset.has(fields_in(entry.fields), _REPLICAS)


def _at(entry: Entry, api_version: str) -> Entry:
    """Return an entry at another version."""
    owner = entry.owner
    if owner.operation != APPLY:
        owner = owner._replace(api_version=api_version)
    return entry._replace(owner=owner, api_version=api_version)
