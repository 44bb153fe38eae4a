"""What an InMemoryFault says, as a `Fault`; and what its schema cannot say is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api.faults import EFFECTS, Effect, Fault, Schedule, Target, Unit
from capim.api.infrastructure.faultkind import DEFAULT_DURATION
from capim.api.infrastructure.startup import parse_jitter
from capim.api.meta import parse_duration, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.api.structural import Cause

#: what comes and goes more often is probability
_SHORTEST_PERIOD_S: Final = 1.0
_SECTIONS: Final = tuple(target.value for target in Target)


def fault_of(obj: JsonObject) -> Fault:
    """Return what an InMemoryFault asks for.

    Raises:
        ValueError: it was stored before admission refused it; the message names the field.
    """
    for path, message in fault_mistakes(obj.get("spec") or {}):
        raise ValueError(f"{path}: {message}")
    spec, metadata = obj["spec"], obj["metadata"]
    try:
        (section,) = (spec[name] for name in _SECTIONS if name in spec)
        requests = spec.get("requests") or {}
        return Fault(
            uid=metadata["uid"],
            name=f"{metadata.get('namespace', '')}/{metadata['name']}",
            effect=Effect(section["effect"]),
            schedule=_schedule(spec.get("schedule") or {}, metadata["creationTimestamp"]),
            seed=str(spec.get("seed", metadata["uid"])),
            probability=parse_jitter(spec.get("probability") or "1"),
            verbs=tuple(requests.get("verbs") or ()),
            resources=tuple(requests.get("resources") or ()),
            user_agents=tuple(requests.get("userAgents") or ()),
            detail=section.get("taint") or section.get("kubeletVersion") or "",
            latency_s=_seconds(section, "latency"),
            jitter_s=_seconds(section, "jitter"),
            curve=_curve(section),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"spec: not of the form that an InMemoryFault has: {error!r}") from error


def _seconds(section: JsonObject, name: str, default: str = "0s") -> float:
    return parse_duration(section.get(name) or default)


def _schedule(schedule: JsonObject, created: str) -> Schedule:
    every_s = _seconds(schedule, "every")
    return Schedule(
        start=parse_time(schedule.get("start") or created) + _seconds(schedule, "delay"),
        duration_s=_seconds(schedule, "duration", DEFAULT_DURATION),
        every_s=every_s,
        times=int(schedule.get("times") or 1) if every_s else 1,
        period_s=_seconds(schedule, "period"),
    )


def _curve(section: JsonObject) -> tuple[tuple[float, float], ...]:
    points = section.get("curve") or ()
    return tuple(
        (parse_jitter(point["share"]), parse_duration(point["latency"])) for point in points
    )


# --- what a schema cannot say ------------------------------------------------------------------------


def fault_mistakes(spec: JsonObject) -> Iterator[Cause]:
    """Yield what is wrong with a spec, as (field path, message); wrong shapes are the schema's to report."""
    named = [name for name in _SECTIONS if isinstance(spec.get(name), dict)]
    if len(named) != 1:
        wanted = ", ".join(_SECTIONS)
        yield "spec", f"Required value: exactly one of {wanted} says what goes wrong"
    for name in named:
        yield from _section_mistakes(spec, Target(name), spec[name])
    if isinstance(schedule := spec.get("schedule"), dict):
        yield from _schedule_mistakes(schedule)


def _section_mistakes(spec: JsonObject, target: Target, section: JsonObject) -> Iterator[Cause]:
    effect = _effect(target, section)
    if effect is None:
        return
    info, path = EFFECTS[effect], f"spec.{target}"
    yield from _parameter_mistakes(effect, section, path)
    if info.unit is not Unit.REQUEST and spec.get("requests"):
        yield "spec.requests", f"Forbidden: {effect} does not befall requests"
    if info.unit is not Unit.MACHINE and spec.get("machines"):
        yield "spec.machines", f"Forbidden: {effect} does not befall machines"
    verbs = (spec.get("requests") or {}).get("verbs") or ()
    if info.verbs and verbs and not info.verbs & set(verbs):
        wanted = ", ".join(sorted(info.verbs))
        yield "spec.requests.verbs", f"Invalid value: {effect} befalls {wanted} alone"
    yield from _curve_mistakes(section.get("curve"), f"{path}.curve")


def failure_mistakes(failure: JsonObject, path: str) -> Iterator[Cause]:
    """Yield what is wrong with what an InMemoryMachine says is wrong with it."""
    named = failure.get("effect")
    if named in list(Effect):
        parameters = {name: value for name, value in failure.items() if name != "probability"}
        yield from _parameter_mistakes(Effect(named), parameters, path)


def _parameter_mistakes(effect: Effect, section: JsonObject, path: str) -> Iterator[Cause]:
    info = EFFECTS[effect]
    for name in section.keys() - {"effect", *info.parameters}:
        yield f"{path}.{name}", f"Forbidden: {effect} does not read it"
    if info.required and not any(section.get(name) for name in info.required):
        needed = " or ".join(info.required)
        yield f"{path}.{info.required[0]}", f"Required value: {effect} needs {needed}"


def _effect(target: Target, section: JsonObject) -> Effect | None:
    try:
        effect = Effect(section.get("effect", ""))
    except ValueError:
        return None
    return effect if EFFECTS[effect].target is target else None


def _curve_mistakes(points: Any, path: str) -> Iterator[Cause]:
    """A curve goes up, in both its directions."""
    try:
        parsed = _curve({"curve": points})
    except (ValueError, TypeError, KeyError):
        return
    if list(parsed) != sorted(parsed) or [it[1] for it in parsed] != sorted(it[1] for it in parsed):
        yield path, "Invalid value: shares and latencies must ascend"


def _schedule_mistakes(schedule: JsonObject) -> Iterator[Cause]:
    try:
        every_s = _seconds(schedule, "every")
        duration_s = _seconds(schedule, "duration", DEFAULT_DURATION)
        period_s = _seconds(schedule, "period")
        parse_time(schedule.get("start") or "2000-01-01T00:00:00Z")
    except (ValueError, TypeError):
        return
    if schedule.get("times") and not every_s:
        yield "spec.schedule.every", "Required value: times needs to know how often"
    if every_s and not schedule.get("times"):
        yield "spec.schedule.times", "Required value: a fault that comes again must end some day"
    if every_s and duration_s > every_s:
        yield "spec.schedule.duration", "Invalid value: must not be longer than every"
    if 0 < period_s < _SHORTEST_PERIOD_S:
        yield (
            "spec.schedule.period",
            f"Invalid value: must not be shorter than {_SHORTEST_PERIOD_S} s",
        )
    if duration_s <= 0:
        yield "spec.schedule.duration", "Invalid value: must be longer than nothing"
