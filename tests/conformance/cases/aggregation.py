"""Cases: what controllers of the control plane make of roles, definitions, APIServices and tokens."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import Answer, Case, delete, get, patch, post

_ROLES: Final = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
_SERVICES: Final = "/apis/apiregistration.k8s.io/v1/apiservices"
_DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_API: Final = "/api/v1/namespaces/{ns}"
_SELF: Final = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_LABEL: Final = {"{name}": "true"}


def _role(suffix: str, resource: str, **more: Any) -> dict[str, Any]:
    rules = [{"verbs": ["get"], "apiGroups": ["k.example"], "resources": [resource]}]
    return {"metadata": {"name": "{name}" + suffix, **more}, "rules": rules}


_SUM: Final = {
    "metadata": {"name": "{name}-sum"},
    "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": _LABEL}]},
    "rules": [],
}


def _with_rules(count: int) -> Any:
    return lambda answer: len(answer.body.get("rules") or ()) == count


def _remote(service: str, namespace: str = "{ns}") -> dict[str, Any]:
    return {
        "metadata": {"name": "v1.{name}.example.com"},
        "spec": {
            "group": "{name}.example.com",
            "version": "v1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": service, "namespace": namespace},
        },
    }


def _told(answer: Answer) -> bool:
    return bool(answer.at("status.conditions"))


def _definition(served: bool = True) -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object"}}
    return {
        "metadata": {"name": "things.{name}.example.com"},
        "spec": {
            "group": "{name}.example.com",
            "scope": "Cluster",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": schema},
                {"name": "v2", "served": served, "storage": False, "schema": schema},
            ],
        },
    }


def _secret(account: str, name: str = "t") -> dict[str, Any]:
    notes = {"kubernetes.io/service-account.name": account}
    return {
        "metadata": {"name": name, "annotations": notes},
        "type": "kubernetes.io/service-account-token",
    }


def _filled(answer: Answer) -> bool:
    return bool(answer.at("data.token"))


_ACCOUNT: Final = post(f"{_API}/serviceaccounts", {"metadata": {"name": "robot"}}, compare=False)
_KEPT: Final = ("data.token", "data.ca\\.crt", "data.namespace")
_REMOTE: Final = f"{_SERVICES}/v1.{{name}}.example.com"
_DEFINED: Final = f"{_DEFINITIONS}/things.{{name}}.example.com"

CASES: Final[list[Case]] = [
    Case(
        "aggregation: a role of others",
        [
            post(_ROLES, _SUM),
            post(_ROLES, _role("-a", "as", labels=_LABEL)),
            get(f"{_ROLES}/{{name}}-sum", until=_with_rules(1)),
            post(_ROLES, _role("-b", "bs", labels=_LABEL)),
            get(f"{_ROLES}/{{name}}-sum", until=_with_rules(2)),
            delete(f"{_ROLES}/{{name}}-a"),
            get(f"{_ROLES}/{{name}}-sum", until=_with_rules(1)),
        ],
        cleanup=(f"{_ROLES}/{{name}}-sum", f"{_ROLES}/{{name}}-a", f"{_ROLES}/{{name}}-b"),
    ),
    Case(
        "aggregation: a role that loses its label",
        [
            post(_ROLES, _SUM, compare=False),
            post(_ROLES, _role("-a", "as", labels=_LABEL), compare=False),
            get(f"{_ROLES}/{{name}}-sum", until=_with_rules(1), compare=False),
            patch(f"{_ROLES}/{{name}}-a", {"metadata": {"labels": None}}),
            get(f"{_ROLES}/{{name}}-sum", until=_with_rules(0), mask=("rules",)),
        ],
        cleanup=(f"{_ROLES}/{{name}}-sum", f"{_ROLES}/{{name}}-a"),
    ),
    Case(
        "aggregation: rules that nobody aggregates stay as they are written",
        [post(_ROLES, _role("", "as")), get(f"{_ROLES}/{{name}}")],
        cleanup=(f"{_ROLES}/{{name}}",),
    ),
    Case(
        "aggregation: an APIService without its service",
        [post(_SERVICES, _remote("none")), get(_REMOTE, until=_told), delete(_REMOTE)],
        cleanup=(_REMOTE,),
    ),
    Case(
        "aggregation: a definition is registered",
        [
            post(_DEFINITIONS, _definition(), compare=False),
            get(_REMOTE, until=_told),
            get(f"{_SERVICES}/v2.{{name}}.example.com", until=_told),
        ],
        cleanup=(_DEFINED,),
    ),
    Case(
        "aggregation: a version that is not served is not registered",
        [
            post(_DEFINITIONS, _definition(served=False), compare=False),
            get(_REMOTE, until=_told, compare=False),
            get(f"{_SERVICES}/v2.{{name}}.example.com"),
        ],
        cleanup=(_DEFINED,),
    ),
    Case(
        "aggregation: a secret gets its account's token",
        [
            _ACCOUNT,
            post(f"{_API}/secrets", _secret("robot")),
            get(f"{_API}/secrets/t", until=_filled, mask=_KEPT),
        ],
    ),
    Case(
        "aggregation: a secret of no account goes",
        [
            post(f"{_API}/secrets", _secret("nobody"), compare=False),
            get(f"{_API}/secrets/t", until=lambda answer: answer.status == 404),
        ],
    ),
    Case(
        "aggregation: a secret goes with its account",
        [
            _ACCOUNT,
            post(f"{_API}/secrets", _secret("robot"), compare=False),
            get(f"{_API}/secrets/t", until=_filled, compare=False),
            delete(f"{_API}/serviceaccounts/robot"),
            get(f"{_API}/secrets/t", until=lambda answer: answer.status == 404),
        ],
    ),
    Case(
        "aggregation: a token's secret that names no account",
        [post(f"{_API}/secrets", {**_secret("x"), "metadata": {"name": "t"}})],
    ),
    Case(
        "aggregation: what a secret says besides is kept",
        [
            _ACCOUNT,
            post(f"{_API}/secrets", {**_secret("robot"), "stringData": {"own": "kept"}}),
            get(f"{_API}/secrets/t", until=_filled, mask=_KEPT),
        ],
    ),
    Case(
        "aggregation: a token's secret is tried",
        [_ACCOUNT, post(f"{_API}/secrets?dryRun=All", _secret("robot")), get(f"{_API}/secrets/t")],
    ),
    Case(
        "aggregation: an account's secret is not listed in it",
        [
            _ACCOUNT,
            post(f"{_API}/secrets", _secret("robot"), compare=False),
            get(f"{_API}/secrets/t", until=_filled, compare=False),
            get(f"{_API}/serviceaccounts/robot"),
        ],
    ),
]
