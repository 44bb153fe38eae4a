"""Cases in which the fake answers otherwise: name -> cause, and "not done yet" if not on purpose."""

from __future__ import annotations

from typing import Final

KNOWN: Final[dict[str, str]] = {}
