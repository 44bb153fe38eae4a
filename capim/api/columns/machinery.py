"""Printed columns of the API's own machinery: access, leases, admission, priorities, devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.columns.definitions import (
    AGE,
    NAME,
    NONE,
    UNSET,
    Cell,
    Column,
    at,
    count,
    flag,
    human_duration,
    items_at,
    number,
    selector_text,
    text,
)
from capim.api.meta import get_condition

if TYPE_CHECKING:
    from capim.api.columns.definitions import CellOf
    from capim.api.meta import JsonObject


# --- access ------------------------------------------------------------------------------------------


def _role(binding: JsonObject, _: float) -> str:
    return f"{binding['roleRef']['kind']}/{binding['roleRef']['name']}"


def _subjects(kind: str) -> CellOf:
    def cell(binding: JsonObject, _: float) -> str:
        subjects = [one for one in binding.get("subjects") or () if one.get("kind") == kind]
        return ", ".join(map(_subject, subjects))

    return cell


def _subject(subject: JsonObject) -> str:
    name = str(subject.get("name", ""))
    in_namespace = subject["kind"] == "ServiceAccount"
    return f"{subject.get('namespace', '')}/{name}" if in_namespace else name


ROLE_BINDINGS: Final = (
    NAME,
    Column("Role", _role, "What may be done"),
    AGE,
    Column("Users", _subjects("User"), "Users who may", priority=1),
    Column("Groups", _subjects("Group"), "Groups that may", priority=1),
    Column("ServiceAccounts", _subjects("ServiceAccount"), "Accounts that may", priority=1),
)


def _requested_duration(request: JsonObject, _: float) -> str:
    seconds = at(request, "spec.expirationSeconds")
    return NONE if seconds is None else human_duration(seconds)


def _csr_condition(request: JsonObject, _: float) -> str:
    kinds = {one.get("type") for one in items_at(request, "status.conditions")}
    decided = next((kind for kind in ("Denied", "Approved") if kind in kinds), "Pending")
    failed = ["Failed"] if "Failed" in kinds else []
    issued = ["Issued"] if at(request, "status.certificate") else []
    return ",".join([decided, *failed, *issued])


CERTIFICATE_REQUESTS: Final = (
    NAME,
    AGE,
    Column("SignerName", text("spec.signerName", NONE), "Who is to sign"),
    Column("Requestor", text("spec.username"), "Who asked"),
    Column("RequestedDuration", _requested_duration, "For how long"),
    Column("Condition", _csr_condition, "What became of it"),
)


# --- the API itself ----------------------------------------------------------------------------------


def _api_service(api: JsonObject, _: float) -> str:
    service = at(api, "spec.service")
    return f"{service['namespace']}/{service['name']}" if service else "Local"


def _api_available(api: JsonObject, _: float) -> str:
    condition = get_condition(api, "Available") or {"status": "Unknown"}
    status, reason = condition["status"], condition.get("reason")
    return f"{status} ({reason})" if reason and status != "True" else str(status)


API_SERVICES: Final = (
    NAME,
    Column("Service", _api_service, "Who answers"),
    Column("Available", _api_available, "Whether it answers"),
    AGE,
)
LEASES: Final = (NAME, Column("Holder", text("spec.holderIdentity"), "Who has it"), AGE)
WEBHOOKS: Final = (NAME, Column("Webhooks", count("webhooks"), "How many", "integer"), AGE)


def _param_kind(policy: JsonObject, _: float) -> str:
    kind = at(policy, "spec.paramKind")
    return f"{kind['apiVersion']}/{kind['kind']}" if kind else UNSET


def _param_ref(binding: JsonObject, _: float) -> str:
    ref = at(binding, "spec.paramRef") or {}
    if ref.get("name"):
        return f"{ref.get('namespace') or '*'}/{ref['name']}"
    return selector_text(ref["selector"]) if ref.get("selector") else UNSET


ADMISSION_POLICIES: Final = (
    NAME,
    Column("Validations", count("spec.validations"), "How many rules", "integer"),
    Column("ParamKind", _param_kind, "What it is set by"),
    AGE,
)
ADMISSION_BINDINGS: Final = (
    NAME,
    Column("PolicyName", text("spec.policyName"), "The policy that is bound"),
    Column("ParamRef", _param_ref, "Where its settings are"),
    AGE,
)


# --- priorities --------------------------------------------------------------------------------------

PRIORITY_CLASSES: Final = (
    NAME,
    Column("Value", number("value"), "The priority itself", "integer"),
    Column("Global-Default", flag("globalDefault"), "Holds for pods that name none", "boolean"),
    AGE,
    Column("PreemptionPolicy", text("preemptionPolicy"), "Whether it displaces others"),
)
RUNTIME_CLASSES: Final = (NAME, Column("Handler", text("handler"), "Runtime on the node"), AGE)


def _missing_level(schema: JsonObject, _: float) -> str:
    return str((get_condition(schema, "Dangling") or {}).get("status") or "?")


FLOW_SCHEMAS: Final = (
    NAME,
    Column("PriorityLevel", text("spec.priorityLevelConfiguration.name"), "Where requests go"),
    Column("MatchingPrecedence", number("spec.matchingPrecedence"), "The least wins"),
    Column("DistinguisherMethod", text("spec.distinguisherMethod.type", NONE), "What makes a flow"),
    AGE,
    Column("MissingPL", _missing_level, "Whether that level is missing"),
)


def _limited(path: str) -> CellOf:
    def cell(level: JsonObject, _: float) -> Cell:
        value: Cell = at(level, f"spec.limited.{path}")
        return NONE if value is None else value

    return cell


PRIORITY_LEVELS: Final = (
    NAME,
    Column("Type", text("spec.type"), "Limited or Exempt"),
    Column("NominalConcurrencyShares", _limited("nominalConcurrencyShares"), "Share of all"),
    Column("Queues", _limited("limitResponse.queuing.queues"), "How many queues"),
    Column("HandSize", _limited("limitResponse.queuing.handSize"), "Queues of one flow"),
    Column("QueueLengthLimit", _limited("limitResponse.queuing.queueLengthLimit"), "Of a queue"),
    AGE,
)


# --- devices -----------------------------------------------------------------------------------------


def _claim_state(claim: JsonObject, _: float) -> str:
    deleted = ["deleted"] if at(claim, "metadata.deletionTimestamp") else []
    if at(claim, "status.allocation") is None:
        return ",".join(deleted or ["pending"])
    reserved = ["reserved"] if at(claim, "status.reservedFor") else []
    return ",".join([*deleted, "allocated", *reserved])


RESOURCE_CLAIMS: Final = (NAME, Column("State", _claim_state, "What it is at"), AGE)
RESOURCE_SLICES: Final = (
    NAME,
    Column("Node", text("spec.nodeName"), "Where the devices are"),
    Column("Driver", text("spec.driver"), "Who drives them"),
    Column("Pool", text("spec.pool.name"), "The pool they belong to"),
    AGE,
)
