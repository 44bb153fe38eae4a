"""ValidatingAdmissionPolicies: rules of a cluster's owner about what clients write and delete.

A policy is judged where a binding of it takes a request; the simulation's own writes are nobody's
request. Departures: no `authorizer`, no `request.options`, no audit annotations (nothing is audited),
no checking of expressions against the types of built-in kinds, and of several versions of a kind
the one that was sent is judged. Source: k8s.io/apiserver, `pkg/admission/plugin/policy`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from capim.api import errors
from capim.api.fielderrors import FieldError, invalid, refusal
from capim.runtime import cel
from capim.runtime.policymatching import Request, takes
from capim.runtime.policyparams import ConfigurationError, params_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from capim.api.identity import User
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.runtime.objects import Change, Stored
    from capim.runtime.store import Store

GROUP: Final = "admissionregistration.k8s.io"
POLICIES: Final = (GROUP, "validatingadmissionpolicies")
BINDINGS: Final = (GROUP, "validatingadmissionpolicybindings")
_CODES: Final = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413}
#: of a validation: its fields of expressions, and what they should come to
_OF_VALIDATIONS: Final = {"expression": "bool", "messageExpression": "string"}
_WHO: Final = "ValidatingAdmissionPolicy '{}' with binding '{}'"


class _Denial(NamedTuple):
    """Why a request is denied."""

    message: str
    reason: str = "Invalid"


class Policies:
    """The policies of one cluster."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._bindings = store.table(BINDINGS)
        self._changed: dict[str, None] = {}  # names of policies, an ordered set
        #: whose request is being answered; None: nobody's, so that no policy is asked
        self.user: User | None = None
        self.dry_run = False  #: that request is only tried

    @property
    def asked(self) -> bool:
        """Whether there are policies to ask about the request of somebody."""
        return self.user is not None and bool(len(self._bindings)) and cel.is_installed()

    def judge(
        self,
        resource: Resource,
        body: JsonObject | None,
        old: JsonObject | None,
        subresource: str = "",
    ) -> list[str]:
        """Ask the policies about a write, or without a body about a deletion.

        Returns: what the client should be warned of.

        Raises:
            APIError: the request is denied.
        """
        if self.user is None or resource.group_resource in _UNJUDGED:
            return []
        request = Request.of(resource, body, old, subresource, self.user)
        warnings: list[str] = []
        denied: tuple[str, _Denial] | None = None
        for stored in list(self._bindings.slice(0, len(self._bindings))):
            binding = stored.json()
            policy = self._store.table(POLICIES).get(binding["spec"]["policyName"])
            if policy is None:
                continue
            who = _WHO.format(policy.name, stored.name)
            actions = binding["spec"].get("validationActions") or ()
            for denial in self._denials(policy.json()["spec"], binding["spec"], request):
                if "Warn" in actions:
                    warnings.append(f"Validation failed for {who}: {denial.message}")
                if "Deny" in actions and denied is None:
                    denied = who, denial
        if denied is not None:
            raise _refusal(request, *denied)
        return warnings

    def _denials(
        self, policy: JsonObject, binding: JsonObject, request: Request
    ) -> Iterator[_Denial]:
        namespace = self._namespace_of(request)
        if not takes(policy.get("matchConstraints") or {}, request, namespace):
            return
        if not takes(binding.get("matchResources") or {}, request, namespace):
            return
        try:
            found = params_of(self._store, policy, binding, request.namespace)
        except ConfigurationError as error:
            if policy.get("failurePolicy") != "Ignore":
                yield _Denial(f"failed to configure binding: {error}")
            return
        for params in found:
            data = request.data(dry_run=self.dry_run) | {
                "params": params,
                "namespaceObject": namespace,
            }
            yield from _judged(policy, data)

    def _namespace_of(self, request: Request) -> JsonObject | None:
        if not request.namespace or request.resource.group_resource == _NAMESPACES:
            return None
        stored = self._store.table(_NAMESPACES).get(request.namespace)
        return None if stored is None else stored.json()

    # --- the policies themselves ---------------------------------------------------------------------

    def check_policy(self, resource: Resource, body: JsonObject) -> None:
        """Refuse a policy whose expressions cannot be judged. Raises APIError: Invalid."""
        if cel.is_installed() and (faults := [*_expression_faults(body["spec"])]):
            raise refusal(resource, body["metadata"]["name"], faults)

    def observe(self, change: Change) -> None:
        """Note that a policy changed."""
        if change.stored.resource.group_resource == POLICIES:
            self._changed[change.stored.name] = None

    def settle(self) -> None:
        """Say in the status of policies which generation was looked at."""
        while self._changed:
            name, _ = self._changed.popitem()
            stored = self._store.table(POLICIES).get(name)
            if stored is not None and not stored.deleting:
                self._say_looked_at(stored)

    def _say_looked_at(self, stored: Stored) -> None:
        body = stored.json()
        status: JsonObject = body.get("status") or {}
        generation = body["metadata"].get("generation")
        if status.get("observedGeneration") != generation:
            status = {**status, "observedGeneration": generation, "typeChecking": {}}
            self._store.commit("MODIFIED", stored.resource, body | {"status": status}, stored)


