"""The life of definitions: which names they are given, whether their kinds are served, how they end.

What a real API server's controllers do a moment after the write is done here when the write is over:
names are accepted where no other definition of the group holds them, the kind is established, and an
object's schema that changed is applied to what is stored. Source: k8s.io/apiextensions-apiserver,
`pkg/controller/{status,establish,finalizer}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api.meta import format_time
from capim.runtime.customobjects import reread
from capim.runtime.customresources import DEFINITIONS, is_established, table_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.meta import JsonObject
    from capim.runtime.objects import Change, Stored
    from capim.runtime.store import Store

_PLURAL_KINDS: Final = ("plural", "singular")
_KINDS: Final = ("kind", "listKind")
_REASONS: Final = {
    "plural": "PluralConflict",
    "singular": "SingularConflict",
    "kind": "KindConflict",
    "listKind": "ListKindConflict",
}


class Definitions:
    """Observes definitions and, when asked to settle, brings their status up to date."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._queue: dict[str, None] = {}  # names, an ordered set

    def observe(self, change: Change) -> None:
        """Serve what is defined now, and queue the definitions whose names this may concern."""
        before = self._store.resources
        self._store.resources = table_after(before, change)
        if self._store.resources is not before and change.type != "DELETED":
            self._apply_schema(change)
        group = change.stored.name.partition(".")[2]
        others = self._store.table(DEFINITIONS)
        for stored in others.slice(0, len(others)):
            if stored.name.partition(".")[2] == group:
                self._queue[stored.name] = None

    def settle(self) -> None:
        """Work until nothing is left to do."""
        while self._queue:
            name = next(iter(self._queue))
            del self._queue[name]
            stored = self._store.table(DEFINITIONS).get(name)
            if stored is not None and not stored.deleting:
                self._accept(stored)

    def _apply_schema(self, change: Change) -> None:
        """Read the kind's objects through the schema of their version, if there are any."""
        plural, _, group = change.stored.name.partition(".")
        table = self._store.table((group, plural))
        if not len(table) or change.previous is None:
            return
        if change.previous.json()["spec"] == change.stored.json()["spec"]:
            return
        for resource in self._store.resources:
            if resource.group_resource == (group, plural):
                reread(table, resource)

    def _accept(self, stored: Stored) -> None:
        body = stored.json()
        taken = self._taken(stored)
        status = dict(body.get("status") or {})
        accepted, conflict = accepted_names(body["spec"]["names"], status, *taken)
        status["acceptedNames"] = accepted
        now = format_time(self._clock())
        if conflict is None:
            conflict = ("True", "NoConflicts", "no conflicts found")
        conditions = set_condition(status.get("conditions"), "NamesAccepted", *conflict, now)
        was_established = is_established(body)
        if not was_established:
            if conflict[0] == "True":
                state = ("False", "Installing", "the initial names have been accepted")
            else:
                state = ("False", "NotAccepted", "not all names are accepted")
            conditions = set_condition(conditions, "Established", *state, now)
        status["conditions"] = conditions
        if status != body.get("status"):
            stored = self._save(stored, status)
        if not was_established and conflict[0] == "True":
            state = ("True", "InitialNamesAccepted", "the initial names have been accepted")
            self._save(
                stored,
                status | {"conditions": set_condition(conditions, "Established", *state, now)},
            )

    def _save(self, stored: Stored, status: JsonObject) -> Stored:
        body = stored.json() | {"status": status}
        return self._store.commit("MODIFIED", stored.resource, body, stored)

    def _taken(self, stored: Stored) -> tuple[set[str], set[str]]:
        """Return the names of resources and of kinds that other definitions of the group hold."""
        group = stored.name.partition(".")[2]
        resources: set[str] = set()
        kinds: set[str] = set()
        table = self._store.table(DEFINITIONS)
        for other in table.slice(0, len(table)):
            if other.name == stored.name or other.name.partition(".")[2] != group:
                continue
            names = (other.json().get("status") or {}).get("acceptedNames") or {}
            resources |= {*(names.get(key, "") for key in _PLURAL_KINDS)}
            resources |= {*(names.get("shortNames") or ())}
            kinds |= {*(names.get(key, "") for key in _KINDS)}
        return resources - {""}, kinds - {""}


