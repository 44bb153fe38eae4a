"""Cases in which the fake answers otherwise: name -> cause, and "not done yet" if not on purpose."""

from __future__ import annotations

from typing import Final

#: a list is the stored objects joined, never decoded, so that each item says its kind
_ITEMS: Final = "items of a list have apiVersion and kind"

KNOWN: Final[dict[str, str]] = {
    "core: create with a resource version": "not done yet: the real refusal is a plain 500 without a reason",
    "core: create from broken JSON": "the text of the JSON parser, which is Go's there",
    "core: create another kind": "the text of the conversion of Go's internal types",
    "core: update with another uid": "the text is of the storage, with etcd's key",
    "core: JSON patch whose test fails": "not done yet: the real refusal does not say which test failed",
    "core: list by label": _ITEMS,
    "core: list by field": _ITEMS,
    "core: list in pages": _ITEMS,
    "core: delete of all with a label": _ITEMS,
}

#: kubectl's commands, "scenario: command"
KUBECTL: Final[dict[str, str]] = {}
