"""Cases: tokens of service accounts, certificate requests, bindings, and what no container answers."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import Case, Step, get, post

_API: Final = "/api/v1/namespaces/{ns}"
_TOKEN: Final = f"{_API}/serviceaccounts/robot/token"
_REVIEWS: Final = "/apis/authentication.k8s.io/v1"
_ACCOUNT: Final = post(f"{_API}/serviceaccounts", {"metadata": {"name": "robot"}}, compare=False)
_SECRET: Final = post(f"{_API}/secrets", {"metadata": {"name": "s"}}, compare=False)
_MADE: Final = ("status.token", "status.expirationTimestamp", "metadata.uid")
#: the token itself, and by which one somebody signed in
_REVIEWED: Final = (
    "spec.token",
    "status.user.uid",
    "status.user.extra",
    "status.userInfo.uid",
    "status.userInfo.extra",
)
_CONTAINERS: Final = [{"name": "a", "image": "x"}, {"name": "b", "image": "x"}]
_POD: Final = post(
    f"{_API}/pods",
    # no scheduler may bind it: the cases do, or ask what one without a node answers
    {"metadata": {"name": "p"}, "spec": {"containers": _CONTAINERS, "schedulerName": "none"}},
    compare=False,
)
_LOG: Final = f"{_API}/pods/p/log"
_BINDING: Final = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "none"}}


def _request(name: str, path: str = _TOKEN, **spec: Any) -> Case:
    return Case(f"tokens: {name}", [_ACCOUNT, _SECRET, post(path, {"spec": spec}, mask=_MADE)])


def _pod(name: str, *steps: Step) -> Case:
    return Case(f"pods: {name}", [_ACCOUNT, _POD, *steps])


_BOUND: Final = {"kind": "Secret", "apiVersion": "v1", "name": "s"}

CASES: Final[list[Case]] = [
    _request("of a moment"),
    _request("for somebody else", audiences=["vault"], expirationSeconds=700),
    _request("bound to a secret", boundObjectRef=_BOUND),
    _request("too short", expirationSeconds=1),
    _request("too long", expirationSeconds=1 << 33),
    _request("bound to what cannot be", boundObjectRef={"kind": "Foo", "name": "x"}),
    _request("bound to what is not there", boundObjectRef={**_BOUND, "name": "none"}),
    _request("of no account", f"{_API}/serviceaccounts/none/token"),
    Case("tokens: read", [_ACCOUNT, get(_TOKEN)]),
    Case(
        "tokens: review",
        [
            _ACCOUNT,
            post(_TOKEN, {"spec": {}}, mask=_MADE),
            post(
                f"{_REVIEWS}/tokenreviews",
                {"spec": {"token": "{1.status.token}"}},
                mask=_REVIEWED,
            ),
        ],
    ),
    Case(
        "tokens: review for an audience",
        [
            _ACCOUNT,
            post(_TOKEN, {"spec": {"audiences": ["vault"]}}, mask=_MADE),
            post(
                f"{_REVIEWS}/tokenreviews",
                {"spec": {"token": "{1.status.token}", "audiences": ["x", "vault"]}},
                mask=_REVIEWED,
            ),
        ],
    ),
    Case(
        "tokens: who am I",
        [
            _ACCOUNT,
            post(_TOKEN, {"spec": {}}, mask=_MADE),
            post(
                f"{_REVIEWS}/selfsubjectreviews",
                {},
                headers={"Authorization": "Bearer {1.status.token}"},
                credentials=False,
                mask=_REVIEWED,
            ),
        ],
    ),
    Case(
        "tokens: of an account that has gone",
        [
            _ACCOUNT,
            post(_TOKEN, {"spec": {}}, mask=_MADE),
            Step("DELETE", f"{_API}/serviceaccounts/robot", compare=False),
            get(
                "/version",
                headers={"Authorization": "Bearer {1.status.token}"},
                credentials=False,
                until=lambda answer: answer.status == 401,
            ),
        ],
    ),
    _pod("log, no container named", get(_LOG)),
    _pod("log, no such container", get(f"{_LOG}?container=z")),
    _pod("log, no lines", get(f"{_LOG}?container=a&tailLines=-1")),
    _pod("log, since no time", get(f"{_LOG}?container=a&sinceSeconds=0")),
    _pod("log, no bytes", get(f"{_LOG}?container=a&limitBytes=0")),
    _pod("log of none", get(f"{_API}/pods/none/log")),
    _pod("exec before it has a node", post(f"{_API}/pods/p/exec?container=a&command=ls", None)),
    _pod("exec, no container named", post(f"{_API}/pods/p/exec?command=ls", None)),
    _pod("attach before it has a node", post(f"{_API}/pods/p/attach?container=a&stdout=1", None)),
    _pod("bound", post(f"{_API}/bindings", _BINDING), post(f"{_API}/bindings", _BINDING)),
    _pod("bound by its subresource", post(f"{_API}/pods/p/binding", _BINDING)),
    _pod(
        "exec without an upgrade",
        post(f"{_API}/pods/p/binding", _BINDING),
        post(f"{_API}/pods/p/exec?container=a&command=ls&stdout=1", None),
    ),
]
