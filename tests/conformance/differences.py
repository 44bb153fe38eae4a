"""Cases in which the fake answers otherwise: name -> cause, and "not done yet" if not on purpose."""

from __future__ import annotations

from typing import Final

KNOWN: Final[dict[str, str]] = {
    "core: create from broken JSON": "the text of the JSON parser, which is Go's there",
    "core: create another kind": "the text of the conversion of Go's internal types",
    "core: update with another uid": "the text is of the storage, with etcd's key",
}
