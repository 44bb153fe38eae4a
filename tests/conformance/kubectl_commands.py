"""Reads the list of kubectl commands, `kubectl.txt`, and gives each scenario its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.conformance.kubectl_files import FILES

LIST: Final = Path(__file__).with_name("kubectl.txt")


@dataclass(frozen=True, slots=True)
class Scenario:
    """Commands that share a namespace; `files` are in their folder, name -> text."""

    name: str
    commands: tuple[str, ...]
    files: dict[str, str]


def scenarios(containing: str = "") -> list[Scenario]:
    """Return the scenarios whose names contain a text, in the list's order."""
    found: dict[str, list[str]] = {}
    commands: list[str] = []
    for line in LIST.read_text().splitlines():
        if line.startswith("["):
            commands = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            commands.append(line)
    return [
        Scenario(name, tuple(lines), FILES.get(name, {}))
        for name, lines in found.items()
        if containing in name
    ]
