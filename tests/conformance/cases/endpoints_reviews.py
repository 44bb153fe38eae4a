"""Cases: reviews, impersonation and refusals; who asks, who may, and questions that make no sense."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import Case, Step, get, post

_ACCESS: Final = "/apis/authorization.k8s.io/v1"
_WHO: Final = "/apis/authentication.k8s.io/v1"
_SELF: Final = f"{_ACCESS}/selfsubjectaccessreviews"
_SUBJECT: Final = f"{_ACCESS}/subjectaccessreviews"
_LOCAL: Final = f"{_ACCESS}/namespaces/{{ns}}/localsubjectaccessreviews"
_PODS: Final = {"verb": "get", "resource": "pods", "namespace": "{ns}"}
_PATH: Final = {"path": "/healthz", "verb": "get"}
_MASTERS: Final = ["system:masters"]
_META: Final = "g=meta.k8s.io;v=v1"
#: what is asked -> a review that can be answered
_ASKED: Final = {
    _SELF: {"resourceAttributes": _PODS},
    _SUBJECT: {"user": "x", "resourceAttributes": _PODS},
    _LOCAL: {"user": "x", "resourceAttributes": _PODS},
    f"{_ACCESS}/selfsubjectrulesreviews": {"namespace": "{ns}"},
    f"{_WHO}/tokenreviews": {"token": "abc"},
    f"{_WHO}/selfsubjectreviews": {},
}
#: certificates differ, and so do the orders in which rules are found
_FORMS_MASK: Final = (
    *("status.user", "status.userInfo", "status.error"),
    *("status.resourceRules", "status.nonResourceRules"),
)
#: certificates differ, and so do the administrators' names
_CERTIFICATE: Final = ("status.userInfo.extra", "status.userInfo.username")


def _access(name: str, spec: Any, path: str = _SELF, **more: Any) -> Case:
    return Case(f"reviews: {name}", [post(path, {"spec": spec, **more})])


def _selector(name: str, selector: Any, kind: str = "fieldSelector") -> Case:
    return _access(name, {"resourceAttributes": {**_PODS, kind: selector}})


def _acting(name: str, **headers: str) -> Case:
    named = {f"Impersonate-{key.replace('_', '-')}": value for key, value in headers.items()}
    return Case(f"reviews: {name}", [post(f"{_WHO}/selfsubjectreviews", {}, headers=named)])


_REQUIREMENT: Final = {"key": "a", "operator": "In", "values": ["b"]}

CASES: Final[list[Case]] = [
    _access("self, a resource", {"resourceAttributes": _PODS}),
    _access("self, a subresource", {"resourceAttributes": {**_PODS, "subresource": "log"}}),
    _access("self, a path", {"nonResourceAttributes": _PATH}),
    _access("self, nothing", {}),
    _access("self, no attributes", {"resourceAttributes": {}}),
    _access("self, both", {"resourceAttributes": _PODS, "nonResourceAttributes": _PATH}),
    _access("self, dry run", {"resourceAttributes": _PODS}, f"{_SELF}?dryRun=All"),
    Case("reviews: self, no spec", [post(_SELF, {})]),
    Case("reviews: self, read", [get(_SELF)]),
    Case("reviews: self, read one", [get(f"{_SELF}/x")]),
    Case("reviews: self, put", [Step("PUT", _SELF, {})]),
    _selector("raw selector", {"rawSelector": "a=b"}),
    _selector("empty selector", {}),
    _selector(
        "raw selector and requirements", {"rawSelector": "a", "requirements": [_REQUIREMENT]}
    ),
    _selector("label selector", {"requirements": [_REQUIREMENT]}, "labelSelector"),
    _selector("empty label selector", {}, "labelSelector"),
    _selector(
        "unknown operator", {"requirements": [{"key": "a", "operator": "Foo"}]}, "labelSelector"
    ),
    _access(
        "subject in system:masters", {"groups": _MASTERS, "resourceAttributes": _PODS}, _SUBJECT
    ),
    _access(
        "subject with everything",
        {
            "user": "x",
            "uid": "1",
            "groups": _MASTERS,
            "extra": {"a": ["b"]},
            "nonResourceAttributes": _PATH,
        },
        _SUBJECT,
    ),
    _access("subject nobody", {"resourceAttributes": _PODS}, _SUBJECT),
    _access("subject nobody, nothing", {}, _SUBJECT),
    _access(
        "subject nobody, both",
        {"resourceAttributes": _PODS, "nonResourceAttributes": _PATH},
        _SUBJECT,
    ),
    _access("local", {"groups": _MASTERS, "resourceAttributes": _PODS}, _LOCAL),
    _access(
        "local, no namespace",
        {"user": "x", "resourceAttributes": {"verb": "get", "resource": "pods"}},
        _LOCAL,
    ),
    _access(
        "local, another namespace",
        {"user": "x", "resourceAttributes": {**_PODS, "namespace": "other"}},
        _LOCAL,
    ),
    _access("local, a path", {"user": "x", "nonResourceAttributes": _PATH}, _LOCAL),
    _access(
        "local, no namespace in the path",
        {"user": "x", "resourceAttributes": _PODS},
        f"{_ACCESS}/localsubjectaccessreviews",
    ),
    Case(
        "reviews: rules, no namespace", [post(f"{_ACCESS}/selfsubjectrulesreviews", {"spec": {}})]
    ),
    Case("reviews: who am I", [post(f"{_WHO}/selfsubjectreviews", {}, mask=_CERTIFICATE)]),
    Case(
        "reviews: a token that is none", [post(f"{_WHO}/tokenreviews", {"spec": {"token": "abc"}})]
    ),
    Case("reviews: no token", [post(f"{_WHO}/tokenreviews", {"spec": {}})]),
    *(
        Case(
            f"reviews: {path.rpartition('/')[2]} as {accept}",
            [
                post(
                    path,
                    {"spec": spec},
                    accept=accept,
                    mask=_FORMS_MASK,
                )
            ],
        )
        for path, spec in _ASKED.items()
        for accept in (
            f"application/json;as=Table;{_META}",
            f"application/json;as=PartialObjectMetadata;{_META}",
            f"application/json;as=Table;{_META},application/json",
            "application/yaml",
        )
    ),
    _acting("acting as a user", User="bob"),
    _acting("acting as a user of a group", User="bob", Group="g"),
    _acting("acting as a user with a uid", User="bob", Uid="1"),
    _acting("acting as a user with more", User="bob", Extra_Reason="because"),
    _acting("acting as an account", User="system:serviceaccount:default:default"),
    _acting("acting as an account that is none", User="system:serviceaccount:default"),
    _acting("acting as who is authenticated", User="bob", Group="system:authenticated"),
    _acting("acting as a group alone", Group="g"),
]
