"""Lists in pages: continue tokens, the state at an earlier version, and a list's body.

All pages of one list show the store at one version, as etcd's do: objects that changed since the first
page are taken from the watch history. Where that is gone the token has expired (410).
"""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from capim.api import errors
from capim.api.views import is_view
from capim.runtime.objects import Page
from capim.wire.gojson import syntax_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from capim.api.resources import Resource
    from capim.runtime.objects import Change, Stored
    from capim.runtime.objecttable import ObjectTable
    from capim.runtime.selection import Selection
    from capim.runtime.store import Store
    from capim.runtime.watchlog import WatchLog


_LIST_VERSION: Final = "meta.k8s.io/v1"
#: in a token: go on in the present
_ANY_VERSION: Final = -1
_BASE64: Final = re.compile("[A-Za-z0-9_-]*")
_PAGE_TOO_OLD: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a "
    "new list without the continue parameter, or use the continue token in this response to retrieve "
    "the remainder of the results. Continuing with the provided token results in an inconsistent list "
    "- objects that were created, modified, or deleted between the time the first chunk was returned "
    "and now may show up in the list."
)


class Continuation(NamedTuple):
    """Where a list goes on: at which version, from which key."""

    resource_version: int
    start: str


def page_at(
    store: Store, resource: Resource, selection: Selection, then: Continuation, *, limit: int
) -> Page:
    """Return the page of what is selected that a list goes on with. Raises APIError: Expired."""
    table = store.table(resource.group_resource)
    if then.resource_version == store.version:
        objects = current_objects(table, selection, then.start)
    else:
        changes = changes_since(store.log, then)
        objects = objects_then(table, selection, then.start, resource, changes)
    if resource.custom:
        objects = (stored.served_as(resource) for stored in objects)
    page = take_page(objects, selection, limit=limit, resource_version=then.resource_version)
    if is_view(resource):
        page = replace(page, items=[stored.served_as(resource) for stored in page.items])
    return page


def encode_continue(continuation: Continuation) -> str:
    """Write a continue token as a real API server does."""
    version, start = continuation
    token = {"v": _LIST_VERSION, "rv": version, "start": start}
    return base64.urlsafe_b64encode(orjson.dumps(token)).rstrip(b"=").decode()


def decode_continue(token: str) -> Continuation:
    """Read a continue token. Raises APIError: BadRequest."""
    try:
        data = _unbase64(token)
        if why := syntax_error(data):
            raise _invalid_token(why)
        raw = orjson.loads(data)
        kind, version, start = raw.get("v", ""), int(raw.get("rv", 0)), str(raw.get("start", ""))
    except (ValueError, AttributeError, TypeError) as error:
        raise _invalid_token(str(error)) from None
    if kind != _LIST_VERSION:
        raise _invalid_token(f"server does not recognize this encoded version {kind}")
    if not version:
        raise _invalid_token(f"incorrect encoded start resourceVersion (version {kind})")
    if not start:
        raise _invalid_token(f"encoded start key empty (version {kind})")
    if any(part in {"", ".", ".."} for part in start.removeprefix("/").split("/")):
        raise _invalid_token(start)
    return Continuation(version, start)


def _unbase64(token: str) -> bytes:
    """Decode unpadded base64 of URLs. Raises ValueError, in the words of a real server."""
    end = len(_BASE64.match(token)[0])  # type: ignore[index]  # it matches nothing, too
    if end == len(token) and end % 4 != 1:
        return base64.urlsafe_b64decode(token + "=" * (-end % 4))
    raise ValueError(f"illegal base64 data at input byte {min(end, len(token) - 1)}")


def begin(continue_token: str, at: int | None, current: int) -> Continuation:
    """Return where a list begins and which version it shows.

    Raises:
        APIError: BadRequest for a token.
    """
    if not continue_token:
        return Continuation(current if at is None else at, "")
    if at is not None:
        raise errors.bad_request("specifying resource version is not allowed when using continue")
    found = decode_continue(continue_token)
    return found if found.resource_version > 0 else found._replace(resource_version=current)


