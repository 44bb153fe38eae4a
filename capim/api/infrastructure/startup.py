"""How long a machine's phases take, as its InMemoryMachine says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from capim.api.meta import parse_duration
from capim.api.workload import Phase, Startup

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def parse_jitter(text: str) -> float:
    """Read a jitter; empty is 0. Raises ValueError for what is not a decimal number."""
    if not text:
        return 0.0
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is not a number: write for example 0.2")
    return float(text)


def startup_of(machine: JsonObject) -> dict[Phase, Startup]:
    """Return the delays that an InMemoryMachine asks for; phases it does not mention are absent.

    Objects that were stored before admission refused them may be odd: a negative duration or jitter
    counts as none, and a jitter above 1 as it stands, as the original had it.

    Raises:
        ValueError: a duration or jitter cannot be read; the message names the field.
    """
    behaviour = (machine.get("spec") or {}).get("behaviour") or {}
    startups = {}
    for phase in Phase:
        settings = (behaviour.get(phase) or {}).get("provisioning")
        if settings is not None:
            startups[phase] = _startup(settings, f"spec.behaviour.{phase}.provisioning")
    return startups


def _startup(settings: JsonObject, path: str) -> Startup:
    name = "startupDuration"
    try:
        duration_s = parse_duration(settings.get(name) or "0s")
        name = "startupJitter"
        jitter = parse_jitter(settings.get(name) or "")
    except ValueError as error:
        raise ValueError(f"{path}.{name}: {error}") from error
    return Startup(max(duration_s, 0.0), max(jitter, 0.0))
