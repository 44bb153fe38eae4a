"""Takes out of answers what is a cluster's own and differs between any two clusters.

A masked value leaves its kind behind (`<uid>`, `<time>`), so that a missing one is still a difference.
What was learnt in one step of a case (a uid, a generated name, an address) is masked in the texts of all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tests.conformance.case import split_path

if TYPE_CHECKING:
    from collections.abc import Iterable

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_MICRO_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z")
_UID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
#: in the refusal of a precondition
_VERSION: Final = re.compile(
    r"(ResourceVersion in (?:the precondition \(|record \(|object meta: ))\d{2,}"
)
#: of the volume that every pod is given
_SUFFIX: Final = re.compile(r"(kube-api-access-)[a-z0-9]{5}\b")
_AGE: Final = re.compile(r"(\d+[smhdy])+|<invalid>|<unknown>")

#: keys whose text is a cluster's own wherever they stand; the value is masked and learnt
_OWN: Final = {
    "uid": "uid",
    "clusterIP": "ip",
    "podIP": "ip",
    "hostIP": "ip",
    "pod-template-hash": "hash",
    "controller-revision-hash": "hash",
    "controller.kubernetes.io/hash": "hash",
}
#: as above, but too short or too common a text to be looked for elsewhere
_OWN_HERE: Final = {
    "resourceVersion": "version",
    "latestResourceVersion": "version",
    "continue": "continue",
    "token": "token",
    "ca.crt": "certificate",
    "certificate": "certificate",
    "caBundle": "certificate",
}
_OWN_LISTS: Final = {"clusterIPs": "ip"}
_OWN_NUMBERS: Final = {"nodePort": "port", "healthCheckNodePort": "port"}
_NOT_OWN: Final = frozenset({"", "None", "0"})
_AGE_COLUMNS: Final = frozenset({"Age", "Last Seen", "First Seen", "Created At", "Duration"})


class Masking:
    """The masks of one case on one side."""

    def __init__(self, fixed: dict[str, str], *, managed_fields: bool = False) -> None:
        """`fixed` are texts known before: the namespace, the unique name, the server's address."""
        self._learnt = dict(fixed)
        self._managed_fields = managed_fields

    def learn(self, body: Any) -> None:
        """Note the texts of an answer that are this cluster's own."""
        if isinstance(body, dict):
            self._learn_name(body)
            for key, value in body.items():
                if (kind := _OWN.get(key)) and isinstance(value, str) and len(value) > 4:
                    self._learnt.setdefault(value, f"<{kind}>")
                self.learn(value)
        elif isinstance(body, list):
            for value in body:
                self.learn(value)

    def _learn_name(self, body: dict[str, Any]) -> None:
        prefix, name = body.get("generateName"), body.get("name")
        if isinstance(prefix, str) and isinstance(name, str) and name.startswith(prefix):
            self._learnt.setdefault(name, f"{prefix}<suffix>")

    def mask(self, body: Any, left_out: Iterable[str] = ()) -> Any:
        """Return a copy of an answer's body with all that is learnt and known masked."""
        masked = self._value("", body)
        for path in left_out:
            _leave_out(masked, split_path(path))
        return masked

    def _value(self, key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list):
            if kind := _OWN_LISTS.get(key):
                return [one if one in _NOT_OWN else f"<{kind}>" for one in value]
            return [self._value("", one) for one in value]
        if isinstance(value, str):
            return self._text(key, value)
        if key in _OWN_NUMBERS and value:
            return f"<{_OWN_NUMBERS[key]}>"
        return value

    def _object(self, body: dict[str, Any]) -> dict[str, Any]:
        masked = {
            self._replace(key): self._value(key, value)
            for key, value in body.items()
            if key != "managedFields" or self._managed_fields
        }
        if masked.get("kind") == "Table":
            _mask_ages(masked)
        return masked

    def _text(self, key: str, text: str) -> str:
        kind = _OWN.get(key) or _OWN_HERE.get(key)
        if kind and text not in _NOT_OWN:
            return f"<{kind}>"
        return self._replace(text)

    def _replace(self, text: str) -> str:
        for own in sorted(self._learnt, key=len, reverse=True):
            text = text.replace(own, self._learnt[own])
        text = _SUFFIX.sub(r"\1<suffix>", _VERSION.sub(r"\1<version>", text))
        text = _MICRO_TIME.sub("<microtime>", text)
        return _UID.sub("<uid>", _TIME.sub("<time>", text))


def _mask_ages(table: dict[str, Any]) -> None:
    names = [column.get("name") for column in table.get("columnDefinitions") or ()]
    for row in table.get("rows") or ():
        for index, cell in enumerate(row.get("cells") or ()):
            is_age = index < len(names) and names[index] in _AGE_COLUMNS
            if is_age and isinstance(cell, str) and _AGE.fullmatch(cell):
                row["cells"][index] = "<age>"


def _leave_out(body: Any, keys: list[str]) -> None:
    if not keys:
        return
    if keys[0] == "**":
        _take_out(body, keys[1])
        return
    for key in _matching(body, keys[0]):
        if len(keys) == 1:
            body[key] = "<left out>"
        else:
            _leave_out(body[key], keys[1:])


def _take_out(body: Any, key: str) -> None:
    if isinstance(body, dict):
        body.pop(key, None)
    for inner in _matching(body, "*"):
        _take_out(body[inner], key)


def _matching(body: Any, wanted: str) -> list[Any]:
    if isinstance(body, dict):
        return list(body) if wanted == "*" else [wanted] if wanted in body else []
    if isinstance(body, list):
        if wanted == "*":
            return list(range(len(body)))
        return [int(wanted)] if wanted.isdigit() and int(wanted) < len(body) else []
    return []
