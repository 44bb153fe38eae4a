"""Which clusters a fault is meant for, and what its status should say. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from capim.api import infrastructure as infra
from capim.api.faults import EFFECTS, Effect, Fault
from capim.api.meta import format_time
from coordinator.controllers.conditions import Severity, State, apply
from coordinator.controllers.patches import status_difference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from capim.api.meta import JsonObject

#: more names would make a status of a thousand clusters larger than all that is said of them
_NAMES_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Selector:
    """Objects by name, if there are names, and by labels; an empty one selects everything."""

    names: frozenset[str]
    labels: tuple[tuple[str, str], ...]
    failure_domains: frozenset[str] = frozenset()

    @classmethod
    def of(cls, section: JsonObject | None) -> Selector:
        """Read a section `clusters` or `machines`."""
        section = section or {}
        labels = sorted((section.get("matchLabels") or {}).items())
        domains = frozenset(section.get("failureDomains") or ())
        return cls(frozenset(section.get("names") or ()), tuple(labels), domains)

    def matches(self, obj: JsonObject) -> bool:
        """Tell whether an object is selected."""
        metadata = obj["metadata"]
        if self.names and metadata["name"] not in self.names:
            return False
        if self.failure_domains and _domain(obj) not in self.failure_domains:
            return False
        labels = metadata.get("labels") or {}
        return all(labels.get(name) == value for name, value in self.labels)


def _domain(machine: JsonObject) -> str:
    spec, status = machine.get("spec") or {}, machine.get("status") or {}
    found: str = spec.get("failureDomain") or status.get("failureDomain") or ""
    return found


@dataclass(frozen=True, slots=True)
class Declared:
    """An InMemoryFault as it was read; `problem` says why it cannot act, for a person."""

    fault: Fault | None
    clusters: Selector
    machines: Selector | None = None  #: None: all of a cluster
    problem: str = ""


def declared(obj: JsonObject) -> Declared:
    """Read an InMemoryFault, whatever is wrong with it."""
    try:
        fault = infra.fault_of(obj)
    except ValueError as error:
        return Declared(None, Selector.of(None), problem=str(error))
    machines = obj["spec"].get("machines")
    return Declared(
        fault,
        Selector.of(obj["spec"].get("clusters")),
        Selector.of(machines) if machines else None,
    )


def effect_of(what: Declared) -> Effect:
    """Return a readable fault's effect. Raises ValueError with what is wrong with it."""
    if what.fault is None:
        raise ValueError(what.problem)
    return what.fault.effect


def status_of(
    obj: JsonObject, what: Declared, clusters: Sequence[str], hits: int, now: float
) -> JsonObject:
    """Return the patch that makes an InMemoryFault's status true.

    Args:
        obj: the InMemoryFault.
        what: it as it was read.
        clusters: names of those that it is meant for.
        hits: how often it acted since its status last said so.
        now: seconds since the epoch.
    """
    before = obj.get("status") or {}
    state, after = _state(what, now)
    conditions = before.get("conditions") or []
    after |= {
        "matchedClusters": len(clusters),
        "clusters": list(clusters[:_NAMES_SHOWN]),
        "hits": (before.get("hits") or 0) + hits,
        "observedGeneration": obj["metadata"].get("generation", 0),
        "conditions": apply(conditions, infra.FAULT_ACTIVE_CONDITION, state, now),
    }
    return status_difference(obj, after)


def _state(what: Declared, now: float) -> tuple[State, JsonObject]:
    """Return the condition Active, and the fields that go with it."""
    fault = what.fault
    if fault is None:
        return State("Invalid", what.problem, Severity.ERROR), {"phase": "Invalid"}
    schedule = fault.schedule
    fields: JsonObject = {
        "effect": f"{EFFECTS[fault.effect].target}/{fault.effect}",
        "endsAt": format_time(schedule.end),
        "activeUntil": None,
    }
    if (window := schedule.window(now)) is not None:
        until = format_time(window.end)
        return State("Active", f"until {until}"), fields | {"phase": "Active", "activeUntil": until}
    phase = "Pending" if now < schedule.start else "Resting"
    if now >= schedule.end:
        return State("Ended", severity=Severity.INFO), fields | {"phase": "Ended"}
    message = f"from {format_time(schedule.next_change(now))}"
    return State(phase, message, Severity.INFO), fields | {"phase": phase}


def due_after_s(what: Declared, now: float) -> float:
    """Return in how many seconds a status will have to change; infinity: never by itself."""
    return what.fault.schedule.next_change(now) - now if what.fault else float("inf")


def aimed(
    all_declared: Mapping[str, Declared],
    cluster: JsonObject,
    machines: Sequence[JsonObject],
    now: float,
) -> tuple[Fault, ...]:
    """Return the faults that a Cluster is to suffer, of those of its namespace; the ended are left out.

    Args:
        all_declared: by name.
        cluster: the Cluster.
        machines: its InMemoryMachines.
        now: seconds since the epoch.
    """
    return tuple(
        _with_machines(what.fault, what.machines, machines)
        for _, what in sorted(all_declared.items())
        if what.fault is not None
        and now < what.fault.schedule.end
        and what.clusters.matches(cluster)
    )


def _with_machines(
    fault: Fault, selector: Selector | None, machines: Sequence[JsonObject]
) -> Fault:
    if selector is None:
        return fault
    names = sorted(one["metadata"]["name"] for one in machines if selector.matches(one))
    return replace(fault, machines=tuple(names))
