"""Cases: paths that are no resources, and computed parts of the control plane."""

from __future__ import annotations

from typing import Final

from tests.conformance.case import Case, Step, get

#: of a build, not of a behaviour
_BUILD: Final = ("gitCommit", "gitTreeState", "gitVersion", "goVersion", "buildDate")

_READ: Final = [
    "/healthz",
    "/livez",
    "/readyz",
    "/healthz?verbose",
    "/livez?verbose",
    "/readyz?verbose",
    "/readyz?verbose&exclude=etcd",
    "/livez?exclude=none&verbose",
    "/livez?verbose=false",
    "/livez/ping",
    "/readyz/etcd?verbose",
    "/readyz/shutdown",
    "/livez/shutdown",
    "/healthz/poststarthook/rbac/bootstrap-roles",
    "/healthz/none",
    "/healthz/",
    "/version/x",
    "/none",
    "/logs",
    "/openapi",
    "/openapi/v3/",
    "/openapi/v3x",
    "/openapi/v3/api/v9",
    "/openid/v1",
    "/.well-known",
    "/api/none",
    "/api/v2",
    "/api/v2/pods",
    "/apis/none",
    "/apis/none/v1",
    "/apis/none/v1/things",
    "/apis/none/v1/things/x",
    "/apis/apps/v9",
    "/apis/apps/v9/things",
    "/apis/apps/v1/things",
    "/api/v1/things",
    "/api/v1/namespaces/default/things",
    "/api/v1/namespaces/default/pods/x/things",
    "/api/v1/componentstatuses/etcd-0",
    "/api/v1/componentstatuses/none",
    "/api/v1/nodes/none/proxy/",
    "/api/v1/namespaces/default/services/none/proxy/",
    "/api/v1/namespaces/default/pods/none/proxy/x/y",
]
_WRITTEN: Final = [
    ("POST", "/version"),
    ("DELETE", "/healthz"),
    ("POST", "/livez/etcd"),
    ("PUT", "/api"),
    ("PUT", "/apis/apps"),
    ("PUT", "/apis/apps/v1"),
    ("POST", "/none"),
    ("POST", "/apis/none/v1/things"),
    ("POST", "/openid/v1/jwks"),
    ("PATCH", "/api/v1/componentstatuses/x"),
    ("OPTIONS", "/api/v1/pods"),
]

CASES: Final[list[Case]] = [
    Case("paths: version", [get("/version", mask=_BUILD), get("/version/", mask=_BUILD)]),
    *(Case(f"paths: {path}", [get(path)]) for path in _READ),
    *(Case(f"paths: {method} {path}", [Step(method, path)]) for method, path in _WRITTEN),
    Case("paths: version without credentials", [get("/version", mask=_BUILD, credentials=False)]),
    Case("paths: readyz without credentials", [get("/readyz", credentials=False)]),
    Case(
        "paths: version with a bad token",
        [get("/version", credentials=False, headers={"Authorization": "Bearer x"})],
    ),
]
