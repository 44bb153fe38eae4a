"""How long a machine's phases take, as its InMemoryMachine says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from capim.api.faults import Effect
from capim.api.meta import parse_duration
from capim.api.nodeform import NodeForm
from capim.api.workload import Failure, Phase, Startup

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

#: what can be wrong with a machine for all its life, by the part of it
FAILURES: Final = {
    Phase.VM: (
        Effect.NO_CAPACITY.value,
        Effect.VM_STOPPED.value,
        Effect.VM_DELETED.value,
        Effect.VM_FAILED.value,
    ),
    Phase.NODE: (
        Effect.NEVER_JOINS.value,
        Effect.NOT_READY.value,
        Effect.WITHOUT_PROVIDER_ID.value,
        Effect.VERSION_SKEW.value,
        Effect.TAINTED.value,
    ),
    Phase.API_SERVER: (Effect.REPLICA_DOWN.value,),
    Phase.ETCD: (Effect.MEMBER_DOWN.value, Effect.LEARNER.value),
}

_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def parse_jitter(text: str) -> float:
    """Read a jitter; empty is 0. Raises ValueError for what is not a decimal number."""
    if not text:
        return 0.0
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is not a number: write for example 0.2")
    return float(text)


def time_scale_of(cluster: JsonObject | None) -> float:
    """Return how much faster than real time the machines of an InMemoryCluster come up and go."""
    behaviour = ((cluster or {}).get("spec") or {}).get("behaviour") or {}
    try:
        return float(behaviour.get("timeScale") or 1.0) or 1.0
    except ValueError:  # it was stored before admission refused it
        return 1.0


def node_form_of(spec: JsonObject) -> NodeForm | None:
    """Return what the Nodes of machines of this spec look like; None: as all do."""
    node = (spec.get("behaviour") or {}).get(Phase.NODE) or {}
    given = [node.get(name) for name in ("capacity", "labels", "taints", "architecture")]
    if not any(given):
        return None
    capacity, labels, taints, architecture = given
    return NodeForm(capacity or {}, labels or {}, tuple(taints or ()), architecture or "")


def failures_of(machine: JsonObject) -> tuple[Failure, ...]:
    """Return what is wrong with an InMemoryMachine for all its life.

    Raises:
        ValueError: a probability cannot be read; the message names the field.
    """
    behaviour = (machine.get("spec") or {}).get("behaviour") or {}
    found = []
    for phase in Phase:
        failure = (behaviour.get(phase) or {}).get("failure")
        if failure and failure.get("effect") in FAILURES[phase]:
            found.append(_failure(failure, f"spec.behaviour.{phase}.failure"))
    return tuple(found)


def _failure(failure: JsonObject, path: str) -> Failure:
    try:
        probability = parse_jitter(failure.get("probability") or "1")
    except ValueError as error:
        raise ValueError(f"{path}.probability: {error}") from error
    detail = failure.get("taint") or failure.get("kubeletVersion") or ""
    return Failure(Effect(failure["effect"]), probability, detail)


def deletion_s(machine: JsonObject) -> float:
    """Return how long the deletion of an InMemoryMachine's VM takes, in seconds."""
    behaviour = (machine.get("spec") or {}).get("behaviour") or {}
    settings = (behaviour.get(Phase.VM) or {}).get("deletion") or {}
    try:
        return max(parse_duration(settings.get("duration") or "0s"), 0.0)
    except ValueError:  # it was stored before admission refused it: nothing may keep it from going
        return 0.0


def startup_of(machine: JsonObject, scale: float = 1.0) -> dict[Phase, Startup]:
    """Return the delays that an InMemoryMachine asks for, `scale` times as fast; others are absent.

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
            startups[phase] = _startup(settings, scale, f"spec.behaviour.{phase}.provisioning")
    return startups


def _startup(settings: JsonObject, scale: float, path: str) -> Startup:
    name = "startupDuration"
    try:
        duration_s = parse_duration(settings.get(name) or "0s")
        name = "startupJitter"
        jitter = parse_jitter(settings.get(name) or "")
    except ValueError as error:
        raise ValueError(f"{path}.{name}: {error}") from error
    return Startup(max(duration_s, 0.0) / scale, max(jitter, 0.0))
