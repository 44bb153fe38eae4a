"""Who owns which fields of an object: `metadata.managedFields`, updated by every write. Pure.

An entry is what one manager owns by one operation at one version through one subresource. Its set of
fields stays encoded: the objects of a kind are written by the same few managers in the same few ways, so
that equal sets are one `bytes` for all of them, and what a write makes of them is remembered.

Source: structured-merge-diff v6 `merge` and apimachinery's `util/managedfields`.
Departures: entries are not reconciled with a schema that changed; versions of a kind are taken to have
the same fields.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import orjson

from capim.wire import fieldset, typed

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.wire.fieldset import FieldSet, Path
    from capim.wire.shapes import Shape
    from capim.wire.typed import Comparison

APPLY: Final = "Apply"
UPDATE: Final = "Update"
#: owns what an object had before its fields were tracked
BEFORE_FIRST_APPLY: Final = "before-first-apply"
#: owns what the oldest of too many updates own
ANCIENT_CHANGES: Final = "ancient-changes"
_MOST_UPDATERS: Final = 10
#: kept by the server, owned by nobody
_NOBODYS: Final = fieldset.of_paths(
    ("f:apiVersion",),
    ("f:kind",),
    ("f:metadata",),
    *(
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        )
    ),
)


class Owner(NamedTuple):
    """What tells entries apart. An applier has one entry whatever the version it applies."""

    manager: str
    operation: str
    api_version: str  #: empty for an applier
    subresource: str


class Entry(NamedTuple):
    """What one owner has."""

    owner: Owner
    api_version: str  #: at which the fields are to be read
    time: str  #: of the owner's last change; empty: it is not known
    fields: bytes  #: FieldsV1


Entries: TypeAlias = tuple[Entry, ...]


class Write(NamedTuple):
    """How an object is written: by whom, at what version and time, through which subresource."""

    manager: str
    api_version: str
    subresource: str
    time: str
    ignored: FieldSet  #: what the server resets in such a write
    ignored_key: bytes  #: is equal where that is

    def owner(self, operation: str, manager: str = "") -> Owner:
        """Return whose entry this write changes."""
        version = "" if operation == APPLY else self.api_version
        return Owner(manager or self.manager or "unknown", operation, version, self.subresource)


class Conflict(NamedTuple):
    """A field that another manager owns with another value."""

    owner: Owner
    path: Path

    def who(self) -> str:
        """Name the other manager as the message does."""
        text = f'"{self.owner.manager}"'
        if self.owner.subresource:
            text += f' with subresource "{self.owner.subresource}"'
        return text if self.owner.operation == APPLY else f"{text} using {self.owner.api_version}"

    def field(self) -> str:
        """Name the field as a person writes it."""
        return fieldset.path_text(self.path)


class Conflicts(Exception):
    """An apply would change what others own."""

    def __init__(self, conflicts: list[Conflict]) -> None:
        self.conflicts = conflicts
        super().__init__(self._message())

    def _message(self) -> str:
        first, *more = self.conflicts
        if not more:
            return f"Apply failed with 1 conflict: conflict with {first.who()}: {first.field()}"
        by_owner: dict[str, list[str]] = {}
        for conflict in self.conflicts:
            by_owner.setdefault(conflict.who(), []).append(f"- {fieldset.path_text(conflict.path)}")
        lines = [
            line for who in sorted(by_owner) for line in (f"conflicts with {who}:", *by_owner[who])
        ]
        return f"Apply failed with {len(self.conflicts)} conflicts: " + "\n".join(lines)


class Applied(NamedTuple):
    """What an apply makes of an object."""

    obj: JsonObject
    managed: Entries


def encode(entries: Entries) -> bytes:
    """Write entries as the list that JSON has of them."""
    return b"[%b]" % b",".join([_encode_entry(entry) for entry in entries])


def _encode_entry(entry: Entry) -> bytes:
    head, tail = _around(entry.owner, entry.api_version)
    time = b'"time":"%b",' % entry.time.encode() if entry.time else b""
    return b'%b%b"fieldsType":"FieldsV1","fieldsV1":%b%b' % (head, time, entry.fields, tail)


@functools.lru_cache(maxsize=1024)
def _around(owner: Owner, api_version: str) -> tuple[bytes, bytes]:
    """Return what stands before an entry's time and after its fields."""
    head = {"manager": owner.manager, "operation": owner.operation, "apiVersion": api_version}
    tail = {"subresource": owner.subresource} if owner.subresource else {}
    if not owner.manager:
        del head["manager"]
    return orjson.dumps(head)[:-1] + b",", orjson.dumps(tail).replace(b"{", b"," if tail else b"")


