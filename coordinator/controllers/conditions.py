"""Conditions in the union of both contracts' shapes. Pure.

A reason is never empty (v1beta2 wants one), a severity is there where the status is False (v1beta1 wants
one). `lastTransitionTime` moves when status, reason, severity or message change, as in v1beta1; so the
time of a False WaitingForStartupTimeout is when the wait began.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from capim.api import infrastructure as infra
from capim.api.meta import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from capim.api.meta import JsonObject

#: Reasons that the originals do not have, because they gave up or died there.
PORTS_EXHAUSTED_REASON: Final = "PortsExhausted"
PORT_OCCUPIED_REASON: Final = "PortOccupied"
WAITING_FOR_CERTIFICATES_REASON: Final = "WaitingForCertificates"
INVALID_CERTIFICATES_REASON: Final = "InvalidCertificates"


class Severity(enum.StrEnum):
    """How grave it is that a condition is False, gravest first."""

    ERROR = "Error"
    WARNING = "Warning"
    INFO = "Info"


_SEVERITIES: Final = tuple(Severity)


@dataclass(frozen=True, slots=True)
class State:
    """What a condition says, without its time. Severity None: the status is True."""

    reason: str
    message: str = ""
    severity: Severity | None = None

    @property
    def status(self) -> str:
        """`True` or `False`."""
        return "True" if self.severity is None else "False"


def apply(before: Sequence[JsonObject], kind: str, state: State, at: float) -> list[JsonObject]:
    """Return conditions with one of them set; its time is kept where nothing else changed.

    Args:
        before: the conditions as they are.
        kind: the condition's type.
        state: what it shall say.
        at: when it came to be so, seconds; used if it said something else before.
    """
    fresh: JsonObject = {
        "type": kind,
        "status": state.status,
        "reason": state.reason,
        "message": state.message,
        "lastTransitionTime": format_time(at),
    }
    if state.severity is not None:
        fresh["severity"] = state.severity.value
    old = next((condition for condition in before if condition.get("type") == kind), None)
    if old is not None and _without_time(old) == _without_time(fresh):
        return list(before)
    others = [condition for condition in before if condition.get("type") != kind]
    return sorted([*others, fresh], key=_order)


def _without_time(condition: JsonObject) -> dict[str, str]:
    names = ("status", "reason", "message", "severity")
    return {name: condition.get(name) or "" for name in names}


def _order(condition: JsonObject) -> tuple[bool, str]:
    """Ready first, as Cluster API sorts them."""
    return (condition["type"] != infra.READY_CONDITION, condition["type"])


def with_paused(obj: JsonObject, reasons: Iterable[str], at: float) -> list[JsonObject]:
    """Return the object's conditions with Paused as the reasons say: none, and it is not paused."""
    before = (obj.get("status") or {}).get("conditions") or []
    return apply(before, infra.PAUSED_CONDITION, _paused_state(reasons), at)


def with_journal(before: Sequence[JsonObject], damage: str, at: float) -> list[JsonObject]:
    """Return conditions that tell of damage; one that was found intact since says so, others nothing."""
    if damage:
        state = State(infra.JOURNAL_DAMAGED_REASON, damage, Severity.WARNING)
    elif any(condition.get("type") == infra.JOURNAL_INTACT_CONDITION for condition in before):
        state = State(infra.JOURNAL_INTACT_REASON)
    else:
        return list(before)
    return apply(before, infra.JOURNAL_INTACT_CONDITION, state, at)


def _paused_state(reasons: Iterable[str]) -> State:
    """Say that reconciliation is paused, and why; or that it is not."""
    if message := ", ".join(reasons):
        return State(infra.PAUSED_REASON, message)
    return State(infra.NOT_PAUSED_REASON, severity=Severity.INFO)


def summary(
    conditions: Sequence[JsonObject], kinds: Sequence[str], *, counted: bool
) -> State | None:
    """Sum conditions up as Ready: the gravest that is False speaks, in the order of `kinds`.

    Args:
        conditions: of the object.
        kinds: the types to sum up.
        counted: say how many are True in place of the message, as during provisioning.

    Returns:
        None while there is none of them.
    """
    by_kind = {condition["type"]: condition for condition in conditions}
    present = [by_kind[kind] for kind in kinds if kind in by_kind]
    if not present:
        return None
    failing = [condition for condition in present if condition["status"] != "True"]
    if not failing:
        return State(infra.READY_REASON)
    worst = min(failing, key=lambda condition: _SEVERITIES.index(_severity(condition)))
    steps = f"{len(present) - len(failing)} of {len(kinds)} completed"
    message = steps if counted else worst.get("message") or ""
    return State(worst["reason"], message, _severity(worst))


def _severity(condition: JsonObject) -> Severity:
    return Severity(condition.get("severity") or Severity.INFO)
