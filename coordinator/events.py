"""Kubernetes Events about our objects: which change is worth one, and which of them are written. Pure.

Conditions say how things are; Events say that something happened, for whoever runs `kubectl describe`. They
are a courtesy: what would cost too much is dropped, and nothing depends on them.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from capim.api import infrastructure as infra
from capim.api.meta import format_time, get_condition
from coordinator.controllers import gates
from coordinator.placement import PLACEMENT_ANNOTATION, Placement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject

COMPONENT: Final = "capim-manager"

#: What is told again within this time is counted, and written when it is told after it.
QUIET_S: Final = 30.0
#: Events that are remembered, so that a repetition is known as one: as long as client-go does, and so many.
_REMEMBERED_S: Final = 600.0
_REMEMBERED: Final = 2048
_GRAVE: Final = frozenset({"Warning", "Error"})


class Note(NamedTuple):
    """What is to be told of an object."""

    obj: JsonObject
    reason: str
    message: str
    warning: bool = False


# --- what is worth telling ---


def notes_of(before: JsonObject, after: JsonObject) -> Iterator[Note]:
    """Yield what a person would want to know of an object's change, as it was written."""
    yield from _moved(before, after)
    for condition in (after.get("status") or {}).get("conditions") or ():
        old = get_condition(before, condition["type"])
        if old is None or _told(old) != _told(condition):
            yield from _note_of_condition(after, old, condition)


def _told(condition: JsonObject) -> tuple[str, str, str]:
    return condition["status"], condition.get("reason") or "", condition.get("message") or ""


def _note_of_condition(
    obj: JsonObject, old: JsonObject | None, condition: JsonObject
) -> Iterator[Note]:
    kind, reason = condition["type"], condition.get("reason") or ""
    if condition["status"] == "True":
        if kind == infra.READY_CONDITION and (old is None or old["status"] != "True"):
            yield Note(obj, infra.PROVISIONED_REASON, _provisioned(obj))
        elif kind == infra.JOURNAL_INTACT_CONDITION:
            yield Note(obj, reason, "The cluster is again what its journal has.")
    elif condition.get("severity") in _GRAVE and not _is_summary(obj, kind):
        yield Note(obj, reason, condition.get("message") or reason, warning=True)


def _is_summary(obj: JsonObject, kind: str) -> bool:
    """A machine's or pool's Ready repeats what another of its conditions says."""
    return (
        obj["kind"] in {infra.MACHINE_KIND, infra.MACHINE_POOL_KIND}
        and kind == infra.READY_CONDITION
    )


def _provisioned(obj: JsonObject) -> str:
    if obj["kind"] == infra.MACHINE_KIND:
        return "All that the machine simulates runs."
    if obj["kind"] == infra.MACHINE_POOL_KIND:
        return "All replicas are there."
    return f"{_worker(obj)} serves the cluster at https://{_endpoint(obj)}."


def _moved(before: JsonObject, after: JsonObject) -> Iterator[Note]:
    """Tell of a cluster that is elsewhere than it was; the first place is no news."""
    place, was = _worker(after), _worker(before)
    if was and place != was:
        yield Note(after, "Moved", f"From {was} to {place}.")
    told, was = _endpoint(after), _endpoint(before)
    if was and told != was:
        yield Note(after, "EndpointChanged", f"From {was} to {told}.")


def note_of_worker(obj: JsonObject, worker: str, *, back: bool) -> Note:
    """Return what is told of a cluster whose worker was lost, or is back."""
    if back:
        return Note(obj, "WorkerBack", f"{worker} holds the cluster again.")
    message = f"{worker} ended or does not answer; until it is back, neither does the cluster."
    return Note(obj, "WorkerLost", message, warning=True)


def _endpoint(obj: JsonObject) -> str:
    endpoint = (obj.get("spec") or {}).get("controlPlaneEndpoint") or {}
    return f"{endpoint['host']}:{endpoint['port']}" if endpoint.get("host") else ""


def _worker(obj: JsonObject) -> str:
    placement = Placement.parse(gates.annotation(obj, PLACEMENT_ANNOTATION) or "")
    return placement.worker if placement else ""


# --- what is written ---


@dataclass(slots=True)
class _Told:
    name: str  #: of the Event
    count: int
    written_at: float
    at: float  #: last told


class Write(NamedTuple):
    """An Event to create, or to patch where there is one of that name."""

    namespace: str
    name: str
    patch: JsonObject | None  #: None: create it
    body: JsonObject


class EventBook:
    """Knows what was told of late. One loop, no lock."""

    def __init__(self, instance: str) -> None:
        """`instance` names this process, as Events have to."""
        self._instance = instance
        self._told: OrderedDict[tuple[str, str, str], _Told] = OrderedDict()

    def enter(self, note: Note, now: float) -> Write | None:
        """Return what to write for a note, or None for a repetition that comes too soon."""
        self._forget(now)
        key = (note.obj["metadata"]["uid"], note.reason, note.message)
        told = self._told.get(key)
        if told is None:
            told = self._told[key] = _Told(_event_name(note, now), 0, now - QUIET_S, now)
        self._told.move_to_end(key)
        told.count += 1
        told.at = now
        if now - told.written_at < QUIET_S:
            return None
        told.written_at = now
        body = _event(note, told, now, self._instance)
        again = {name: body[name] for name in ("count", "lastTimestamp")}
        patch = again if told.count > 1 else None
        return Write(body["metadata"]["namespace"], told.name, patch, body)

    def _forget(self, now: float) -> None:
        """Drop what was last told long ago, and make room for one more."""
        while self._told:
            oldest = next(iter(self._told.values()))
            if now - oldest.at <= _REMEMBERED_S and len(self._told) < _REMEMBERED:
                return
            self._told.popitem(last=False)


def _event_name(note: Note, now: float) -> str:
    """Name an Event as client-go does: its object, and the time in nanoseconds."""
    return f"{note.obj['metadata']['name']}.{int(now * 1e9):x}"


def _event(note: Note, told: _Told, now: float, instance: str) -> JsonObject:
    obj, metadata = note.obj, note.obj["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": told.name, "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": obj["apiVersion"],
            "kind": obj["kind"],
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "type": "Warning" if note.warning else "Normal",
        "reason": note.reason,
        "message": note.message,
        "firstTimestamp": format_time(now),
        "lastTimestamp": format_time(now),
        "count": told.count,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": instance,
    }
