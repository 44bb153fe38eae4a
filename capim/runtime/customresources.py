"""Custom resources: a CustomResourceDefinition makes its kind storable and served.

All versions of a kind share one storage, in the version that the definition names; in another version
the object is read through that version's schema (conversion `None`). A conversion webhook is not called:
a kind that has one is served in its storage version only as it is, and refused in others.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import orjson

from capim.api.gvk import GVK
from capim.api.resources import (
    CUSTOM_VERBS,
    CustomVersion,
    PrinterColumn,
    Resource,
    Subresource,
    subresources_of,
)
from capim.runtime.cel import has_rules

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import ResourceTable
    from capim.runtime.objects import Change

DEFINITIONS: Final = ("apiextensions.k8s.io", "customresourcedefinitions")
#: set by a deletion; goes when the last object of the kind has gone
CLEANUP_FINALIZER: Final = "customresourcecleanup.apiextensions.k8s.io"
_VERSION_NAME: Final = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?")
_STAGES: Final = {None: 2, "beta": 1, "alpha": 0}


def resources_of(definition: JsonObject) -> list[Resource]:
    """Return what a definition serves: one resource a served version, the most stable one first.

    Clusters of a fleet define the same kinds, so equal specs share their schemas.
    """
    spec = orjson.dumps(definition["spec"], option=orjson.OPT_SORT_KEYS)
    terminating = "deletionTimestamp" in definition.get("metadata", ())
    return list(_resources(bytes(memoryview(spec)), terminating=terminating))


@lru_cache(maxsize=512)
def _resources(encoded: bytes, *, terminating: bool) -> tuple[Resource, ...]:
    spec = orjson.loads(encoded)
    storing = next((version for version in spec["versions"] if version.get("storage")), None)
    storage = _resource(spec, storing, None, terminating=terminating) if storing else None
    made = [
        _resource(spec, version, storage, terminating=terminating)
        for version in spec["versions"]
        if version.get("served")
    ]
    return tuple(sorted(made, key=lambda resource: version_priority(resource.version)))


def version_priority(version: str) -> tuple[int, int, int, str]:
    """Return what sorts versions as discovery lists them: v2, v1, v1beta2, v1alpha1, then by name."""
    found = _VERSION_NAME.fullmatch(version)
    if found is None:
        return (1, 0, 0, version)
    stage = _STAGES[found[2]]
    return (-stage, -int(found[1]), -int(found[3] or 0), version)


def table_after(table: ResourceTable, change: Change) -> ResourceTable:
    """Return what is served after a definition was written or went. Built-in kinds are not replaced."""
    definition = change.stored.json()
    group, plural = definition["spec"]["group"], definition["spec"]["names"]["plural"]
    if any(r.group_resource == (group, plural) and not r.custom for r in table):
        return table
    rest = table.without(group, plural)
    if change.type == "DELETED" or not is_established(definition):
        return rest if len(rest) != len(table) else table
    return rest.adding(*resources_of(definition))


def is_established(definition: JsonObject) -> bool:
    """Tell whether a definition's names were accepted once, so that its kind is served."""
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions)


def _resource(
    spec: JsonObject, version: JsonObject, storage: Resource | None, *, terminating: bool
) -> Resource:
    names = spec["names"]
    selectable = version.get("selectableFields") or ()
    declared = version.get("subresources") or {}
    elsewhere = storage if storage is not None and storage.version != version["name"] else None
    return Resource(
        spec["group"],
        version["name"],
        names["plural"],
        names["kind"],
        namespaced=spec["scope"] == "Namespaced",
        singular=names.get("singular") or names["kind"].lower(),
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        verbs=CUSTOM_VERBS,
        subresources=_subresources(names["kind"], declared),
        generation=True,
        field_labels=tuple(field["jsonPath"].removeprefix(".") for field in selectable),
        custom=True,
        list_kind_name=names.get("listKind") or "",
        columns=printer_columns(version),
        storage=_storage(spec),
        schema=(version.get("schema") or {}).get("openAPIV3Schema"),
        custom_version=CustomVersion(
            storage=elsewhere,
            scale=declared.get("scale"),
            warning=_warning(spec, version),
            has_rules=has_rules(version.get("schema")),
            converts=(spec.get("conversion") or {}).get("strategy") == "Webhook",
            terminating=terminating,
        ),
    )


def _storage(spec: JsonObject) -> GVK:
    stored = next(version["name"] for version in spec["versions"] if version.get("storage"))
    return GVK(spec["group"], stored, spec["names"]["kind"])


def _warning(spec: JsonObject, version: JsonObject) -> str:
    if not version.get("deprecated"):
        return ""
    text = f"{spec['group']}/{version['name']} {spec['names']['kind']} is deprecated"
    newer = _newest_lasting(spec, version)
    default = f"{text}; use {spec['group']}/{newer} {spec['names']['kind']}" if newer else text
    return version.get("deprecationWarning") or default


def _newest_lasting(spec: JsonObject, version: JsonObject) -> str:
    """Return the most stable served version that is not deprecated, if it comes before this one."""
    lasting = [v["name"] for v in spec["versions"] if v.get("served") and not v.get("deprecated")]
    best = min(lasting, key=version_priority, default="")
    return best if best and version_priority(best) < version_priority(version["name"]) else ""


def printer_columns(version: JsonObject) -> tuple[PrinterColumn, ...]:
    """Return the columns that one version of a definition declares."""
    return tuple(
        PrinterColumn(
            column["name"],
            column["jsonPath"],
            column["type"],
            column.get("description") or "",
            column.get("format") or "",
            column.get("priority") or 0,
        )
        for column in version.get("additionalPrinterColumns") or ()
    )


def _subresources(kind: str, declared: JsonObject) -> tuple[Subresource, ...]:
    return subresources_of(kind, " ".join(name for name in ("status", "scale") if name in declared))
