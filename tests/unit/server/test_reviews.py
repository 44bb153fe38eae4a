"""Reviews, impersonation and refusals: who asks, who may, and questions that make no sense."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from capim.api.identity import User
from capim.api.workload import Authorization
from capim.server.access import attributes_of
from tests.support.memory import MemoryClient, make_api
from tests.support.served import make_served, resource

ACCESS = "/apis/authorization.k8s.io/v1"
WHO = "/apis/authentication.k8s.io/v1"
PODS = {"verb": "get", "resource": "pods", "namespace": "default"}
BOB = User("bob", ("system:authenticated",))
RBAC = "rbac.authorization.k8s.io"


@pytest.fixture
def client() -> MemoryClient:
    return MemoryClient(make_api())


def guarded(peer: User = BOB, version: str = "v1.32.1") -> MemoryClient:
    """Return a client of a cluster in which bob may read pods of `default`, and nobody else anything."""
    served = replace(make_served(), kubernetes_version=lambda: version)
    readable = ["pods", "pods/log", "pods/portforward"]
    rules = [{"verbs": ["get", "list"], "apiGroups": [""], "resources": readable}]
    role = {"metadata": {"name": "reader"}, "rules": rules}
    served.group.create(resource("roles", RBAC), "default", role)
    reference = {"apiGroup": RBAC, "kind": "Role", "name": "reader"}
    subject = {"kind": "User", "apiGroup": RBAC, "name": "bob"}
    binding = {"metadata": {"name": "b"}, "roleRef": reference, "subjects": [subject]}
    served.group.create(resource("rolebindings", RBAC), "default", binding)
    return MemoryClient(make_api(replace(served, authorization=Authorization.RBAC)), peer)


def ask_access(client: MemoryClient, spec: Any, kind: str = "selfsubjectaccessreviews") -> Any:
    answer = client.ask("POST", f"{ACCESS}/{kind}", {"spec": spec})
    return answer.json()["status"] if answer.status == 201 else answer.json()


def test_who_am_i(client: MemoryClient) -> None:
    answer = client.ask("POST", f"{WHO}/selfsubjectreviews", {})
    assert answer.status == 201
    info = answer.json()["status"]["userInfo"]
    assert info["username"] == "kubernetes-admin"
    assert info["groups"] == ["system:masters", "system:authenticated"]


def test_everything_is_allowed_by_default(client: MemoryClient) -> None:
    assert ask_access(client, {"resourceAttributes": PODS}) == {"allowed": True}
    rules = client.ask(
        "POST", f"{ACCESS}/selfsubjectrulesreviews", {"spec": {"namespace": "x"}}
    ).json()["status"]
    assert rules["resourceRules"] == [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]


@pytest.mark.parametrize(
    ("kind", "spec", "field"),
    [
        ("selfsubjectaccessreviews", {}, "spec.resourceAttributes"),
        (
            "selfsubjectaccessreviews",
            {"resourceAttributes": PODS, "nonResourceAttributes": {"path": "/"}},
            "spec.nonResourceAttributes",
        ),
        ("subjectaccessreviews", {"resourceAttributes": PODS}, "spec.user"),
        (
            "subjectaccessreviews",
            {"user": "x", "resourceAttributes": PODS | {"fieldSelector": {}}},
            "spec.resourceAttributes.fieldSelector.requirements",
        ),
    ],
)
def test_questions_that_make_no_sense(
    client: MemoryClient, kind: str, spec: Any, field: str
) -> None:
    said = ask_access(client, spec, kind)
    assert said["code"] == 422
    assert [cause["field"] for cause in said["details"]["causes"]] == [field]


def test_local_review_is_of_its_namespace() -> None:
    path = f"{ACCESS}/namespaces/default/localsubjectaccessreviews"
    spec = {"user": "bob", "resourceAttributes": PODS}
    answer = guarded(User("root", ("system:masters",))).ask("POST", path, {"spec": spec})
    assert answer.json()["metadata"] == {"namespace": "default"}
    assert answer.json()["status"] == {
        "allowed": True,
        "reason": 'RBAC: allowed by RoleBinding "b/default" of Role "reader" to User "bob"',
    }


def test_roles_decide_what_passes() -> None:
    client = guarded()
    assert client.ask("GET", "/api/v1/namespaces/default/pods").status == 200
    refused = client.ask("GET", "/api/v1/namespaces/default/secrets/x")
    assert refused.status == 403
    assert refused.json()["message"] == (
        'secrets "x" is forbidden: User "bob" cannot get resource "secrets" in API group "" '
        'in the namespace "default"'
    )
    unknown = client.ask("GET", "/apis/none/v1/things").json()
    assert unknown["details"] == {"group": "none", "kind": "things"}
    assert client.ask("PUT", "/metrics").json()["details"] == {}


@pytest.mark.parametrize(("version", "status"), [("v1.34.9", 405), ("v1.35.0", 403)])
def test_a_tunnel_by_get_takes_the_right_to_create_from_1_35_on(version: str, status: int) -> None:
    client = guarded(version=version)  # whose server makes no tunnels
    path = "/api/v1/namespaces/default/pods/none/portforward?ports=80"
    assert client.ask("GET", path).status == status


def test_everybody_known_may_look_around_where_roles_decide() -> None:
    client = guarded()
    assert client.ask("GET", "/apis").status == 200
    assert client.ask("POST", f"{WHO}/selfsubjectreviews", {}).status == 201
    spec = {"user": "x", "groups": ["system:masters"], "nonResourceAttributes": {"path": "/x"}}
    root = guarded(User("root", ("system:masters",)))
    assert ask_access(root, spec, "subjectaccessreviews") == {"allowed": True}


def test_nobody_known_is_anonymous_where_roles_decide() -> None:
    client = MemoryClient(guarded().connection._application, None)
    refused = client.ask("GET", "/api/v1/nodes")
    assert refused.status == 403
    assert 'User "system:anonymous" cannot list' in refused.json()["message"]


def test_acting_as_somebody(client: MemoryClient) -> None:
    answer = client.ask(
        "POST",
        f"{WHO}/selfsubjectreviews",
        {},
        Impersonate_User="bob",
        Impersonate_Group="a,b",
        Impersonate_Extra_x_2fy="1",
    )
    info = answer.json()["status"]["userInfo"]
    assert info == {
        "username": "bob",
        "groups": ["a", "b", "system:authenticated"],
        "extra": {"x-2fy": ["1"]},
    }


def test_acting_as_an_account_brings_its_groups(client: MemoryClient) -> None:
    account = "system:serviceaccount:default:robot"
    answer = client.ask("POST", f"{WHO}/selfsubjectreviews", {}, Impersonate_User=account)
    groups = answer.json()["status"]["userInfo"]["groups"]
    assert groups[:2] == ["system:serviceaccounts", "system:serviceaccounts:default"]


def test_acting_as_a_group_alone_is_refused(client: MemoryClient) -> None:
    answer = client.ask("GET", "/api/v1/nodes", Impersonate_Group="x")
    assert answer.json()["message"] == "requested [{Group  x    }] without impersonating a user"


def test_acting_as_somebody_needs_a_role() -> None:
    refused = guarded().ask("GET", "/api/v1/nodes", Impersonate_User="alice")
    assert refused.status == 403
    assert 'cannot impersonate resource "users"' in refused.json()["message"]


@pytest.mark.parametrize(
    ("method", "target", "wanted"),
    [
        ("GET", "/version/", ("get", "", "", "", "", "/version/")),
        ("GET", "/apis/apps/v1", ("get", "", "", "", "", "/apis/apps/v1")),
        ("GET", "/api/v1/namespaces/x", ("get", "x", "namespaces", "", "x", "")),
        (
            "PUT",
            "/api/v1/namespaces/x/finalize",
            ("update", "x", "namespaces", "finalize", "x", ""),
        ),
        ("GET", "/api/v1/pods?watch=1", ("watch", "", "pods", "", "", "")),
        ("GET", "/api/v1/pods?fieldSelector=metadata.name%3Da", ("list", "", "pods", "", "a", "")),
        ("DELETE", "/api/v1/namespaces/x/pods", ("deletecollection", "x", "pods", "", "", "")),
        ("POST", "/api/v1/namespaces/x/pods/p/exec", ("create", "x", "pods", "exec", "p", "")),
        ("GET", "/api/v1/watch/namespaces/x/pods", ("watch", "x", "pods", "", "", "")),
    ],
)
def test_what_a_request_wants(method: str, target: str, wanted: tuple[str, ...]) -> None:
    asked = attributes_of(BOB, method, target)
    got = (asked.verb, asked.namespace, asked.resource, asked.subresource, asked.name, asked.path)
    assert got == wanted


def test_parts_of_a_control_plane_are_well(client: MemoryClient) -> None:
    listed = client.ask("GET", "/api/v1/componentstatuses")
    assert "deprecated" in listed.headers["Warning"]
    names = [item["metadata"]["name"] for item in listed.json()["items"]]
    assert names == ["scheduler", "controller-manager", "etcd-0"]
    assert client.ask("GET", "/api/v1/componentstatuses/etcd-0").json()["conditions"]
    missing = client.ask("GET", "/api/v1/componentstatuses/x").json()
    assert missing["message"] == 'componentstatus "x" not found'
