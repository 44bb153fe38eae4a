"""What the store keeps and hands out: encoded objects, changes, watch events, options of requests.

An object is encoded once, when it is written; everything a read, a selector or the garbage collector
asks for lies beside the bytes. What they begin with, apiVersion and kind, is kept once for each kind: a
list of a built-in kind leaves it out of its items, which so are joined as they lie there, in a third of
the time that cutting it off takes; and another version of a custom resource has the same bytes. Who
manages its fields lies beside them too: a write of an object of 1.6 kB with 1.7 kB of entries takes 12 us
less when they are never decoded.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, TypeAlias, cast

import orjson

from capim.api.errors import APIError, bad_request
from capim.api.resources import Resource
from capim.api.structural import prune
from capim.api.views import is_view, shown_object
from capim.wire import managedfields
from capim.wire.managedfields import Entries

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

EventType: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED"]

_KIND: Final = frozenset({"apiVersion", "kind"})
_FIRST: Final = _KIND | {"metadata"}
#: ends the metadata's other fields
_ENTRIES: Final = b',"managedFields":'
_NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})
#: what a field selector sees where the object does not say
_FIELD_DEFAULTS: Final = {
    "spec.hostNetwork": "false",
    "spec.restartPolicy": "Always",
    "spec.schedulerName": "default-scheduler",
    "spec.unschedulable": "false",
    "status.replicas": "0",
    "status.successful": "0",
}


class PatchType(enum.StrEnum):
    """The content type of a patch says how it is applied."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"


@dataclass(slots=True)
class DeleteOptions:
    """How to delete: what must still be true, and what becomes of dependents."""

    uid: str | None = None
    resource_version: str | None = None
    propagation: Literal["Foreground", "Background", "Orphan"] | None = None
    dry_run: bool = False
    grace_s: int | None = None  #: what a pod is given to end; None: what it asks for


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it is stored: encoded, with what is asked of it often beside the bytes."""

    resource: Resource
    namespace: str
    name: str
    uid: str
    resource_version: int
    #: its encoding without the resource's head: metadata, with resourceVersion, and what there is
    rest: bytes = field(repr=False)
    labels: Mapping[str, str]
    owners: tuple[str, ...] = ()  #: uids
    finalizers: tuple[str, ...] = ()
    deleting: bool = False  #: deletionTimestamp is set
    field_values: tuple[str, ...] = ()  #: parallel to the resource's `field_labels`
    managed: Entries = ()
    behind: int = 0  #: how many bytes of the rest follow the entries, where there are any

    @property
    def data(self) -> bytes:
        """The whole encoding."""
        return self.resource.head + self.rest

    @property
    def size(self) -> int:
        """How many bytes the encoding has."""
        return len(self.resource.head) + len(self.rest)

    def document(self) -> bytes:
        """Return what a client is sent: the encoding and a newline."""
        return b"".join((self.resource.head, self.rest, b"\n"))

    def json(self) -> JsonObject:
        """Decode the object; the caller owns the result."""
        return cast("JsonObject", orjson.loads(self.data))

    def content(self) -> JsonObject:
        """Decode the object but for who manages its fields; the caller owns the result."""
        if not self.managed:
            return self.json()
        start = self.rest.index(_ENTRIES)  # first, for the metadata is: no text has such quotes
        parts = (self.resource.head, self.rest[:start], self.rest[-self.behind :])
        return cast("JsonObject", orjson.loads(b"".join(parts)))

    @property
    def key(self) -> str:
        """Where the object lies in its table; sorts as etcd's keys do."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    def fields(self) -> dict[str, str]:
        """Return what field selectors look at."""
        fields = dict(zip(self.resource.field_labels, self.field_values, strict=False))
        fields["metadata.name"] = self.name
        fields["metadata.namespace"] = self.namespace
        return fields

    def is_form_of(self, resource: Resource) -> bool:
        """Tell whether this group and version of the kind is what is stored."""
        mine = self.resource
        return resource is mine or (
            resource.version == mine.version and resource.group == mine.group
        )

    def served_as(self, resource: Resource) -> Stored:
        """Return the object in another version of its kind, through that version's schema.

        Raises:
            APIError: 500 for a kind that a webhook converts, for none is called.
        """
        if self.is_form_of(resource):
            return self
        if is_view(resource):
            return self._shown_as(resource, shown_object(resource, self.content()))
        if resource.custom_version is not None and resource.custom_version.converts:
            raise _not_converted(self.resource)
        if resource.schema != self.resource.schema:
            # another schema: without the fields that it does not know
            return self._shown_as(resource, prune(dict(resource.schema or {}), self.content()))
        return replace(self, resource=resource)

    def _shown_as(self, resource: Resource, body: JsonObject) -> Stored:
        rest, behind = _encode(body, self.managed)
        return replace(self, resource=resource, rest=rest, behind=behind)


