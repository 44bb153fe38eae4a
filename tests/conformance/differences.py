"""Cases in which the fake answers otherwise: name -> cause, and "not done yet" if not on purpose."""

from __future__ import annotations

from typing import Final

KNOWN: Final[dict[str, str]] = {
    'edges: applied {a: null, b: x} to {"x-kubernetes-preserve-unknown-fields": true}': (
        "a real server counts a generation for a null that is applied again, though nothing changes"
    ),
}
