"""Who owns which fields of an object: `metadata.managedFields`, updated by every write. Pure.

An entry is what one manager owns by one operation at one version through one subresource. Entries are
kept as the JSON they are; one that a write does not touch is passed on as it is.

Source: structured-merge-diff v6 `merge` and apimachinery's `util/managedfields`.
Departures: entries are not reconciled with a schema that changed; versions of a kind are taken to have
the same fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from capim.wire import fieldset, typed
from capim.wire.fieldset import FieldSet

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.wire.fieldset import Path
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


@dataclass(frozen=True, slots=True)
class Write:
    """How an object is written: by whom, at what version and time, through which subresource."""

    manager: str
    api_version: str
    subresource: str
    time: str
    ignored: FieldSet = field(default_factory=dict)  #: what the server resets in such a write

    def owner(self, operation: str, manager: str = "") -> Owner:
        """Return whose entry this write changes."""
        version = "" if operation == APPLY else self.api_version
        return Owner(manager or self.manager or "unknown", operation, version, self.subresource)

    def entry(self, owner: Owner, fields: FieldSet, time: str | None) -> JsonObject:
        """Return an entry as JSON; `time` None leaves it out."""
        made: JsonObject = {
            "manager": owner.manager,
            "operation": owner.operation,
            "apiVersion": self.api_version,
        }
        if time is not None:
            made["time"] = time
        made |= {"fieldsType": "FieldsV1", "fieldsV1": fields}
        if owner.subresource:
            made["subresource"] = owner.subresource
        return made


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
    managed: list[JsonObject]


def owner_of(entry: JsonObject) -> Owner:
    """Return whose an entry is."""
    operation = entry["operation"]
    version = "" if operation == APPLY else entry["apiVersion"]
    return Owner(entry.get("manager", ""), operation, version, entry.get("subresource", ""))


def parse(entries: object) -> list[JsonObject]:
    """Read managedFields that a client wrote.

    Raises:
        ValueError: an entry is none.
    """
    if not isinstance(entries, list):
        raise ValueError("managedFields is not a list")
    return [_parse_entry(entry, index) for index, entry in enumerate(entries)]


def _parse_entry(entry: object, index: int) -> JsonObject:
    if not isinstance(entry, dict) or entry.get("operation") not in {APPLY, UPDATE}:
        raise ValueError("operation must be `Apply` or `Update`")
    if not entry.get("apiVersion"):
        raise ValueError("apiVersion must not be empty")
    kind = entry.get("fieldsType")
    if kind != "FieldsV1":
        what = f"invalid fieldsType {kind!r}" if kind else "missing fieldsType"
        raise ValueError(f"{what} in managed fields entry {index}")
    return {**entry, "fieldsV1": fieldset.parse(entry.get("fieldsV1"))}


def is_reset(entries: object) -> bool:
    """Tell whether a client wants an object's managers forgotten: an empty list or one empty entry."""
    return entries in ([], [{}])


def update(managed: list[JsonObject], comparison: Comparison, write: Write) -> list[JsonObject]:
    """Return the entries after an object was written other than by apply.

    Who writes owns what it changed, and nobody owns what is gone.
    """
    seen = comparison.without(write.ignored)
    changed = seen.changed
    gone = fieldset.union(changed, seen.removed)
    if not gone:
        return managed
    owner = write.owner(UPDATE)
    own = fieldset.difference(fieldset.without(changed, write.ignored), _NOBODYS)
    made: list[JsonObject] = []
    for entry in managed:
        mine = bool(own) and owner_of(entry) == owner
        fields = fieldset.difference(entry["fieldsV1"], seen.removed if mine else gone)
        if mine:
            own = fieldset.union(fields, own)
        elif fields is entry["fieldsV1"]:
            made.append(entry)
        elif fields:
            made.append({**entry, "fieldsV1": fields})
    if own:
        made.append(write.entry(owner, own, write.time))
    return sort_entries(_capped(made))