class Change(NamedTuple):
    """One version of the whole store: what happened, the object then and before."""

    type: EventType
    stored: Stored  #: for DELETED: the last state, at the version of the deletion
    previous: Stored | None


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """A change as watchers see it."""

    type: EventType
    stored: Stored
    previous: Stored | None
    line: bytes = field(repr=False)  #: `{"type":…,"object":…}` and a newline


@dataclass(frozen=True, slots=True)
class Page:
    """A list, or the part of one that a limit allows."""

    items: list[Stored]
    resource_version: int
    continue_token: str = ""
    remaining: int | None = None  #: how many follow; None where selectors make that unknown


class Admission(Protocol):
    """Validates and defaults objects before they are stored."""

    def admit(self, resource: Resource, body: JsonObject, old: JsonObject | None) -> JsonObject:
        """Return the object to store, changed or not. Raises APIError to refuse it."""


def watch_event(change: Change) -> WatchEvent:
    """Encode a change for its watchers."""
    line = watch_line(change.type, change.stored)
    return WatchEvent(change.type, change.stored, change.previous, line)


def watch_line(event: EventType, stored: Stored) -> bytes:
    """Encode an event of a watch."""
    return b'{"type":"%b","object":%b%b}\n' % (event.encode(), stored.resource.head, stored.rest)


def encode(
    resource: Resource, body: JsonObject, resource_version: int, managed: Entries = ()
) -> Stored:
    """Encode an object whose metadata the caller owns; version 0 leaves resourceVersion out.

    Entries that the metadata has do not count: `managed` are all there are.

    Raises:
        APIError: BadRequest, it is nested deeper than can be encoded.
    """
    metadata = body["metadata"]
    metadata.pop("managedFields", None)
    metadata.pop("resourceVersion", None)
    if resource_version:
        metadata["resourceVersion"] = str(resource_version)
    try:
        rest, behind = _encode(body, managed)
    except TypeError as error:
        raise bad_request(f"the object has no JSON: {error}") from error
    return _stored(resource, body, resource_version, rest, managed, behind)


def decode(resource: Resource, data: bytes) -> Stored:
    """Make what `encode` made of an object from the bytes it was encoded as. Raises ValueError."""
    body = orjson.loads(data)
    metadata = body["metadata"]
    version = int(metadata["resourceVersion"])
    entries = metadata.get("managedFields")
    if entries or not data.startswith(resource.head):
        return encode(resource, body, version, managedfields.parse(entries or []))
    return _stored(resource, body, version, data[len(resource.head) :], (), 0)


def _stored(
    resource: Resource,
    body: JsonObject,
    resource_version: int,
    rest: bytes,
    managed: Entries,
    behind: int,
) -> Stored:
    metadata = body["metadata"]
    return Stored(
        resource,
        metadata.get("namespace", ""),
        metadata["name"],
        metadata["uid"],
        resource_version,
        rest,
        metadata.get("labels") or _NO_LABELS,
        tuple(owner["uid"] for owner in metadata.get("ownerReferences") or ()),
        tuple(metadata.get("finalizers") or ()),
        "deletionTimestamp" in metadata,
        tuple(_field_value(body, path) for path in resource.field_labels),
        managed,
        behind,
    )


def _encode(body: JsonObject, managed: Entries) -> tuple[bytes, int]:
    """Return an object's bytes behind apiVersion and kind, and how many of them follow its entries."""
    if not managed:
        # cut, it has a buffer of its own length: what orjson made has one of up to 8 KiB more
        return orjson.dumps({name: body[name] for name in body if name not in _KIND})[1:], 0
    head = orjson.dumps({"metadata": body["metadata"]})[1:-2]
    tail = orjson.dumps({name: value for name, value in body.items() if name not in _FIRST})
    tail = b"}}" if tail == b"{}" else b"}," + tail[1:]
    return b"".join((head, _ENTRIES, managedfields.encode(managed), tail)), len(tail)


def at_version(stored: Stored, resource_version: int) -> Stored:
    """Return the same state at another version: of its deletion, or of its leaving a selection."""
    return encode(stored.resource, stored.content(), resource_version, stored.managed)


def _not_converted(resource: Resource) -> APIError:
    of = f"{resource.api_version}, Kind={resource.kind}"
    return APIError("", 500, f"conversion webhook for {of} failed: webhooks are not called here")


def _field_value(body: JsonObject, path: str) -> str:
    if path == "source":  # an event's component; the newer events API calls it reportingComponent
        source: JsonObject = body.get("source") or {}
        return str(source.get("component") or body.get("reportingComponent") or "")
    value: Any = body
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    if value is None:
        return _FIELD_DEFAULTS.get(path, "")
    return str(value).lower() if isinstance(value, bool) else str(value)
