"""Paths and methods to requests, as a kube-apiserver reads them."""

from __future__ import annotations

import pytest

from capim.api.errors import APIError
from capim.api.resources import WORKLOAD_RESOURCES
from capim.server.routes import PathInfo, RequestInfo, parse_query, parse_request


def parse(method: str, target: str) -> RequestInfo | PathInfo:
    return parse_request(WORKLOAD_RESOURCES, method, target)


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/api/v1/nodes", ("list", "nodes", "", None, "")),
        ("GET", "/api/v1/nodes//", ("list", "nodes", "", None, "")),
        ("GET", "/api/v1/nodes/a", ("get", "nodes", "", None, "a")),
        ("GET", "/api/v1/pods", ("list", "pods", "", None, "")),
        ("GET", "/api/v1/namespaces/x/pods", ("list", "pods", "", "x", "")),
        ("GET", "/api/v1/namespaces/x/pods/p", ("get", "pods", "", "x", "p")),
        ("GET", "/api/v1/namespaces/x/pods/p/log", ("get", "pods", "log", "x", "p")),
        ("GET", "/api/v1/namespaces", ("list", "namespaces", "", None, "")),
        ("GET", "/api/v1/namespaces/x", ("get", "namespaces", "", None, "x")),
        ("PUT", "/api/v1/namespaces/x/finalize", ("update", "namespaces", "finalize", None, "x")),
        ("PATCH", "/api/v1/namespaces/x/status", ("patch", "namespaces", "status", None, "x")),
        ("POST", "/api/v1/namespaces", ("create", "namespaces", "", None, "")),
        ("POST", "/api/v1/namespaces/x/pods/p/eviction", ("create", "pods", "eviction", "x", "p")),
        (
            "GET",
            "/api/v1/namespaces/x/pods/p/portforward",
            ("get", "pods", "portforward", "x", "p"),
        ),
        ("DELETE", "/api/v1/nodes/a", ("delete", "nodes", "", None, "a")),
        ("DELETE", "/api/v1/nodes", ("deletecollection", "nodes", "", None, "")),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/x/deployments/d/scale",
            ("patch", "deployments", "scale", "x", "d"),
        ),
        ("GET", "/api/v1/nodes?watch=1", ("watch", "nodes", "", None, "")),
        ("GET", "/api/v1/nodes?watch=true", ("watch", "nodes", "", None, "")),
        ("GET", "/api/v1/nodes?watch=t", ("watch", "nodes", "", None, "")),
        ("GET", "/api/v1/nodes?watch=false", ("list", "nodes", "", None, "")),
        ("GET", "/api/v1/watch/nodes", ("watch", "nodes", "", None, "")),
        ("GET", "/api/v1/watch/namespaces/x/pods", ("watch", "pods", "", "x", "")),
        (
            "GET",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
            ("get", "clusterroles", "", None, "system:node"),
        ),
    ],
)
def test_resource_request(method: str, target: str, expected: tuple[object, ...]) -> None:
    info = parse(method, target)
    assert isinstance(info, RequestInfo)
    got = (info.verb, info.resource.plural, info.subresource, info.namespace, info.name)
    assert got == expected


@pytest.mark.parametrize(
    "target",
    ["/", "/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/version", "/x/y/z/w"],
)
def test_other_paths_are_left_to_discovery(target: str) -> None:
    assert parse("GET", f"{target}?timeout=32s") == PathInfo(target, {"timeout": "32s"})


@pytest.mark.parametrize("target", ["/api/v1/", "/apis/apps/v1/"])
def test_slash_behind_a_group_version_is_ignored(target: str) -> None:
    assert parse("GET", target) == PathInfo(target.rstrip("/"))


@pytest.mark.parametrize(
    ("method", "target", "code"),
    [
        pytest.param("GET", "/api/v2/nodes", 404, id="version"),
        pytest.param("GET", "/apis/none/v1/nodes", 404, id="group"),
        pytest.param("GET", "/api/v1/nothing", 404, id="resource"),
        pytest.param("GET", "/api/v1/nodes/a/nothing", 404, id="subresource"),
        pytest.param("GET", "/api/v1/nodes/a/status/more", 404, id="too-deep"),
        pytest.param("GET", "/api/v1/pods/p", 404, id="name-without-namespace"),
        pytest.param("GET", "/api/v1/namespaces/x/nodes", 404, id="cluster-kind-in-namespace"),
        pytest.param("GET", "/api/v1//nodes", 404, id="empty-segment"),
        pytest.param("GET", "/api/v1/nodes/..", 404, id="dots"),
        pytest.param("GET", "/api/v1/nodes/%2e%2e", 404, id="escaped-dots"),
        pytest.param("GET", "/api/v1/namespaces/x%2Fpods/p", 404, id="escaped-slash"),
        pytest.param("GET", "/api/v1/nodes/a%00", 404, id="nul"),
        pytest.param("GET", "/api/v1/nodes/%ff", 404, id="not-utf8"),
        pytest.param("GET", "/api/v1/nodes/a%2541", 404, id="escaped-twice"),
        pytest.param("POST", "/api/v1/nodes/a", 405, id="create-with-name"),
        pytest.param("POST", "/api/v1/pods", 405, id="create-without-namespace"),
        pytest.param("PUT", "/api/v1/nodes", 405, id="update-without-name"),
        pytest.param("DELETE", "/api/v1/namespaces", 405, id="verb-not-served"),
        pytest.param("DELETE", "/api/v1/nodes/a/status", 405, id="subresource-verb"),
        pytest.param("OPTIONS", "/api/v1/nodes", 405, id="method"),
        pytest.param("POST", "/api/v1/watch/nodes", 405, id="watch-is-a-get"),
    ],
)
def test_refused(method: str, target: str, code: int) -> None:
    with pytest.raises(APIError) as caught:
        parse(method, target)
    assert caught.value.code == code


def test_deprecated_watch_of_one_object_selects_it() -> None:
    info = parse("GET", "/api/v1/watch/namespaces/x/pods/p?resourceVersion=7")
    assert (info.verb if isinstance(info, RequestInfo) else "") == "watch"
    assert info.query == {"resourceVersion": "7", "fieldSelector": "metadata.name=p"}


def test_deprecated_watch_of_one_object_selects_no_other() -> None:
    with pytest.raises(APIError, match="doesn't match requested name"):
        parse("GET", "/api/v1/watch/nodes/a?fieldSelector=metadata.name%3Db")


@pytest.mark.parametrize(
    ("text", "verb"),
    [("1", "watch"), ("", "watch"), ("yes", "watch"), ("0", "list"), ("False", "list")],
)
def test_an_option_that_is_there_means_yes(text: str, verb: str) -> None:
    info = parse("GET", f"/api/v1/nodes?watch={text}")
    assert (info.verb if isinstance(info, RequestInfo) else "") == verb


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("a=1&b=", {"a": "1", "b": ""}),
        ("labelSelector=a%20in%20%28b%2Cc%29", {"labelSelector": "a in (b,c)"}),
        ("a=x+y", {"a": "x y"}),
        ("a=1&a=2", {"a": "1"}),
        ("dryRun=All&dryRun=Some", {"dryRun": "All\nSome"}),
        ("verbose", {"verbose": ""}),
        ("&&=x", {}),
    ],
)
def test_query(text: str, expected: dict[str, str]) -> None:
    assert parse_query(text) == expected
