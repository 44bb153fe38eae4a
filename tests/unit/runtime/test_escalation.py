"""Nobody grants what he does not have: which rules cover which, and who may write roles and bindings."""

from __future__ import annotations

from typing import Any

import pytest

from capim.api.errors import APIError
from capim.api.identity import AUTHENTICATED, MASTERS, User
from capim.runtime.escalation import Escalation
from capim.runtime.rbac import RoleBased
from tests.support.served import make_group, resource

RBAC = "rbac.authorization.k8s.io"
LENA = User("lena", (AUTHENTICATED,))
READ_PODS = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}
WRITE_PODS = {"verbs": ["get", "delete"], "apiGroups": [""], "resources": ["pods"]}
PATHS = {"verbs": ["get"], "nonResourceURLs": ["/a/*"]}


def judge(*held: Any) -> Escalation:
    """Judge in a cluster where lena has rules in every namespace."""
    group = make_group()
    role = {"metadata": {"name": "held"}, "rules": list(held)}
    group.create(resource("clusterroles", RBAC), "", role)
    group.create(resource("clusterrolebindings", RBAC), "", binding("held", "ClusterRole", "held"))
    return Escalation(RoleBased(group))


def role(*rules: Any, **metadata: Any) -> Any:
    return {"metadata": {"name": "r", "namespace": "default", **metadata}, "rules": list(rules)}


def binding(name: str, kind: str, to: str) -> Any:
    return {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": to},
        "subjects": [{"kind": "User", "name": "lena"}],
    }


def refusal(judged: Escalation, plural: str, body: Any, old: Any = None, user: User = LENA) -> str:
    """Return why a write is refused; empty where it passes."""
    try:
        judged.check(user, resource(plural, RBAC), body, old)
    except APIError as error:
        return error.message
    return ""


@pytest.mark.parametrize(
    ("wanted", "missing"),
    [
        pytest.param(READ_PODS, "", id="what-one-has"),
        pytest.param({**READ_PODS, "resourceNames": ["x"]}, "", id="one-name-of-it"),
        pytest.param(
            WRITE_PODS, '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}', id="another-verb"
        ),
        pytest.param(
            {**READ_PODS, "resources": ["pods/log"]},
            '{APIGroups:[""], Resources:["pods/log"], Verbs:["get" "list"]}',
            id="a-subresource",
        ),
        pytest.param(
            {**READ_PODS, "apiGroups": ["*"], "verbs": ["get"], "resourceNames": ["a"]},
            '{APIGroups:["*"], Resources:["pods"], ResourceNames:["a"], Verbs:["get"]}',
            id="every-group",
        ),
        pytest.param({"verbs": ["get"], "nonResourceURLs": ["/a/b"]}, "", id="a-path-below"),
        pytest.param(
            {"verbs": ["get"], "nonResourceURLs": ["/*"]},
            '{NonResourceURLs:["/*"], Verbs:["get"]}',
            id="more-paths",
        ),
    ],
)
def test_a_role_holds_no_more_than_its_writer(wanted: Any, missing: str) -> None:
    told = refusal(judge(READ_PODS, PATHS), "roles", role(wanted))
    assert told.rpartition("\n")[2] == missing


def test_a_right_to_one_name_is_no_right_to_all() -> None:
    assert refusal(judge({**READ_PODS, "resourceNames": ["x"]}), "roles", role(READ_PODS))


def test_a_change_that_is_the_garbage_collectors_passes() -> None:
    before = role(WRITE_PODS)
    assert not refusal(judge(), "roles", role(WRITE_PODS, finalizers=["a.b/c"]), before)
    assert refusal(judge(), "roles", role(WRITE_PODS, labels={"a": "b"}), before)


def test_who_may_escalate_writes_any_role_and_who_may_bind_any_binding() -> None:
    verbs = {"verbs": ["escalate", "bind"], "apiGroups": [RBAC], "resources": ["clusterroles"]}
    wide, judged = role(WRITE_PODS), judge(verbs)
    del wide["metadata"]["namespace"]
    assert not refusal(judged, "clusterroles", wide)
    assert refusal(judged, "roles", role(WRITE_PODS))
    assert not refusal(judged, "clusterrolebindings", binding("b", "ClusterRole", "held"))
    assert not refusal(judged, "clusterrolebindings", binding("b", "ClusterRole", "any"))


def test_a_binding_gives_no_more_than_its_writer_has() -> None:
    judged = judge(READ_PODS)
    assert not refusal(judged, "clusterrolebindings", binding("b", "ClusterRole", "held"))
    assert "not found" in refusal(judged, "clusterrolebindings", binding("b", "ClusterRole", "no"))
    assert "unsupported" in refusal(judged, "clusterrolebindings", binding("b", "Roll", "held"))


def test_an_aggregated_role_takes_all_rights() -> None:
    gathers = {"metadata": {"name": "r"}, "aggregationRule": {"clusterRoleSelectors": [{}]}}
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    assert "aggregationRule" in refusal(judge(READ_PODS), "clusterroles", gathers)
    assert not refusal(judge(everything), "clusterroles", gathers)


def test_an_administrator_grants_anything() -> None:
    admin = User("admin", (MASTERS, AUTHENTICATED))
    assert not refusal(judge(), "roles", role(WRITE_PODS), user=admin)


def test_what_is_no_role_is_not_looked_at() -> None:
    judge().check(LENA, resource("pods"), {"metadata": {"name": "p"}}, None)
