"""A Dockerfile as a list of instructions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: its name in capitals, the rest of it, and the stage that it is in."""

    name: str
    text: str
    stage: str


def instructions(file: Path) -> list[Step]:
    """Read the instructions in order; continued lines are joined, comments left out."""
    lines = [line for line in file.read_text("utf-8").splitlines() if not line.startswith("#")]
    found: list[Step] = []
    stage = ""
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, text = line.strip().partition(" ")
            if name == "FROM":
                stage = text.rpartition(" AS ")[2]
            found.append(Step(name, text.strip(), stage))
    return found
