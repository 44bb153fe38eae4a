"""Quotas that count only pods of some kinds."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import Answer, Case, Step, delete, get, post

_CORE: Final = "/api/v1/namespaces/{ns}"
_QUOTA: Final = f"{_CORE}/resourcequotas/q"
_IMAGE: Final = {"name": "a", "image": "i"}
_ASKING: Final = {"containers": [_IMAGE | {"resources": {"requests": {"cpu": "1"}}}]}
_ENDING: Final = {"activeDeadlineSeconds": 60}
_KEPT: Final = {"schedulerName": "nobody", "automountServiceAccountToken": False}
_CLASS: Final = {"scopeName": "PriorityClass", "operator": "In", "values": ["system-node-critical"]}
_TERM: Final = {"topologyKey": "x", "labelSelector": {"matchLabels": {"a": "b"}}}
_NEAR: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_ACROSS: Final = {"affinity": {"podAffinity": {_NEAR: [_TERM | {"namespaceSelector": {}}]}}}
_WITHIN: Final = {"affinity": {"podAffinity": {_NEAR: [_TERM]}}}
#: what is counted -> the quota's scopes, a pod that is counted, one that is not
_SCOPES: Final[dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]] = {
    "pods with a deadline": ({"scopes": ["Terminating"]}, _ENDING, {}),
    "pods without a deadline": ({"scopes": ["NotTerminating"]}, {}, _ENDING),
    "pods that ask for nothing": ({"scopes": ["BestEffort"]}, {}, _ASKING),
    "pods that ask for something": ({"scopes": ["NotBestEffort"]}, _ASKING, {}),
    "pods of a priority class": (
        {"scopeSelector": {"matchExpressions": [_CLASS]}},
        {"priorityClassName": "system-node-critical"},
        {},
    ),
    "pods that look across namespaces": (
        {"scopes": ["CrossNamespacePodAffinity"]},
        _ACROSS,
        _WITHIN,
    ),
}


def _pod(name: str, spec: dict[str, Any], **options: Any) -> Step:
    body = {"metadata": {"name": name}, "spec": {"containers": [_IMAGE], **_KEPT, **spec}}
    return post(f"{_CORE}/pods", body, **options)


def _used(count: int) -> Step:
    def there(answer: Answer) -> bool:
        return bool(answer.at("status.used.pods") == str(count))

    return get(_QUOTA, until=there)


def _case(name: str) -> Case:
    scope, inside, outside = _SCOPES[name]
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}, **scope}}
    steps = [
        post(f"{_CORE}/resourcequotas", quota, mask=("status",)),
        _used(0),
        _pod("outside", outside, compare=False),
        _pod("inside", inside, compare=False),
        _used(1),
        _pod("more", inside),
        _pod("other", outside, compare=False),
        delete(f"{_CORE}/pods/inside?gracePeriodSeconds=0", compare=False),
        _used(0),
    ]
    return Case(f"quotas: those that count {name}", steps)


CASES: Final = [_case(name) for name in _SCOPES]