def accepted_names(
    wanted: JsonObject, status: JsonObject, resources: set[str], kinds: set[str]
) -> tuple[JsonObject, tuple[str, str, str] | None]:
    """Return the names a definition holds from now on, and the last conflict: status, reason, message."""
    held: JsonObject = dict(status.get("acceptedNames") or {})
    conflict = None
    for key, taken in (("plural", resources), ("singular", resources)):
        conflict = _take(key, wanted, held, taken) or conflict
    short = wanted.get("shortNames") or []
    mine = set(held.get("shortNames") or ())
    if clashes := [_in_use(name) for name in short if name not in mine and name in resources]:
        message = clashes[0] if len(clashes) == 1 else f"[{', '.join(clashes)}]"
        conflict = ("False", "ShortNamesConflict", message)
    else:
        _put(held, "shortNames", short)
    for key in _KINDS:
        conflict = _take(key, wanted, held, kinds) or conflict
    _put(held, "categories", wanted.get("categories"))
    return held, conflict


def _take(
    key: str, wanted: JsonObject, held: JsonObject, taken: set[str]
) -> tuple[str, str, str] | None:
    name = wanted.get(key, "")
    if name != held.get(key) and name in taken:
        return ("False", _REASONS[key], _in_use(name))
    held[key] = name
    return None


def _in_use(name: str) -> str:
    return f'"{name}" is already in use'


def _put(names: JsonObject, key: str, value: Any) -> None:
    if value:
        names[key] = value
    else:
        names.pop(key, None)


def set_condition(
    conditions: list[JsonObject] | None, kind: str, status: str, reason: str, message: str, now: str
) -> list[JsonObject]:
    """Return the conditions with one set; its time changes with its status alone."""
    made = {
        "type": kind,
        "status": status,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }
    kept = [dict(condition) for condition in conditions or ()]
    for index, condition in enumerate(kept):
        if condition.get("type") == kind:
            if condition.get("status") == status:
                made["lastTransitionTime"] = condition.get("lastTransitionTime", now)
            kept[index] = made
            return kept
    return [*kept, made]


def mark_terminating(body: JsonObject, now: str, *, in_progress: bool) -> None:
    """Say in a definition's status that its objects are being deleted."""
    state = ("InstanceDeletionPending", _PENDING)
    if in_progress:
        state = ("InstanceDeletionInProgress", "CustomResource deletion is in progress")
    status = dict(body.get("status") or {})
    kept = status.get("conditions")
    status["conditions"] = set_condition(kept, "Terminating", "True", *state, now)
    body["status"] = status


_PENDING: Final = (
    "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
)


def prepare(body: JsonObject, old: JsonObject | None = None) -> None:
    """Default a definition that is written; its status says which versions were ever stored."""
    spec = dict(body.get("spec") or {})
    names = dict(spec.get("names") or {})
    if kind := names.get("kind"):
        names.setdefault("singular", kind.lower())
        names.setdefault("listKind", f"{kind}List")
    spec["names"] = names
    spec["conversion"] = _conversion(spec.get("conversion"))
    spec.pop("preserveUnknownFields", None) if not spec.get("preserveUnknownFields") else None
    body["spec"] = spec
    status = dict((old or {}).get("status") or {})
    if old is None:
        status = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}}
    storage = [v.get("name") for v in spec.get("versions") or () if v.get("storage")]
    stored = [*(status.get("storedVersions") or ())] or storage[:1]
    if old is not None:
        stored += [name for name in storage if name not in stored]
    status["storedVersions"] = stored
    body["status"] = status


def complete_status(body: JsonObject) -> None:
    """Say in a status that does not say it which version is stored."""
    status: JsonObject = body.get("status") or {}
    if not status.get("storedVersions"):
        storing = [version["name"] for version in body["spec"]["versions"] if version["storage"]]
        body["status"] = {**status, "storedVersions": storing[:1]}


def _conversion(sent: JsonObject | None) -> JsonObject:
    conversion: JsonObject = {"strategy": "None"} | (sent or {})
    service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
    if isinstance(service, dict):
        service.setdefault("port", 443)
    return conversion
