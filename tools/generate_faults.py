"""Write docs/faults.md: how faults are declared, and the table of all of them; --check compares it.

The table is read from the catalogue that admission and workers run by; what is above it is written by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from capim.api.faults import EFFECTS

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parent.parent / "docs" / "faults.md"
_MARK = "<!-- From here on written by tools/generate_faults.py, out of capim/api/faults.py. -->\n"
_HEAD = """\
| Section | Effect | What is seen | Parameters | `probability` is a share of |
|---|---|---|---|---|
"""


def page(current: str) -> str:
    """Return what the page should be: its written part as it is, and the table."""
    return current.partition(_MARK)[0] + _MARK + _HEAD + "".join(_rows())


def _rows() -> Iterator[str]:
    for effect, info in EFFECTS.items():
        parameters = ", ".join(f"`{name}`" for name in info.parameters)
        cells = (f"`{info.target}`", f"`{effect}`", info.doc, parameters, f"{info.unit}s")
        yield f"| {' | '.join(cells)} |\n"


def main(arguments: list[str]) -> int:
    """Write the page, or with --check compare it."""
    current = PAGE.read_text("utf-8")
    wanted = page(current)
    if arguments != ["--check"]:
        PAGE.write_text(wanted, "utf-8")
        return 0
    if current != wanted:
        print(f"{PAGE.name} is out of date: run tools/generate_faults.py")
    return int(current != wanted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
