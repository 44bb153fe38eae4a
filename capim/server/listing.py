"""Parameters of lists and watches: selectors, versions, limits, and which of them go together. Pure.

A version "not older than" the one named is answered with the present; an exact one from the watch
history, or with 410 where that has gone. Checks, their order and their wording are those of
k8s.io/apimachinery's `meta/internalversion` and its validation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from capim.api.errors import bad_request, invalid_options
from capim.server.routes import is_true
from capim.wire.selectors import FieldSelector, LabelSelector

if TYPE_CHECKING:
    from capim.runtime.resourcegroup import ResourceGroup
    from capim.server.routes import Query, RequestInfo

_EXACT: Final = "Exact"
_NOT_OLDER: Final = "NotOlderThan"
_INT64: Final = range(-(1 << 63), 1 << 63)
_UINT64: Final = range(1 << 64)


@dataclass(frozen=True, slots=True)
class Selectors:
    """What a list or watch keeps; None: everything."""

    labels: LabelSelector | None = None
    fields: FieldSelector | None = None


@dataclass(frozen=True, slots=True)
class ListOptions:
    """The parameters of a list or watch, decoded and checked."""

    version: str = ""
    match: str = ""
    limit: int = 0  #: 0: all there is
    continue_token: str = ""
    initial_events: bool | None = None  #: None: the client did not say
    bookmarks: bool = False
    timeout_s: int = 0  #: 0: the server's own


_EVERYTHING: Final = Selectors()
_NO_OPTIONS: Final = ListOptions()


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


def parse_options(query: Query, *, watch: bool = False) -> ListOptions:
    """Read the options of a list or a watch.

    Raises:
        APIError: 400 for what is no number, 422 for options that make no sense together.
    """
    if not query and not watch:
        return _NO_OPTIONS
    initial = query.get("sendInitialEvents")
    options = ListOptions(
        version=query.get("resourceVersion", ""),
        match=query.get("resourceVersionMatch", ""),
        limit=max(0, integer(query, "limit")),
        continue_token=query.get("continue", ""),
        initial_events=None if initial is None else is_true(initial),
        bookmarks=is_true(query.get("allowWatchBookmarks")),
        timeout_s=max(0, integer(query, "timeoutSeconds")),
    )
    if watch:
        options = _watch_defaults(options)
    if causes := _watch_causes(options) if watch else _list_causes(options):
        raise invalid_options("ListOptions", causes)
    return options


def integer(query: Query, name: str) -> int:
    """Read a whole number, 0 where there is none. Raises APIError: 400, it is something else."""
    text = query.get(name)
    if not text:
        return 0
    digits = text[1:] if text[0] in "+-" else text
    if not (digits.isascii() and digits.isdigit()):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if len(digits) > 19 or (number := int(text)) not in _INT64:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return number


def version_number(text: str) -> int:
    """Read a resource version; 0 where there is none.

    Raises:
        ValueError: it is no version, in the words of a real server.
    """
    if not text:
        return 0
    why = ""
    if not (text.isascii() and text.isdigit()):
        why = "invalid syntax"
    elif len(text) > 20 or int(text) not in _UINT64:
        why = "value out of range"
    if why:
        refused = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}"'
        raise ValueError(f"{refused}: {why}")
    return int(text)


def check_version(query: Query, group: ResourceGroup) -> int:
    """Return the version that a read must not be older than; 0: any will do.

    Raises:
        APIError: 400 for what is no version, 504 for one that is yet to come.
    """
    try:
        version = version_number(query.get("resourceVersion", ""))
    except ValueError as error:
        raise bad_request(f"invalid resource version: {error}") from error
    return group.check_not_future(version)


def exact_version(options: ListOptions, version: int) -> int | None:
    """Return the earlier version that a list is to show; None: the present will do.

    A limit without a match means the exact version, as it did before matches existed.
    """
    exact = options.match == _EXACT or (options.limit and not options.match)
    return version if version and exact else None


def limit_of(options: ListOptions) -> int:
    """Return how many objects a list shows at most; version 0 means a cache, which knows no limit."""
    cached = options.version == "0" and options.match in {"", _NOT_OLDER}
    return 0 if cached and not options.continue_token else options.limit


def _watch_defaults(options: ListOptions) -> ListOptions:
    """A watch from no version, or from any, begins with the present, as if that were asked for."""
    if options.initial_events is None and not options.match and options.version in {"", "0"}:
        return ListOptions(
            version=options.version,
            match=_NOT_OLDER,
            continue_token=options.continue_token,
            initial_events=True,
            bookmarks=options.bookmarks,
            timeout_s=options.timeout_s,
        )
    return options


def _list_causes(options: ListOptions) -> list[tuple[str, str]]:
    match, causes = options.match, []
    field = "resourceVersionMatch"
    if match and not options.version:
        causes.append(
            (field, f"Forbidden: {field} is forbidden unless resourceVersion is provided")
        )
    if match and options.continue_token:
        causes.append((field, f"Forbidden: {field} is forbidden when continue is provided"))
    if match not in {"", _EXACT, _NOT_OLDER}:
        known = '"Exact", "NotOlderThan", ""'
        causes.append((field, f'Unsupported value: "{match}": supported values: {known}'))
    if match == _EXACT and options.version == "0":
        causes.append((field, f'Forbidden: {field} "exact" is forbidden for resourceVersion "0"'))
    if options.initial_events is not None:
        field = "sendInitialEvents"
        causes.append((field, f"Forbidden: {field} is forbidden for list"))
    return causes


def _watch_causes(options: ListOptions) -> list[tuple[str, str]]:
    match, causes = options.match, []
    field = "resourceVersionMatch"
    if options.initial_events is not None and match != _NOT_OLDER:
        why = f"sendInitialEvents requires setting {field} to {_NOT_OLDER}"
        causes.append((field, f"Forbidden: {why}"))
    if match and options.initial_events is None:
        why = f"{field} is forbidden for watch unless sendInitialEvents is provided"
        causes.append((field, f"Forbidden: {why}"))
    if match not in {"", _NOT_OLDER}:
        causes.append((field, f'Unsupported value: "{match}": supported values: "{_NOT_OLDER}"'))
    if match and options.continue_token:
        causes.append((field, f"Forbidden: {field} is forbidden when continue is provided"))
    return causes
