"""Lists in pages: continue tokens, the state at an earlier version, and a list's body.

All pages of one list show the store at one version, as etcd's do: objects that changed since the first
page are taken from the watch history. Where that is gone the token has expired (410).
"""

from __future__ import annotations

import base64
import binascii
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import orjson

from capim.api import errors
from capim.runtime.objects import Page

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from capim.api.resources import Resource
    from capim.runtime.objects import Change, Stored
    from capim.runtime.objecttable import ObjectTable
    from capim.runtime.selection import Selection


class Continuation(NamedTuple):
    """Where a list goes on: at which version, from which key."""

    resource_version: int
    start: str


def encode_continue(continuation: Continuation) -> str:
    """Write a continue token as a real API server does."""
    version, start = continuation
    token = {"v": "meta.k8s.io/v1", "rv": version, "start": start}
    return base64.urlsafe_b64encode(orjson.dumps(token)).rstrip(b"=").decode()


def decode_continue(token: str) -> Continuation:
    """Read a continue token. Raises APIError: BadRequest."""
    try:
        raw = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return Continuation(int(raw["rv"]), str(raw["start"]))
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        reason = f"invalid continue token: continue key is not valid: {error}"
        raise errors.bad_request(reason) from None


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
    """Encode a list from its items' bytes."""
    metadata: dict[str, str | int] = {"resourceVersion": str(page.resource_version)}
    if page.continue_token:
        metadata["continue"] = page.continue_token
    if page.remaining is not None:
        metadata["remainingItemCount"] = page.remaining
    return b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[%b]}\n' % (
        resource.list_kind.encode(),
        resource.api_version.encode(),
        orjson.dumps(metadata),
        b",".join([stored.data for stored in page.items]),
    )