def changes_since(log: WatchLog, then: Continuation) -> Iterator[Change]:
    """Return what happened since the version that a list is to show.

    Raises:
        APIError: Expired, where that is forgotten; a page's error names a token to go on with in the
            present, which is no consistent list any more.
    """
    if log.holds(then.resource_version):
        return log.since(then.resource_version)
    if not then.start:
        raise errors.expired("The resourceVersion for the provided list is too old.")
    onwards = encode_continue(Continuation(_ANY_VERSION, then.start))
    raise errors.APIError("Expired", 410, _PAGE_TOO_OLD, continue_token=onwards)


def _invalid_token(why: str) -> errors.APIError:
    return errors.bad_request(f"invalid continue token: continue key is not valid: {why}")


def too_large(wanted: int, current: int) -> errors.APIError:
    """504: the version is yet to come; a real server waits for it a while and then says this."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    return errors.APIError("Timeout", 504, message, details={"causes": [cause]}, retry_after_s=1)


def take_page(
    objects: Iterable[Stored], selection: Selection, *, limit: int, resource_version: int
) -> Page:
    """Take the first `limit` selected objects (0: all) and say where the next page starts."""
    if selection.selective:
        objects = (stored for stored in objects if selection.matches(stored))
    if not limit:
        return Page(list(objects), resource_version)
    rest = iter(objects)
    items = list(islice(rest, limit))
    following = next(rest, None)
    if following is None:
        return Page(items, resource_version)
    token = encode_continue(Continuation(resource_version, following.key))
    remaining = None if selection.selective else 1 + sum(1 for _ in rest)
    return Page(items, resource_version, token, remaining)


def current_objects(table: ObjectTable, selection: Selection, start: str = "") -> Iterator[Stored]:
    """Yield the objects of the selection's namespace from a key on."""
    return table.slice(*table.span(selection.namespace, start))


def objects_then(
    table: ObjectTable,
    selection: Selection,
    start: str,
    resource: Resource,
    changes: Iterable[Change],
) -> Iterator[Stored]:
    """Yield what `current_objects` yielded before these changes (all since then, oldest first)."""
    before: dict[str, Stored | None] = {}
    for change in changes:
        if change.stored.resource.group_resource == resource.group_resource:
            before.setdefault(change.stored.key, change.previous)
    untouched = (s for s in current_objects(table, selection, start) if s.key not in before)
    touched = sorted(
        (s for s in before.values() if s is not None and s.key >= start), key=lambda s: s.key
    )
    selected = (s for s in touched if selection.in_namespace(s))
    return merge(untouched, selected, key=lambda stored: stored.key)


def list_body(resource: Resource, page: Page) -> bytes:
    """Encode a list from its items' bytes; items of built-in kinds do not repeat the list's kind.

    The bytes are copied once, into the body: of thousands of objects every copy counts.
    """
    metadata: dict[str, str | int] = {"resourceVersion": str(page.resource_version)}
    if resource.custom:
        metadata["continue"] = ""  # a real server shows it empty, of these kinds alone
    if page.continue_token:
        metadata["continue"] = page.continue_token
    if page.remaining is not None:
        metadata["remainingItemCount"] = page.remaining
    items = [it if it.resource is resource else it.served_as(resource) for it in page.items]
    brace = b"" if resource.custom or not items else b"{"
    start = b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[%b' % (
        resource.list_kind.encode(),
        resource.api_version.encode(),
        orjson.dumps(metadata),
        brace,
    )
    pieces = [it.data for it in items] if resource.custom else [it.rest for it in items]
    if not pieces:
        return start + b"]}\n"
    pieces[0] = start + pieces[0]
    pieces[-1] += b"]}\n"
    return (b"," + brace).join(pieces)
