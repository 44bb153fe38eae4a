"""When a phase of a machine ends: its start plus a delay that is drawn once.

Drawn from the machine's uid and the phase, not from a shared source: the same machine has the same
delays after a restart, on another worker and whatever happens to its neighbours.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capim.api.workload import Phase, Startup


def draw_delay_s(startup: Startup, uid: str, phase: Phase) -> float:
    """Return the phase's delay in seconds: its duration plus up to `jitter` times as much."""
    if startup.duration_s <= 0:
        return 0.0
    if startup.jitter <= 0:
        return startup.duration_s
    # a seed of text is hashed with SHA-512, so it is the same in every process
    rng = random.Random(f"{uid}/{phase}")  # noqa: S311 - a delay is no secret
    return startup.duration_s * (1.0 + rng.random() * startup.jitter)
