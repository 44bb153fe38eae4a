"""Printed columns of custom resources: a path into the object and the type of what lies there."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from capim.api import jsonpath
from capim.api.columns.definitions import NAME, Cell, Column, since
from capim.api.resources import PrinterColumn

if TYPE_CHECKING:
    from capim.api.columns.definitions import CellOf

#: of a definition that declares none
DEFAULT_COLUMNS: Final = (
    PrinterColumn("Age", ".metadata.creationTimestamp", "date", "Since its creation"),
)


@lru_cache(maxsize=1024)
def custom_columns(declared: tuple[PrinterColumn, ...]) -> tuple[Column, ...]:
    """Return the name and the declared columns; one whose path cannot be read prints nothing."""
    return (NAME, *map(_column, declared))


def _column(declared: PrinterColumn) -> Column:
    return Column(
        declared.name,
        _cell(declared),
        declared.description or f"What lies at {declared.json_path}",
        declared.type,
        declared.format,
        declared.priority,
    )


def _cell(declared: PrinterColumn) -> CellOf:
    try:
        path = jsonpath.parse(declared.json_path)
    except ValueError:
        return lambda _obj, _now: None
    return lambda obj, now: _first_cell(path.find(obj), declared.type, now)


def _first_cell(found: list[Any], kind: str, now: float) -> Cell:
    if found[:1] == [None] and kind == "string":
        return "<no value>"  # a real server tells a null from nothing
    return cell_of(found[0], kind, now) if found else None


def cell_of(value: Any, kind: str, now: float) -> Cell:
    """Convert a value to a cell of a column's type; None where it is of another type."""
    if value is None:
        return None
    if kind == "string":
        return _text(value)
    if kind == "date":
        return since(value, now) if isinstance(value, str) else None
    if isinstance(value, bool) or kind == "boolean":
        return value if isinstance(value, bool) and kind == "boolean" else None
    return _number(value, kind) if isinstance(value, (int, float)) else None


def _number(value: float, kind: str) -> Cell:
    if kind not in {"integer", "number"}:
        return None
    return int(value) if kind == "integer" or value == int(value) else value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
