"""Tables and documents as kubectl prints them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NONE = "<none>"
_GAP = 3


class Column(NamedTuple):
    """A column of a table."""

    header: str
    wide: bool = False  #: shown with `-o wide` alone


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], *, wide: bool = False) -> str:
    """Lay rows out under their headers, three spaces apart; a cell without text reads `<none>`."""
    shown = [index for index, column in enumerate(columns) if wide or not column.wide]
    lines = [[columns[index].header for index in shown]]
    lines += [[row[index] or NONE for index in shown] for row in rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(shown))]
    return "".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width + _GAP) for cell, width in zip(cells, widths, strict=True))
    return "".join(padded).rstrip() + "\n"


def document(body: Any, form: str) -> str:
    """Write a value as `json` or `yaml`."""
    if form == "json":
        return orjson.dumps(body, option=orjson.OPT_INDENT_2).decode() + "\n"
    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True)


def listed(items: Sequence[Any], *, single: bool) -> Any:
    """Return what kubectl prints for objects: the one that was asked for by name, else a List."""
    if single and len(items) == 1:
        return items[0]
    return {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items}
