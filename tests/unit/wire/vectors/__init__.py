"""What the Go originals make of objects, patches and selectors; written by tools/vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capim.api.meta import JsonObject


def vectors(name: str) -> list[JsonObject]:
    """Return the rows of `name.json`."""
    rows: list[JsonObject] = json.loads(Path(__file__).with_name(f"{name}.json").read_bytes())
    return rows
