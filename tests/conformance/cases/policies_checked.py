"""Expressions of ValidatingAdmissionPolicies that are checked when they are written."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import Case, post

_POLICIES: Final = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies?dryRun=All"
_RULE: Final = {
    "apiGroups": ["apps"],
    "apiVersions": ["v1"],
    "operations": ["CREATE"],
    "resources": ["deployments"],
}


def _case(*validations: str, spec: dict[str, Any] | None = None, **variables: str) -> Case:
    """Make a case that writes a policy of these expressions, with variables in their order."""
    body = {
        "metadata": {"name": "{name}"},
        "spec": {
            "matchConstraints": {"resourceRules": [_RULE]},
            "validations": [{"expression": it} for it in validations],
            "variables": [{"name": k, "expression": v} for k, v in variables.items()],
            **(spec or {}),
        },
    }
    told = [*validations, *(f"{k}: {v}" for k, v in variables.items()), *(spec or {})]
    return Case(f"policies checked: {'; '.join(told)}", [post(_POLICIES, body)])


_PARAMS: Final = {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}


def _condition(expression: str) -> dict[str, Any]:
    return {"matchConditions": [{"name": "a", "expression": expression}]}


CASES: Final = [
    *(
        _case(expression)
        for expression in (
            *("object.spec.paused", "oldObject", "dyn(1)", "1", "'a'", "[1, 2]", "{'a': 1.0}"),
            *("request.operation", "request.dryRun", "request.options.x", "request.foo == 1"),
            *("request.userInfo.foo == 1", "request.userInfo.username", "request.object.x"),
            *("'a' in request.userInfo.groups", "request.kind.foo"),
            *("namespaceObject.foo == 1", "namespaceObject.metadata.name"),
            *("namespaceObject.spec.finalizers", "namespaceObject.metadata.labels.size() > 0"),
            *("variables", "variables.y", "params.x", "[1, 2].foo"),
        )
    ),
    _case("variables.x", x="1"),
    _case("variables.x", x="object.spec.replicas"),
    _case("variables.x", x="object.spec.replicas > 1"),
    _case("variables.x", x="variables.y"),
    _case("variables.x.foo", x="[1, 2]"),
    _case("variables.x.exists(a, a == 1)", x="[1, 2]"),
    _case("variables.x.exists(a, a == 'x')", x="[1, 2]"),
    _case("variables.x.a == 1", x="{'a': 'b'}"),
    _case("variables.y", x="1", y="variables.x == 1"),
    _case("variables.y", x="1", y="variables.x == 'a'"),
    _case("variables.y", y="variables.x == 1", x="1"),
    _case("has(variables.y)", x="1"),
    _case("has(variables.x)", x="1"),
    _case("variables.x.name == 'a'", x="namespaceObject.metadata"),
    _case("params.x == 1", spec=_PARAMS),
    _case("true", spec=_condition("variables.x"), x="true"),
    _case("true", spec=_condition("request.name")),
    _case("1", spec=_condition("2"), x="variables.y"),
]
