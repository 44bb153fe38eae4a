"""Adds up metrics of several processes, as Prometheus text. Pure.

Every sample is summed with those of the same name and labels; that is right for counters and histograms,
and for the gauges that workers report, which count things. The times when a series began, `*_created`,
cannot be added and are left out. Metadata lines are kept once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_BEGINNING: Final = "_created"


@dataclass(slots=True)
class _Family:
    metadata: dict[str, str] = field(default_factory=dict)  #: `HELP`, `TYPE` -> the line
    samples: dict[str, float] = field(default_factory=dict)  #: name and labels -> value


def merged(texts: Iterable[str]) -> str:
    """Return one text with the sum of all; lines that are no samples are dropped."""
    families: dict[str, _Family] = {}
    for text in texts:
        current = ""
        for line in text.splitlines():
            if line.startswith("# "):
                current = _keep_metadata(families, line) or current
            else:
                _add_sample(families, current, line)
    return "".join(_written(family) for family in families.values())


def _keep_metadata(families: dict[str, _Family], line: str) -> str:
    words = line.split(" ", 3)
    if len(words) < 4 or words[1] not in {"HELP", "TYPE"} or words[2].endswith(_BEGINNING):
        return ""
    families.setdefault(words[2], _Family()).metadata.setdefault(words[1], line)
    return words[2]


def _add_sample(families: dict[str, _Family], current: str, line: str) -> None:
    series, value = _split(line)
    name = series.partition("{")[0]
    if not series or name.endswith(_BEGINNING):
        return
    # a histogram's samples are called after their family, with _bucket, _sum or _count behind
    family = families.setdefault(
        current if current and name.startswith(current) else name, _Family()
    )
    family.samples[series] = family.samples.get(series, 0.0) + value


def _split(line: str) -> tuple[str, float]:
    """Split a sample into its series and value; a timestamp after the value is dropped."""
    end = line.rfind("}") + 1 or line.find(" ")
    series, rest = line[:end], line[end:].split()
    try:
        return series, float(rest[0])
    except (IndexError, ValueError):
        return "", 0.0


def _written(family: _Family) -> str:
    lines = [*family.metadata.values()]
    lines += [f"{series} {value!r}" for series, value in family.samples.items()]
    return "".join(f"{line}\n" for line in lines)
