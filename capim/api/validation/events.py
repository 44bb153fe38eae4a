"""What a real API server refuses of Events: little in the core group, more in events.k8s.io."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api.validation import common, field, names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.api.validation.field import Cause

_OTHER_NAMESPACE: Final = "does not match event.namespace"
_UNSET: Final = "needs to be unset"
_LONGEST: Final = 128
_REFERENCE: Final = (
    "kind",
    "namespace",
    "name",
    "uid:UID",
    "apiVersion:APIVersion",
    "resourceVersion",
    "fieldPath",
)
_LONGEST_NOTE: Final = 1024
#: in the order in which changes are refused, with the name the text has
_IMMUTABLE: Final = (
    ("involvedObject", "involvedObject"),
    ("reason", "reason"),
    ("message", "message"),
    ("source", "source"),
    ("firstTimestamp", "firstTimestamp"),
    ("lastTimestamp", "lastTimestamp"),
    ("count", "count"),
    ("reason", "reason"),
    ("type", "type"),
    ("eventTime", "eventTime"),
    ("action", "action"),
    ("related", "related"),
    ("reportingComponent", "reportingController"),
    ("reportingInstance", "reportingInstance"),
)


def event(body: JsonObject) -> Iterator[Cause]:
    """Yield what is wrong with an Event written through the core group."""
    yield from _event(body, "reportingComponent")


def strict(body: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    """Yield what is wrong with an Event written through events.k8s.io; both are in the core group's form."""
    yield from _event(body, "reportingController")
    if old is None:
        yield from _new(body)
        return
    if body.get("series") != old.get("series"):
        yield from _series(body)
    for key, shown in _IMMUTABLE:
        value = body.get(key) or None
        if value != (old.get(key) or None):
            yield field.immutable(shown, _go(key, body.get(key)))


def _go(key: str, value: Any) -> Any:
    """Show a value as Go's internal types are shown."""
    if key in {"involvedObject", "related"} and value is not None:
        made = common.go_struct(value, *_REFERENCE)
        return {name: held or "" for name, held in made.items()}
    if key == "source":
        made = common.go_struct(value or {}, "component", "host")
        return {name: held or "" for name, held in made.items()}
    return value


def _event(body: JsonObject, controller: str) -> Iterator[Cause]:
    """Check as pkg/apis/core/validation does; Events with a time of their own are of the newer sort."""
    namespace = (body.get("involvedObject") or {}).get("namespace", "")
    own = body["metadata"].get("namespace", "")
    if not body.get("eventTime"):
        if (namespace and namespace != own) or (not namespace and own != "default"):
            yield field.invalid("involvedObject.namespace", namespace, _OTHER_NAMESPACE)
        return
    if not namespace and own not in {"default", "kube-system"}:
        yield field.invalid("involvedObject.namespace", namespace, _OTHER_NAMESPACE)
    reporter = body.get("reportingComponent") or ""
    if not reporter:
        yield field.required(controller)
    yield from names.qualified_name(controller, reporter)
    for key in ("reportingInstance", "action", "reason"):
        yield from _text(body, key)
    if len((body.get("message") or "").encode()) > _LONGEST_NOTE:
        yield field.invalid("message", "", f"can have at most {_LONGEST_NOTE} characters")


def _text(body: JsonObject, key: str) -> Iterator[Cause]:
    value = body.get(key) or ""
    if not value:
        yield field.required(key)
    if len(value.encode()) > _LONGEST:
        yield field.invalid(key, "", f"can have at most {_LONGEST} characters")


def _new(body: JsonObject) -> Iterator[Cause]:
    yield from _series(body)
    if not body.get("eventTime"):
        yield field.required("eventTime")
    if (kind := body.get("type") or "") not in {"Normal", "Warning"}:
        yield field.invalid("type", "", f"has invalid value: {kind}")
    for key in ("firstTimestamp", "lastTimestamp", "count", "source"):
        if body.get(key):
            yield field.invalid(key, "", _UNSET)


def _series(body: JsonObject) -> Iterator[Cause]:
    series = body.get("series")
    if series is None:
        return
    if series.get("count", 0) < 2:
        yield field.invalid("series.count", "", "should be at least 2")
    if not series.get("lastObservedTime"):
        yield field.required("series.lastObservedTime")
