"""ValidatingAdmissionPolicies: which requests they take, what they deny, how that is told."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import Answer, Case, Step, delete, get, patch, post
from tests.conformance.definitions import GROUP, ONE, WIDGETS, definition, served, widget

_GROUP: Final = "/apis/admissionregistration.k8s.io/v1"
_POLICIES: Final = f"{_GROUP}/validatingadmissionpolicies"
_BINDINGS: Final = f"{_GROUP}/validatingadmissionpolicybindings"
_POLICY: Final = f"{_POLICIES}/{{name}}"
_BINDING: Final = f"{_BINDINGS}/{{name}}"
_MAPS: Final = "/api/v1/namespaces/{ns}/configmaps"
_NAMESPACE: Final = {"matchLabels": {"kubernetes.io/metadata.name": "{ns}"}}


def _rule(*resources: str, **more: Any) -> dict[str, Any]:
    """Make a rule of configmaps, or of other resources."""
    return {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": list(resources) or ["configmaps"],
        **more,
    }


def _policy(*validations: str | dict[str, Any], rule: Any = None, **spec: Any) -> dict[str, Any]:
    made = [{"expression": it} if isinstance(it, str) else it for it in validations]
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "{name}"},
        "spec": {
            "matchConstraints": {"resourceRules": [rule or _rule()]},
            "validations": made,
            **spec,
        },
    }


def _binding(*actions: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "{name}"},
        "spec": {
            "policyName": "{name}",
            "validationActions": list(actions or ["Deny"]),
            "matchResources": {"namespaceSelector": _NAMESPACE},
            **spec,
        },
    }


def _map(name: str = "a", **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


def _works(answer: Answer) -> bool:
    """Tell whether the policy is in force: what it tries is denied, or warned of."""
    return answer.status == 422 or bool(answer.warnings)


def _in_force(
    policy: dict[str, Any], binding: dict[str, Any], tried: Step | None = None
) -> list[Step]:
    """Make a policy and its binding, and wait until it denies something."""
    probe = tried or post(f"{_MAPS}?dryRun=All", _map("probe", bad="x"))
    return [
        post(_POLICIES, policy, compare=False),
        post(_BINDINGS, binding, compare=False),
        Step(probe.method, probe.path, probe.body, until=probe.until or _works, compare=False),
    ]


def _case(name: str, steps: list[Step], *more: Step) -> Case:
    return Case(f"policies: {name}", [*steps, *more], (_BINDING, _POLICY))


_GOOD: Final = "!has(object.data) || !('bad' in object.data)"
_GOOD_POLICY: Final = _policy(_GOOD)
_BAD: Final = post(_MAPS, _map(bad="x"))
_FINE: Final = post(_MAPS, _map(good="x"))

CASES: Final[list[Case]] = [
    Case(
        "policies: policy and its status",
        [
            post(_POLICIES, _GOOD_POLICY),
            get(_POLICY, until=lambda answer: answer.at("status.observedGeneration") == 1),
            patch(_POLICY, {"spec": {"failurePolicy": "Ignore"}}),
            get(_POLICY, until=lambda answer: answer.at("status.observedGeneration") == 2),
            post(_BINDINGS, _binding()),
        ],
        (_BINDING, _POLICY),
    ),
    *(
        Case(
            f"policies: refused expression {expression}",
            [post(_POLICIES, _policy(expression))],
            (_POLICY,),
        )
        for expression in ("object.a ==", "object.a", "1", "nothing == 1", "object.a.shout()")
    ),
    Case(
        "policies: refused message expression",
        [post(_POLICIES, _policy({"expression": "true", "messageExpression": "1"}))],
        (_POLICY,),
    ),
    _case(
        "create and update are denied",
        _in_force(_GOOD_POLICY, _binding()),
        _BAD,
        _FINE,
        patch(f"{_MAPS}/a", {"data": {"bad": "y"}}),
        patch(f"{_MAPS}/a", {"data": {"z": "y"}}),
    ),
    _case(
        "other kinds and deletions are not asked about",
        _in_force(_policy("false"), _binding()),
        post("/api/v1/namespaces/{ns}/secrets", {"metadata": {"name": "s"}}),
        delete("/api/v1/namespaces/{ns}/secrets/s"),
    ),
    _case("warnings", _in_force(_GOOD_POLICY, _binding("Warn", "Audit")), _BAD, _FINE),
    _case(
        "messages and reasons",
        _in_force(
            _policy(
                {"expression": _GOOD, "message": " no bad ", "reason": "Forbidden"},
                {
                    "expression": "object.metadata.name != 'b'",
                    "messageExpression": "'not ' + object.metadata.name",
                },
            ),
            _binding(),
            post(f"{_MAPS}?dryRun=All", _map("b")),
        ),
        _BAD,
        post(_MAPS, _map("b")),
        post(_MAPS, _map("b", bad="x")),
    ),
    _case(
        "errors deny",
        _in_force(_policy("object.data.good == 'x'"), _binding()),
        post(_MAPS, {"metadata": {"name": "a"}}),
        _FINE,
    ),
    _case(
        "errors are let through",
        _in_force(_policy("object.data.bad == 'x' && false", failurePolicy="Ignore"), _binding()),
        post(_MAPS, {"metadata": {"name": "a"}}),
    ),
    _case(
        "variables and conditions",
        _in_force(
            _policy(
                "!variables.isBad",
                variables=[{"name": "isBad", "expression": "'bad' in object.data"}],
                matchConditions=[{"name": "has-data", "expression": "has(object.data)"}],
            ),
            _binding(),
        ),
        _BAD,
        _FINE,
        post(_MAPS, {"metadata": {"name": "b"}}),
    ),
    _case(
        "what is known of the request",
        _in_force(
            _policy(
                _GOOD,
                "request.operation == 'CREATE' && request.namespace == object.metadata.namespace",
                "request.resource.resource == 'configmaps' && request.kind.kind == 'ConfigMap'",
                "request.name == object.metadata.name && oldObject == null",
                "has(request.userInfo.username) && 'system:authenticated' in request.userInfo.groups",
                "namespaceObject.metadata.name == request.namespace",
            ),
            _binding(),
        ),
        _FINE,
        patch(f"{_MAPS}/a", {"data": {"z": "y"}}),
    ),
    _case(
        "what is only tried",
        _in_force(
            _policy("request.dryRun || !('bad' in object.data)"),
            _binding(),
            post(_MAPS, _map("p", bad="x")),
        ),
        post(f"{_MAPS}?dryRun=All", _map(bad="x")),
        _BAD,
        _FINE,
    ),
    _case(
        "old objects",
        _in_force(
            _policy(_GOOD, "oldObject == null || object.data.keep == oldObject.data.keep"),
            _binding(),
        ),
        post(_MAPS, _map(keep="x")),
        patch(f"{_MAPS}/a", {"data": {"keep": "y"}}),
        patch(f"{_MAPS}/a", {"data": {"z": "y"}}),
    ),
    _case(
        "labels select objects",
        _in_force(
            _policy("false"),
            _binding(
                matchResources={
                    "namespaceSelector": _NAMESPACE,
                    "objectSelector": {"matchLabels": {"a": "b"}},
                }
            ),
            post(f"{_MAPS}?dryRun=All", {"metadata": {"name": "c", "labels": {"a": "b"}}}),
        ),
        post(_MAPS, {"metadata": {"name": "c", "labels": {"a": "b"}}}),
        _FINE,
    ),
    Case(
        "policies: parameters",
        [
            *served(definition()),
            post(WIDGETS, widget("settings", most=3), compare=False),
            *_in_force(
                _policy(
                    "!has(object.data.size) || int(object.data.size) <= params.most",
                    paramKind={"apiVersion": f"{GROUP}/v1", "kind": "Widget"},
                ),
                _binding(
                    paramRef={
                        "name": "settings",
                        "namespace": "{ns}",
                        "parameterNotFoundAction": "Deny",
                    }
                ),
                post(
                    f"{_MAPS}?dryRun=All",
                    _map("probe", size="9"),
                    until=lambda answer: "failed expression" in str(answer.body),
                ),
            ),
            post(_MAPS, _map(size="2")),
            post(_MAPS, _map("b", size="4")),
            delete(f"{WIDGETS}/settings", compare=False),
            post(_MAPS, _map("c"), until=lambda answer: "no params" in str(answer.body)),
        ],
        (_BINDING, _POLICY, ONE),
    ),
    _case(
        "deletions",
        [
            post(_MAPS, {"metadata": {"name": "a", "labels": {"keep": "yes"}}}, compare=False),
            post(_MAPS, _map("b"), compare=False),
            *_in_force(
                _policy(
                    "!has(oldObject.metadata.labels) || !('keep' in oldObject.metadata.labels)",
                    rule=_rule(operations=["DELETE"]),
                ),
                _binding(),
                delete(f"{_MAPS}/a?dryRun=All"),
            ),
        ],
        delete(f"{_MAPS}/a"),
        delete(f"{_MAPS}/b"),
    ),
    _case(
        "other groups: a deployment's replicas",
        _in_force(
            _policy(
                "object.spec.replicas <= 2",
                rule=_rule("deployments", apiGroups=["apps"]),
            ),
            _binding(),
            post(
                "/apis/apps/v1/namespaces/{ns}/deployments?dryRun=All",
                {
                    "metadata": {"name": "d"},
                    "spec": {
                        "replicas": 3,
                        "selector": {"matchLabels": {"a": "b"}},
                        "template": {
                            "metadata": {"labels": {"a": "b"}},
                            "spec": {"containers": [{"name": "c", "image": "i"}]},
                        },
                    },
                },
            ),
        ),
        post(
            "/apis/apps/v1/namespaces/{ns}/deployments",
            {
                "metadata": {"name": "d"},
                "spec": {
                    "replicas": 3,
                    "selector": {"matchLabels": {"a": "b"}},
                    "template": {
                        "metadata": {"labels": {"a": "b"}},
                        "spec": {"containers": [{"name": "c", "image": "i"}]},
                    },
                },
            },
        ),
    ),
]