@functools.lru_cache(maxsize=512)
def fields_in(encoded: bytes) -> FieldSet:
    """Return the set of fields that an entry has."""
    fields: FieldSet = orjson.loads(encoded)
    return fields


@functools.lru_cache(maxsize=1024)
def _shared(encoded: bytes) -> bytes:
    """Return the one `bytes` of its value that entries hold."""
    return encoded


def encode_fields(fields: FieldSet) -> bytes:
    """Encode a set of fields for an entry; equal sets give one object."""
    return _shared(orjson.dumps(fields))


def parse(entries: object) -> Entries:
    """Read managedFields that a client wrote.

    Raises:
        ValueError: an entry is none.
    """
    if not isinstance(entries, list):
        raise ValueError("managedFields is not a list")
    return tuple([_parse_entry(entry, index) for index, entry in enumerate(entries)])


def _parse_entry(entry: object, index: int) -> Entry:
    if not isinstance(entry, dict) or entry.get("operation") not in {APPLY, UPDATE}:
        raise ValueError("operation must be `Apply` or `Update`")
    if not entry.get("apiVersion"):
        raise ValueError("apiVersion must not be empty")
    kind = entry.get("fieldsType")
    if kind != "FieldsV1":
        what = f"invalid fieldsType {kind!r}" if kind else "missing fieldsType"
        raise ValueError(f"{what} in managed fields entry {index}")
    operation, api_version = entry["operation"], entry["apiVersion"]
    version = "" if operation == APPLY else api_version
    owner = Owner(entry.get("manager") or "", operation, version, entry.get("subresource") or "")
    fields = encode_fields(fieldset.parse(entry.get("fieldsV1")))
    return Entry(owner, api_version, entry.get("time") or "", fields)


def is_reset(entries: object) -> bool:
    """Tell whether a client wants an object's managers forgotten: an empty list or one empty entry."""
    return entries in ([], [{}])


def update(managed: Entries, comparison: Comparison, write: Write) -> Entries:
    """Return the entries after an object was written other than by apply.

    Who writes owns what it changed, and nobody owns what is gone.
    """
    if not (comparison.added or comparison.modified or comparison.removed):
        return managed
    owner = write.owner(UPDATE)
    before = tuple([(entry.owner, entry.fields) for entry in managed])
    own, others = _settled(before, owner, comparison.encode(), write.ignored_key)
    made: list[Entry] = []
    for entry, fields in zip(managed, others, strict=True):
        if fields is entry.fields:
            made.append(entry)
        elif fields:
            made.append(entry._replace(fields=fields))
    if own:
        made.append(Entry(owner, write.api_version, write.time, own))
    return sort_entries(_capped(made))


@functools.lru_cache(maxsize=1024)
def _settled(
    managed: tuple[tuple[Owner, bytes], ...], owner: Owner, change: bytes, ignored: bytes
) -> tuple[bytes, tuple[bytes, ...]]:
    """Return what the writer owns after a change, and what is left to each entry but the writer's.

    Nearly every write is one that was settled before, on another object.
    """
    reset: FieldSet = orjson.loads(ignored)
    seen = typed.decode_comparison(change).without(reset)
    changed = seen.changed
    gone = fieldset.union(changed, seen.removed)
    own = fieldset.difference(fieldset.without(changed, reset), _NOBODYS)
    left: list[bytes] = []
    for other, encoded in managed:
        mine = bool(own) and other == owner
        fields = fields_in(encoded)
        rest = fieldset.difference(fields, seen.removed if mine else gone)
        if mine:
            own = fieldset.union(rest, own)
        taken = mine or not rest
        left.append(b"" if taken else encoded if rest is fields else encode_fields(rest))
    return encode_fields(own) if own else b"", tuple(left)


