"""What the writer of a definition or of a custom resource should know although it was stored.

Source: k8s.io/apiextensions-apiserver, `pkg/registry/{customresource,customresourcedefinition}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api.formats import KNOWN
from capim.runtime import cel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject

_STANDARD: Final = frozenset({"orphan", "foregroundDeletion", "kubernetes"})
_ADVICE: Final = "to avoid accidental conflicts with other finalizer writers"
_ONE: Final = ("items", "additionalProperties", "not")
_SEVERAL: Final = ("allOf", "anyOf", "oneOf")


def of_definition(body: JsonObject, old: JsonObject | None) -> Iterator[str]:
    """Warn of formats that nothing checks and that were not there before."""
    before = {*_formats_of(old)} if old is not None else frozenset()
    for name in _formats_of(body):
        if name not in before:
            yield f'unrecognized format "{name}"'
    if not cel.is_installed() and cel.has_rules(body["spec"].get("versions")):
        yield cel.NOT_EVALUATED


def of_object(body: JsonObject, old: JsonObject | None) -> Iterator[str]:
    """Warn of new finalizers without a domain."""
    finalizers = {*(body["metadata"].get("finalizers") or ())}
    if old is not None:
        finalizers -= {*(old["metadata"].get("finalizers") or ())}
    for name in sorted(finalizers - _STANDARD):
        if "/" not in name:
            path = " including a path (/)" if "." in name else ""
            advice = f"prefer a domain-qualified finalizer name{path} {_ADVICE}"
            yield f'metadata.finalizers: "{name}": {advice}'


def _formats_of(definition: JsonObject) -> Iterator[str]:
    for version in definition["spec"].get("versions") or ():
        yield from _formats((version.get("schema") or {}).get("openAPIV3Schema") or {})


def _formats(schema: Any) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    name = schema.get("format")
    if name and name.replace("-", "") not in KNOWN:
        yield name
    for node in (schema.get("properties") or {}).values():
        yield from _formats(node)
    for key in _ONE:
        yield from _formats(schema.get(key))
    for key in _SEVERAL:
        for branch in schema.get(key) or ():
            yield from _formats(branch)
