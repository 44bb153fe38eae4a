"""The configuration that `kubectl apply` on the client's side leaves in an annotation. Pure.

An apply by the manager `kubectl` takes over what that configuration set without a conflict, and keeps
the annotation up to date, so that a person may go from one way of applying to the other and back.

Source: apimachinery's `util/managedfields`, lastAppliedManager and lastAppliedUpdater.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from capim.wire import fieldset, typed

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.wire.fieldset import FieldSet
    from capim.wire.shapes import Shape

#: the manager of `kubectl apply --server-side`
KUBECTL: Final = "kubectl"
ANNOTATION: Final = "kubectl.kubernetes.io/last-applied-configuration"


def kept_fields(live: JsonObject, shape: Shape) -> FieldSet:
    """Return what was applied on the client's side and still is so; nothing where nothing was."""
    text = (live["metadata"].get("annotations") or {}).get(ANNOTATION)
    try:
        last = orjson.loads(text or b"null")
        if not isinstance(last, dict) or last.get("apiVersion") != live["apiVersion"]:
            return {}
        seen, fields = typed.compare(last, live, shape), typed.fields_of(last, shape)
    except ValueError:  # of JSON or of the shape: nobody can tell what it was
        return {}
    for differing in (seen.modified, seen.added, seen.removed):
        fields = fieldset.difference(fields, differing)
    return fields


def with_annotation(obj: JsonObject, config: JsonObject) -> JsonObject:
    """Return an object whose annotation, if it has one, is of what is applied now."""
    annotations = obj["metadata"].get("annotations") or {}
    if not annotations.get(ANNOTATION):
        return obj
    metadata = config["metadata"]
    if metadata.get("annotations"):
        rest = {key: text for key, text in metadata["annotations"].items() if key != ANNOTATION}
        metadata = metadata | {"annotations": rest}
    text = fieldset.escaped_json(config | {"metadata": metadata}) + "\n"
    return obj | {"metadata": obj["metadata"] | {"annotations": annotations | {ANNOTATION: text}}}
