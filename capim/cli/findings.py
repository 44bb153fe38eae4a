"""What an examination finds, and how it is told. Pure."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capim.api.meta import JsonObject


class Level(enum.StrEnum):
    """How grave a finding is."""

    OK = "ok"
    NOTE = "note"  #: good to know
    WARNING = "warning"  #: works, but not as well as it could, or not for long
    ERROR = "error"  #: does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    area: str
    level: Level
    message: str
    fix: str = ""  #: what to do; every warning and error has one


#: of each level, where colours can be shown
COLOURS: Final = {
    Level.OK: "green",
    Level.NOTE: "blue",
    Level.WARNING: "yellow",
    Level.ERROR: "red",
}


def summary(findings: Sequence[Finding]) -> str:
    """Say in a line how many of which level there are."""
    counts = Counter(finding.level for finding in findings)
    graver = (Level.ERROR, Level.WARNING)
    told = [_plural(level, counts[level]) for level in graver if counts[level]]
    looked = _plural("check", len(findings))
    return f"{looked}: {', '.join(told) or 'nothing is wrong'}"


def _plural(noun: str, count: int) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def as_document(findings: Sequence[Finding]) -> JsonObject:
    """Return them for `-o json` and `-o yaml`."""
    return {"findings": [asdict(finding) for finding in findings]}