def apply(
    live: JsonObject,
    applied: JsonObject,
    managed: list[JsonObject],
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
    others = [entry for entry in managed if owner_of(entry) != owner]
    last = next((entry for entry in managed if owner_of(entry) == owner), None)
    made = typed.merge(live, applied, shape)
    if last is not None and last["fieldsV1"]:
        sets = [claimed, *(entry["fieldsV1"] for entry in others)]
        made = _prune(made, last["fieldsV1"], sets, shape)
    comparison = typed.compare(live, made, shape).without(write.ignored)
    changed = comparison.changed
    conflicts = [] if force else _conflicts(others, changed)
    if conflicts:
        raise Conflicts(conflicts)
    gone = fieldset.union(changed, comparison.removed)
    kept = [
        {**entry, "fieldsV1": fields}
        for entry in others
        if (fields := fieldset.difference(entry["fieldsV1"], gone))
    ]
    own = fieldset.difference(claimed, _NOBODYS)
    if own:
        time = write.time if made != live else (last or {}).get("time")
        kept.append(write.entry(owner, own, time))
    return Applied(made, sort_entries(kept))


def before_first_apply(live: JsonObject, zero: JsonObject, write: Write, shape: Shape) -> list[Any]:
    """Return the entry that owns all of an object whose fields were not tracked until now."""
    seen = typed.compare(zero, live, shape).without(write.ignored)
    own = fieldset.difference(seen.changed, _NOBODYS)
    owner = write.owner(UPDATE, BEFORE_FIRST_APPLY)
    return [write.entry(owner, own, write.time)] if own else []


def same_but_for_times(left: list[JsonObject], right: list[JsonObject]) -> bool:
    """Tell whether two lists of entries differ in their times at most."""
    if left is right:
        return True
    if len(left) != len(right):
        return False
    return all(
        one is other or {**one, "time": None} == {**other, "time": None}
        for one, other in zip(left, right, strict=True)
    )


def _conflicts(others: list[JsonObject], changed: FieldSet) -> list[Conflict]:
    return [
        Conflict(owner_of(entry), path)
        for entry in others
        for path in fieldset.paths(fieldset.intersection(entry["fieldsV1"], changed))
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


def sort_entries(entries: list[JsonObject]) -> list[JsonObject]:
    """Return entries in the order a real server writes them: by operation, time and manager."""
    return sorted(entries, key=_order) if len(entries) > 1 else entries


def _order(entry: JsonObject) -> tuple[str, ...]:
    return (
        entry["operation"],
        entry.get("time") or "",
        entry.get("manager", ""),
        entry["apiVersion"],
        entry.get("subresource", ""),
    )


def _capped(entries: list[JsonObject]) -> list[JsonObject]:
    """Join the oldest updates of each version when there are too many."""
    updates = [entry for entry in entries if entry["operation"] == UPDATE]
    surplus = len(updates) - _MOST_UPDATERS
    if surplus <= 0:
        return entries
    updates.sort(key=lambda entry: (entry.get("time") or "", _identifier(entry)))
    first: dict[str, JsonObject] = {}
    buckets: dict[str, JsonObject] = {}
    dropped: set[int] = set()
    for entry in updates:
        version = entry["apiVersion"]
        if surplus <= 0:
            break
        if version not in first:
            first[version] = entry
            continue
        bucket = buckets.get(version) or first[version]
        dropped |= {id(entry), id(first[version])}
        buckets[version] = _joined(bucket, entry)
        surplus -= 1
    return [entry for entry in entries if id(entry) not in dropped] + list(buckets.values())


def _joined(bucket: JsonObject, entry: JsonObject) -> JsonObject:
    """Return the entry of ancient changes with another's fields and its later time."""
    fields = fieldset.union(entry["fieldsV1"], bucket["fieldsV1"])
    joined = {"manager": ANCIENT_CHANGES, **{k: v for k, v in entry.items() if k != "manager"}}
    joined.pop("subresource", None)
    return joined | {"fieldsV1": fields}


def _identifier(entry: JsonObject) -> tuple[str, str, str]:
    return entry.get("manager", ""), entry["apiVersion"], entry.get("subresource", "")
