"""Parameters of lists: which versions a client may ask for, and selectors. Pure.

A version "not older than" the one named is answered with the present; an exact one from the watch
history, or with 410 where that has gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from capim.api.errors import bad_request, invalid
from capim.wire.selectors import FieldSelector, LabelSelector

if TYPE_CHECKING:
    from capim.runtime.resourcegroup import ResourceGroup
    from capim.server.routes import Query, RequestInfo

_MATCHES: Final = ("Exact", "NotOlderThan")


@dataclass(frozen=True, slots=True)
class Selectors:
    """What a list or watch keeps; None: everything."""

    labels: LabelSelector | None = None
    fields: FieldSelector | None = None


_EVERYTHING: Final = Selectors()


def parse_selectors(info: RequestInfo) -> Selectors:
    """Read labelSelector and fieldSelector.

    Raises:
        APIError: 400, with the reason.
    """
    labels, fields = info.query.get("labelSelector"), info.query.get("fieldSelector")
    if not labels and not fields:
        return _EVERYTHING
    try:
        return Selectors(
            LabelSelector.parse(labels) if labels else None,
            FieldSelector.parse(fields) if fields else None,
        )
    except ValueError as error:
        raise bad_request(str(error)) from error


def parse_version(text: str | None) -> int | None:
    """Read a resourceVersion parameter; None when unset.

    Raises:
        APIError: 400, it is no version of ours.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        raise bad_request(f"Invalid value: {orjson.dumps(text).decode()}: not a resource version")
    return int(text)


def exact_version(query: Query, group: ResourceGroup) -> int | None:
    """Return the earlier version that a list is to show; None: the present will do.

    Raises:
        APIError: 400 or 422 for parameters that make no sense together, 504 for a version that is yet
            to come.
    """
    version = parse_version(query.get("resourceVersion"))
    match = query.get("resourceVersionMatch")
    if query.get("continue"):
        if version:
            raise bad_request("specifying resource version is not allowed when using continue")
        return None
    if match:
        _check_match(match, version)
    if version is not None:
        group.check_not_future(version)
    return version if match == "Exact" else None


def _check_match(match: str, version: int | None) -> None:
    why = ""
    if match not in _MATCHES:
        why = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan"'
    elif version is None:
        why = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
    elif match == "Exact" and version == 0:
        why = 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
    if why:
        raise invalid("ListOptions", "meta.k8s.io", "", [("resourceVersionMatch", why)])
