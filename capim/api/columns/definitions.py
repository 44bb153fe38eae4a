"""What a column of a printed table is, and the cells that many kinds share. Pure; time comes in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from capim.api.meta import parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from capim.api.meta import JsonObject

Cell: TypeAlias = str | int | float | bool | None
#: an object and the present, in seconds since the epoch, to what is printed of it
CellOf: TypeAlias = "Callable[[JsonObject, float], Cell]"

NONE: Final = "<none>"
UNSET: Final = "<unset>"
UNKNOWN: Final = "<unknown>"

_MINUTE_S: Final = 60
_HOUR_S: Final = 60 * _MINUTE_S
_DAY_S: Final = 24 * _HOUR_S
_YEAR_S: Final = 365 * _DAY_S


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its head, and how its cell is computed. Priority 0 always shows, others with `-o wide`."""

    name: str
    cell: CellOf = field(repr=False)
    description: str = ""
    type: str = "string"
    format: str = ""
    priority: int = 0

    def definition(self) -> JsonObject:
        """Return the meta.k8s.io/v1 TableColumnDefinition."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


# --- reaching into objects ---------------------------------------------------------------------------


def at(obj: Any, path: str) -> Any:
    """Return what lies at a dotted path, None where anything on the way is missing."""
    for name in path.split("."):
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


def items_at(obj: JsonObject, path: str) -> list[Any]:
    """Return the list at a dotted path, empty where it is missing."""
    return at(obj, path) or []


def text(path: str, default: str = "") -> CellOf:
    """Print the string at a path; `default` where it is missing or empty."""
    return lambda obj, _: str(at(obj, path) or default)


def number(path: str, default: int = 0) -> CellOf:
    """Print the whole number at a path, `default` where it is missing."""
    return lambda obj, _: default if (value := at(obj, path)) is None else int(value)


def flag(path: str, *, default: bool = False) -> CellOf:
    """Print the boolean at a path."""
    return lambda obj, _: default if (value := at(obj, path)) is None else bool(value)


def count(*paths: str) -> CellOf:
    """Print how many members the lists or maps at these paths have together."""
    return lambda obj, _: sum(len(at(obj, path) or ()) for path in paths)


# --- times -------------------------------------------------------------------------------------------


def human_duration(seconds: float) -> str:
    """Write a time span in two or three significant figures: `45s`, `5m30s`, `3h`, `8d`.

    A clock may run ahead by less than two seconds: that is `0s`, more is `<invalid>`.
    """
    if int(seconds) < -1:
        return "<invalid>"
    whole = max(0, int(seconds))
    if whole < 2 * _MINUTE_S:
        return f"{whole}s"
    for limit, unit_s, unit, part_s, part in _SCALES:
        if whole < limit:
            rest = whole % unit_s // part_s if part_s else 0
            return f"{whole // unit_s}{unit}" + (f"{rest}{part}" if rest else "")
    return f"{whole // _YEAR_S}y"


#: below this span: so long is a unit, its letter, the smaller unit beside it (0: none), its letter
_SCALES: Final = (
    (10 * _MINUTE_S, _MINUTE_S, "m", 1, "s"),
    (3 * _HOUR_S, _MINUTE_S, "m", 0, ""),
    (8 * _HOUR_S, _HOUR_S, "h", _MINUTE_S, "m"),
    (2 * _DAY_S, _HOUR_S, "h", 0, ""),
    (8 * _DAY_S, _DAY_S, "d", _HOUR_S, "h"),
    (2 * _YEAR_S, _DAY_S, "d", 0, ""),
    (8 * _YEAR_S, _YEAR_S, "y", _DAY_S, "d"),
)


def since(timestamp: Any, now: float) -> str:
    """Write how long ago a time of the API was; `<unknown>` for none, `<invalid>` for no time."""
    if not timestamp:
        return UNKNOWN
    try:
        return human_duration(now - parse_time(timestamp))
    except (TypeError, ValueError):
        return "<invalid>"


# --- cells of many kinds -----------------------------------------------------------------------------


def label_text(labels: Mapping[str, str] | None) -> str:
    """Write labels as `key=value`, sorted and joined by commas."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def selector_text(selector: JsonObject | None) -> str:
    """Write a LabelSelector in the syntax of `kubectl --selector`; empty where it selects all or nothing."""
    selector = selector or {}
    terms = {key: f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()}
    texts = sorted(terms.items())
    for term in selector.get("matchExpressions") or ():
        texts.append((term["key"], _term_text(term)))
    return ",".join(written for _, written in sorted(texts, key=lambda pair: pair[0]))


def _term_text(term: JsonObject) -> str:
    key, chosen = term["key"], term["operator"]
    if chosen in {"In", "NotIn"}:
        return f"{key} {chosen.lower()} ({','.join(sorted(term.get('values') or ()))})"
    return key if chosen == "Exists" else f"!{key}"


def first_of(texts: Iterable[str], limit: int, total: int) -> str:
    """Join the first texts by commas and say how many of the total follow."""
    shown = list(texts)[:limit]
    return ",".join(shown) + (f" + {total - limit} more..." if total > limit else "")


def container_columns(template: str = "spec.template") -> tuple[Column, Column]:
    """Make the wide columns of what runs pods from a template."""

    def joined(name: str) -> CellOf:
        path = f"{template}.spec.containers"
        return lambda obj, _: ",".join(str(one.get(name, "")) for one in items_at(obj, path))

    return (
        Column("Containers", joined("name"), "Names of the containers", priority=1),
        Column("Images", joined("image"), "Images of the containers", priority=1),
    )


def selector_column(path: str = "spec.selector", *, empty: str = NONE) -> Column:
    """Make the wide column that shows which pods are meant."""
    return Column(
        "Selector",
        lambda obj, _: selector_text(at(obj, path)) or empty,
        "Selects the pods",
        priority=1,
    )


NAME: Final = Column("Name", text("metadata.name"), "Unique within a namespace", format="name")
AGE: Final = Column(
    "Age", lambda obj, now: since(at(obj, "metadata.creationTimestamp"), now), "Since its creation"
)
CREATED_AT: Final = Column(
    "Created At", text("metadata.creationTimestamp"), "When it was created", type="date"
)
