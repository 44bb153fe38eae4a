"""Custom resources: a CustomResourceDefinition makes its kind storable and served.

All versions of a kind share one storage and differ in their apiVersion alone (conversion `None`).
Departures from a real API server: no schema validation, pruning or defaulting; a definition is
established by the write that creates it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.gvk import GVK
from capim.api.resources import CUSTOM_VERBS, PrinterColumn, Resource, Subresource, subresources_of
from capim.runtime.validation import invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.api.meta import JsonObject
    from capim.api.resources import ResourceTable
    from capim.runtime.objects import Change

DEFINITIONS: Final = ("apiextensions.k8s.io", "customresourcedefinitions")
#: set by a deletion; goes when the last object of the kind has gone
CLEANUP_FINALIZER: Final = "customresourcecleanup.apiextensions.k8s.io"


def resources_of(definition: JsonObject) -> list[Resource]:
    """Return what a definition serves: one resource a served version."""
    spec = definition["spec"]
    return [_resource(spec, version) for version in spec["versions"] if version.get("served")]


def table_after(table: ResourceTable, change: Change) -> ResourceTable:
    """Return what is served after a definition was written or went. Built-in kinds are not replaced."""
    definition = change.stored.json()
    group, plural = definition["spec"]["group"], definition["spec"]["names"]["plural"]
    if any(r.group_resource == (group, plural) and not r.custom for r in table):
        return table
    rest = table.without(group, plural)
    return rest if change.type == "DELETED" else rest.adding(*resources_of(definition))


def establish(body: JsonObject, old: JsonObject | None = None) -> None:
    """Default a definition and establish it; `old` is what it was, None for a new one."""
    spec = dict(body.get("spec") or {})
    names = dict(spec.get("names") or {})
    kind = names.get("kind", "")
    names.setdefault("singular", kind.lower())
    names.setdefault("listKind", f"{kind}List")
    spec["names"] = names
    spec.setdefault("conversion", {"strategy": "None"})
    body["spec"] = spec
    body["status"] = _status_of(body, old)


def _status_of(body: JsonObject, old: JsonObject | None) -> JsonObject:
    """Return the status of an established definition; times stay what they were."""
    was: JsonObject = (old or {}).get("status") or {}
    since = (old or body)["metadata"].get("creationTimestamp")
    storage = [v["name"] for v in body["spec"].get("versions") or () if v.get("storage")]
    versions = [*(was.get("storedVersions") or ())]
    versions += [name for name in storage if name not in versions]
    return {
        "conditions": was.get("conditions")
        or [
            _condition("NamesAccepted", "NoConflicts", "no conflicts found", since),
            _condition("Established", "InitialNamesAccepted", _ESTABLISHED, since),
        ],
        "acceptedNames": body["spec"].get("names") or {},
        "storedVersions": versions,
    }


_ESTABLISHED: Final = "the initial names have been accepted"


def check_definition(resource: Resource, body: JsonObject) -> None:
    """Refuse a definition that names nothing servable. Raises APIError: Invalid."""
    spec, name = body.get("spec") or {}, body["metadata"]["name"]
    causes = [*_spec_causes(spec)]
    if not causes and name != f"{spec['names']['plural']}.{spec['group']}":
        text = f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
        causes.append(("metadata.name", text))
    if causes:
        raise invalid(resource, name, causes)


def _spec_causes(spec: JsonObject) -> Iterable[tuple[str, str]]:
    names = spec.get("names") or {}
    required = {
        "spec.group": spec.get("group"),
        "spec.names.plural": names.get("plural"),
        "spec.names.kind": names.get("kind"),
    }
    yield from ((field, "Required value") for field, value in required.items() if not value)
    if spec.get("scope") not in {"Namespaced", "Cluster"}:
        text = 'Unsupported value: "": supported values: "Cluster", "Namespaced"'
        yield "spec.scope", text.replace('""', f'"{spec.get("scope") or ""}"', 1)
    versions = spec.get("versions") or ()
    if sum(1 for v in versions if v.get("storage")) != 1:
        text = "Invalid value: must have exactly one version marked as storage version"
        yield "spec.versions", text
    for index, version in enumerate(versions):
        yield from _column_causes(version, f"spec.versions[{index}]")


def _column_causes(version: JsonObject, path: str) -> Iterable[tuple[str, str]]:
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        for field in ("name", "type", "jsonPath"):
            if not column.get(field):
                yield f"{path}.additionalPrinterColumns[{index}].{field}", "Required value"


def _condition(kind: str, reason: str, message: str, since: str | None) -> JsonObject:
    return {
        "type": kind,
        "status": "True",
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }


def _resource(spec: JsonObject, version: JsonObject) -> Resource:
    names = spec["names"]
    selectable = version.get("selectableFields") or ()
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
        subresources=_subresources(names["kind"], version.get("subresources") or {}),
        generation=True,
        field_labels=tuple(field["jsonPath"].removeprefix(".") for field in selectable),
        custom=True,
        list_kind_name=names.get("listKind") or "",
        columns=printer_columns(version),
        storage=_storage(spec),
        schema=(version.get("schema") or {}).get("openAPIV3Schema"),
    )


def _storage(spec: JsonObject) -> GVK:
    stored = next(version["name"] for version in spec["versions"] if version.get("storage"))
    return GVK(spec["group"], stored, spec["names"]["kind"])


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