def apply(
    live: JsonObject,
    applied: JsonObject,
    managed: Entries,
    write: Write,
    shape: Shape,
    *,
    force: bool,
) -> Applied:
    """Return an object with a configuration applied, and who owns what then.

    `live` and `applied` are without managedFields.

    Raises:
        Conflicts: others own what would change, and `force` is not given.
        TypedError: the configuration does not fit the shape.
    """
    owner = write.owner(APPLY)
    claimed = fieldset.without(typed.fields_of(applied, shape), write.ignored)
    others = [entry for entry in managed if entry.owner != owner]
    last = next((entry for entry in managed if entry.owner == owner), None)
    made = typed.merge(live, applied, shape)
    if last is not None and (before := fields_in(last.fields)):
        sets = [claimed, *(fields_in(entry.fields) for entry in others)]
        made = _prune(made, before, sets, shape)
    comparison = typed.compare(live, made, shape).without(write.ignored)
    changed = comparison.changed
    conflicts = [] if force else _conflicts(others, changed)
    if conflicts:
        raise Conflicts(conflicts)
    gone = fieldset.union(changed, comparison.removed)
    kept = [
        entry._replace(fields=encode_fields(fields))
        for entry in others
        if (fields := fieldset.difference(fields_in(entry.fields), gone))
    ]
    own = fieldset.difference(claimed, _NOBODYS)
    if own:
        time = "" if last is None else last.time
        time = write.time if made != live else time
        kept.append(Entry(owner, write.api_version, time, encode_fields(own)))
    return Applied(made, sort_entries(kept))


def before_first_apply(live: JsonObject, zero: JsonObject, write: Write, shape: Shape) -> Entries:
    """Return the entry that owns all of an object whose fields were not tracked until now."""
    seen = typed.compare(zero, live, shape).without(write.ignored)
    own = fieldset.difference(seen.changed, _NOBODYS)
    owner = write.owner(UPDATE, BEFORE_FIRST_APPLY)
    return (Entry(owner, write.api_version, write.time, encode_fields(own)),) if own else ()


def same_but_for_times(left: Entries, right: Entries) -> bool:
    """Tell whether entries differ in their times at most."""
    if left is right:
        return True
    if len(left) != len(right):
        return False
    return all(one == other._replace(time=one.time) for one, other in zip(left, right, strict=True))


def _conflicts(others: list[Entry], changed: FieldSet) -> list[Conflict]:
    return [
        Conflict(entry.owner, path)
        for entry in others
        for path in fieldset.paths(fieldset.intersection(fields_in(entry.fields), changed))
    ]


def _prune(merged: Any, last: FieldSet, managed: list[FieldSet], shape: Shape) -> Any:
    """Take out what was applied last time, is not now, and is nobody else's."""

    def members(fields: FieldSet) -> FieldSet:
        return typed.with_named_fields(fields, shape)

    last = members(last)
    pruned = typed.remove(merged, last, shape)
    has = members(typed.fields_of(merged, shape))
    owned: FieldSet = {}
    for fields in managed:
        owned = fieldset.union(owned, fields)
    rest = fieldset.union(members(typed.fields_of(pruned or {}, shape)), members(owned))
    pruned = typed.remove(merged, fieldset.difference(has, rest), shape)
    gone = fieldset.difference(has, members(typed.fields_of(pruned or {}, shape)))
    return typed.remove(merged, fieldset.intersection(gone, last), shape) or {}


def sort_entries(entries: list[Entry]) -> Entries:
    """Return entries in the order a real server writes them: by operation, time and manager."""
    if len(entries) > 1:
        entries.sort(key=_order)
    return tuple(entries)


def _order(entry: Entry) -> tuple[str, ...]:
    owner = entry.owner
    return owner.operation, entry.time, owner.manager, entry.api_version, owner.subresource


def _capped(entries: list[Entry]) -> list[Entry]:
    """Join the oldest updates of each version when there are too many."""
    surplus = len(entries) - _MOST_UPDATERS
    if surplus <= 0:
        return entries
    updates = [entry for entry in entries if entry.owner.operation == UPDATE]
    surplus = len(updates) - _MOST_UPDATERS
    updates.sort(key=lambda entry: (entry.time, entry.owner))
    first: dict[str, Entry] = {}
    buckets: dict[str, Entry] = {}
    dropped: set[Owner] = set()
    for entry in updates:
        version = entry.api_version
        if surplus <= 0:
            break
        if version not in first:
            first[version] = entry
            continue
        bucket = buckets.get(version) or first[version]
        dropped |= {entry.owner, first[version].owner}
        buckets[version] = _joined(bucket, entry)
        surplus -= 1
    return [entry for entry in entries if entry.owner not in dropped] + list(buckets.values())


def _joined(bucket: Entry, entry: Entry) -> Entry:
    """Return the entry of ancient changes with another's fields and its later time."""
    fields = fieldset.union(fields_in(entry.fields), fields_in(bucket.fields))
    owner = Owner(ANCIENT_CHANGES, UPDATE, entry.api_version, "")
    return Entry(owner, entry.api_version, entry.time, encode_fields(fields))