_NAMESPACES: Final = ("", "namespaces")
#: what could lock its owner out
_UNJUDGED: Final = frozenset({POLICIES, BINDINGS})


def _refusal(request: Request, who: str, denial: _Denial) -> errors.APIError:
    message = f"{who} denied request: {denial.message}"
    resource = request.resource
    error = errors.forbidden(resource.plural, resource.group, request.name, message)
    details = {**(error.details or {}), "causes": [{"message": message}]}
    code = _CODES.get(denial.reason, 422)
    return errors.APIError(denial.reason, code, error.message, details=details)


# --- expressions ------------------------------------------------------------------------------------


def _judged(policy: JsonObject, data: dict[str, Any]) -> Iterator[_Denial]:
    """Yield what a policy's validations deny; an error denies where the policy says so."""
    fails = policy.get("failurePolicy") != "Ignore"
    for condition in policy.get("matchConditions") or ():
        value, error = _run(condition["expression"], data)
        if error:
            if fails:
                yield _Denial(error)
            return
        if value is not True:
            return
    variables: dict[str, Any] = {}
    data["variables"] = variables
    for variable in policy.get("variables") or ():
        value, error = _run(variable["expression"], data)
        if not error:  # whoever uses it learns that it is not there
            variables[variable["name"]] = value
    for validation in policy.get("validations") or ():
        value, error = _run(validation["expression"], data)
        if error and fails:
            yield _Denial(error)
        elif not error and value is not True:
            yield _Denial(_message(validation, data), validation.get("reason") or "Invalid")


def _run(expression: str, data: Mapping[str, Any]) -> tuple[Any, str]:
    programs = importlib.import_module("capim.runtime.cel.programs")
    value, error = programs.run(expression, data)
    return value, error and f"expression '{expression}' resulted in error: {error}"


def _message(validation: JsonObject, data: Mapping[str, Any]) -> str:
    if expression := validation.get("messageExpression"):
        told, _ = _run(expression, data)
        if isinstance(told, str) and told.strip() and "\n" not in told.strip():
            return told.strip()
    expression = validation["expression"].strip()
    return (validation.get("message") or "").strip() or f"failed expression: {expression}"


def _expression_faults(spec: JsonObject) -> Iterator[FieldError]:
    """Yield what is wrong with expressions; conditions are asked before there are variables."""
    checks = importlib.import_module("capim.runtime.cel.policychecks")
    checker = checks.PolicyChecker(has_params=bool(spec.get("paramKind")))
    yield from _wrong(checker, spec, "matchConditions", {"expression": "bool"})
    variables = spec.get("variables") or ()
    for index, why in checker.declare(variables):
        path = f"spec.variables[{index}].expression"
        yield invalid(path, variables[index]["expression"], why)
    yield from _wrong(checker, spec, "validations", _OF_VALIDATIONS)


def _wrong(
    checker: Any, spec: JsonObject, key: str, wanted: Mapping[str, str]
) -> Iterator[FieldError]:
    for field, kind in wanted.items():
        for index, item in enumerate(spec.get(key) or ()):
            if item.get(field) and (why := checker.check(item[field], kind)):
                yield invalid(f"spec.{key}[{index}].{field}", item[field], why)
