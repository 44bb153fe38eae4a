"""The catalogue in `docs/requests.md` and the tests here have the same rows."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

_HERE = Path(__file__).parent
_PAGE = _HERE.parents[2] / "docs" / "requests.md"


def rows(page: str) -> list[str]:
    """Return the ids of the page's rows, in its order."""
    return re.findall(r"^\| (R\d{2}) \|", page, re.MULTILINE)


def covered_by(sources: str) -> set[str]:
    """Return the ids that names of tests carry."""
    return set(re.findall(r"^def test_(R\d{2})_\w+\(", sources, re.MULTILINE))


def gaps(page: str, sources: str) -> list[str]:
    """Name each row without a test, each test without a row, and each id given twice."""
    listed, covered = Counter(rows(page)), covered_by(sources)
    return [
        *(f"{row} has no test" for row in listed if row not in covered),
        *(f"test_{row} has no row" for row in sorted(covered - set(listed))),
        *(f"{row} is given twice" for row, count in listed.items() if count > 1),
    ]


def test_every_row_has_a_test_and_every_test_a_row() -> None:
    sources = "\n".join(path.read_text() for path in sorted(_HERE.glob("test_*.py")))
    page = _PAGE.read_text()
    assert rows(page) == sorted(rows(page))
    assert gaps(page, sources) == []


def test_gaps_are_found() -> None:
    page = "| R01 | all |\n| R02 | KCP |\n| R02 | core |\n"
    sources = "def test_R01_root(site):\ndef test_R03_more(site):\n"
    assert gaps(page, sources) == ["R02 has no test", "test_R03 has no row", "R02 is given twice"]
