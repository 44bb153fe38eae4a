"""Cases in which the fake answers otherwise on purpose: name -> cause, and where it is written down."""

from __future__ import annotations

from typing import Final

KNOWN: Final[dict[str, str]] = {}
