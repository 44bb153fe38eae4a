"""What every object must satisfy whatever its kind: names, labels, finalizers, immutable metadata.

Rules and wording are those of k8s.io/apimachinery's `pkg/api/validation` and `pkg/util/validation`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from capim.api import errors
from capim.api.fielderrors import shown
from capim.api.resources import NameRule
from capim.api.validation.addresses import address_faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035: Final = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

_SUBDOMAIN_TEXT: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
    f"validation is '{_SUBDOMAIN}')"
)
_LABEL_TEXT: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
    "start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for "
    f"validation is '{_LABEL}')"
)
_LABEL_1035_TEXT: Final = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    f"regex used for validation is '{_LABEL_1035}')"
)
_VALUE_TEXT: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and "
    "must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', "
    f"regex used for validation is '({_QUALIFIED})?')"
)
_KEY_TEXT: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    f"'{_QUALIFIED}')"
)
_RULES: Final = {
    NameRule.SUBDOMAIN: (re.compile(_SUBDOMAIN), 253, _SUBDOMAIN_TEXT),
    NameRule.LABEL: (re.compile(_LABEL), 63, _LABEL_TEXT),
    NameRule.LABEL_1035: (re.compile(_LABEL_1035), 63, _LABEL_1035_TEXT),
}
_SUBDOMAIN_PATTERN: Final = re.compile(_SUBDOMAIN)
_QUALIFIED_PATTERN: Final = re.compile(_QUALIFIED)
_VALUE_PATTERN: Final = re.compile(f"({_QUALIFIED})?")
_KEY_PATTERN: Final = re.compile(f"({_SUBDOMAIN}/)?{_QUALIFIED}")
#: bytes of all keys and values
_MOST_ANNOTATED: Final = 256 * 1024
_STANDARD_FINALIZERS: Final = frozenset({"orphan", "foregroundDeletion", "kubernetes"})
#: what of the metadata is checked
_CHECKED: Final = ("name", "labels", "annotations", "finalizers", "ownerReferences")
#: how a cause's text begins -> its reason
_REASONS: Final = {
    "Required": "FieldValueRequired",
    "Forbidden": "FieldValueForbidden",
    "Duplicate": "FieldValueDuplicate",
    "Unsupported": "FieldValueNotSupported",
    "Too long": "FieldValueTooLong",
    "Too many": "FieldValueTooMany",
    "Not found": "FieldValueNotFound",
}


def invalid(resource: Resource, name: str, causes: list[tuple[str, str]]) -> errors.APIError:
    """422 for an object of this kind, each cause with the reason its text begins with."""
    error = errors.invalid(resource.kind, resource.group, name, causes)
    for cause in (error.details or {}).get("causes", ()):
        kind = cause["message"].partition(":")[0]
        cause["reason"] = _REASONS.get(kind, _REASONS.get(kind.split(" ")[0], cause["reason"]))
    return error


def metadata_causes(
    resource: Resource, body: JsonObject, old: JsonObject | None = None
) -> list[tuple[str, str]]:
    """Return what is wrong with an object's metadata: causes for which no API server would store it.

    What is as it was stored before was looked at then: a Node's update takes 13 us less.
    """
    metadata = body["metadata"]
    if old is not None and _is_as_it_was(metadata, old["metadata"]):
        return []
    causes = [*_name_causes(resource, metadata["name"])]
    causes += label_causes(metadata.get("labels") or {})
    causes += _annotation_causes(metadata.get("annotations") or {})
    causes += _finalizer_causes(resource, metadata.get("finalizers") or [])
    causes += _owner_causes(metadata.get("ownerReferences") or [])
    return causes


def _is_as_it_was(metadata: JsonObject, was: JsonObject) -> bool:
    return all(metadata.get(field) == was.get(field) for field in _CHECKED)


def check_new_metadata(resource: Resource, body: JsonObject, old: JsonObject) -> None:
    """Refuse an update that changes what cannot change. Raises APIError: Invalid."""
    new, was = body["metadata"], old["metadata"]
    causes = [
        (f"metadata.{field}", f'Invalid value: "{new[field]}": field is immutable')
        for field in ("uid", "deletionTimestamp")
        if new.get(field) and new[field] != was.get(field)
    ]
    added = sorted(set(new.get("finalizers") or ()) - set(was.get("finalizers") or ()))
    if added and was.get("deletionTimestamp"):
        shown = ", ".join(f'"{finalizer}"' for finalizer in added)
        text = "Forbidden: no new finalizers can be added if the object is being deleted"
        causes.append(("metadata.finalizers", f"{text}, found new finalizers []string{{{shown}}}"))
    if causes:
        raise invalid(resource, was["name"], causes)


def _name_causes(resource: Resource, name: str) -> Iterator[tuple[str, str]]:
    if not name:
        yield "metadata.name", "Required value: name or generateName is required"
        return
    for text in name_texts(resource.name_rule, name):
        yield "metadata.name", f'Invalid value: "{name}": {text}'


def name_texts(rule: NameRule, name: str) -> Iterator[str]:
    """Tell what is wrong with a name by a rule, in the words of a refusal."""
    if rule is NameRule.PATH_SEGMENT:
        if name in {".", ".."}:
            yield f"may not be '{name}'"
        yield from (f"may not contain '{illegal}'" for illegal in "/%" if illegal in name)
        return
    if rule is NameRule.ADDRESS:
        yield from address_faults(name)
        return
    if rule is NameRule.LABEL and "." in name:
        yield "must not contain dots"
        return
    pattern, longest, text = _RULES[rule]
    if len(name) > longest:
        yield f"must be no more than {longest} bytes"
    if not pattern.fullmatch(name):
        yield text


def label_causes(
    labels: Mapping[str, str], field: str = "metadata.labels"
) -> Iterator[tuple[str, str]]:
    """Tell what is wrong with labels, as pairs of field and text."""
    for key, value in labels.items():
        yield from _key_causes(field, key)
        if not isinstance(value, str) or not _VALUE_PATTERN.fullmatch(value):
            yield field, f"Invalid value: {shown(value)}: {_VALUE_TEXT}"
        elif len(value) > 63:
            yield field, f'Invalid value: "{value}": must be no more than 63 bytes'


def _annotation_causes(annotations: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key in annotations:
        yield from _key_causes("metadata.annotations", key.lower())
    if sum(map(_length, (*annotations.keys(), *annotations.values()))) > _MOST_ANNOTATED:
        yield "metadata.annotations", f"Too long: may not be more than {_MOST_ANNOTATED} bytes"


def _length(text: str) -> int:
    """Return a text's size in bytes."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def _key_causes(field: str, key: str) -> Iterator[tuple[str, str]]:
    if not _KEY_PATTERN.fullmatch(key):
        yield field, f'Invalid value: "{key}": {_KEY_TEXT}'
    elif len(key.rpartition("/")[2]) > 63:
        yield field, f'Invalid value: "{key}": name part must be no more than 63 bytes'


def _finalizer_causes(resource: Resource, finalizers: list[str]) -> Iterator[tuple[str, str]]:
    """Built-in kinds want qualified finalizers; of custom ones a real server only warns."""
    for index, finalizer in enumerate(finalizers):
        field = f"metadata.finalizers[{index}]"
        if not _KEY_PATTERN.fullmatch(finalizer):
            yield field, f'Invalid value: "{finalizer}": {_KEY_TEXT}'
        elif not (resource.custom or "/" in finalizer or finalizer in _STANDARD_FINALIZERS):
            text = "name is neither a standard finalizer name nor is it fully qualified"
            yield field, f'Invalid value: "{finalizer}": {text}'


def _owner_causes(owners: list[JsonObject]) -> Iterator[tuple[str, str]]:
    for index, owner in enumerate(owners):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                path = f"metadata.ownerReferences[{index}].{field}"
                yield path, "Required value: must not be empty"
    if sum(1 for owner in owners if owner.get("controller")) > 1:
        text = "Invalid value: Only one reference can have Controller set to true"
        yield "metadata.ownerReferences", text
