"""Rules of role-based access control: what one covers, and whom a subject means."""

from __future__ import annotations

from typing import Any

import pytest

from capim.api.identity import User
from capim.runtime.authorization import Attributes
from capim.runtime.rbac import RoleBased, rule_allows
from tests.support.served import make_group, resource

ROBOT = User(
    "system:serviceaccount:team:robot",
    ("system:serviceaccounts", "system:serviceaccounts:team", "system:authenticated"),
)
RBAC = "rbac.authorization.k8s.io"


def rule(verbs: str, resources: str, groups: str = "", names: str = "") -> Any:
    return {
        "verbs": verbs.split(),
        "apiGroups": groups.split() or [""],
        "resources": resources.split(),
        "resourceNames": names.split(),
    }


@pytest.mark.parametrize(
    ("given", "asked", "allowed"),
    [
        (rule("get", "pods"), Attributes(ROBOT, "get", resource="pods"), True),
        (rule("list", "pods"), Attributes(ROBOT, "get", resource="pods"), False),
        (rule("*", "*", "*"), Attributes(ROBOT, "x", group="y", resource="z"), True),
        (rule("get", "pods"), Attributes(ROBOT, "get", resource="pods", subresource="log"), False),
        (
            rule("get", "*/scale", "apps"),
            Attributes(ROBOT, "get", group="apps", resource="x", subresource="scale"),
            True,
        ),
        (rule("get", "pods", names="a"), Attributes(ROBOT, "get", resource="pods", name="a"), True),
        (rule("get", "pods", names="a"), Attributes(ROBOT, "list", resource="pods"), False),
        (
            {"verbs": ["get"], "nonResourceURLs": ["/a/*"]},
            Attributes(ROBOT, "get", path="/a/b"),
            True,
        ),
        (
            {"verbs": ["get"], "nonResourceURLs": ["/a"]},
            Attributes(ROBOT, "get", path="/a/b"),
            False,
        ),
        (rule("*", "*", "*"), Attributes(ROBOT, "get", path="/a"), False),
    ],
)
def test_what_a_rule_covers(given: Any, asked: Attributes, allowed: bool) -> None:
    assert rule_allows(given, asked) is allowed


def bind(group: Any, subject: Any, role: str = "reader") -> None:
    body = {
        "metadata": {"generateName": "b-"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }
    group.create(resource("clusterrolebindings", RBAC), "", body)


@pytest.mark.parametrize(
    "subject",
    [
        {"kind": "User", "name": ROBOT.name},
        {"kind": "Group", "name": "system:serviceaccounts:team"},
        {"kind": "ServiceAccount", "namespace": "team", "name": "robot"},
    ],
)
def test_whom_a_subject_means(subject: Any) -> None:
    group = make_group()
    authorizer = RoleBased(group)
    asked = Attributes(ROBOT, "get", resource="pods")
    bind(group, subject)
    missing = authorizer.authorize(asked)
    assert missing == (False, f'RBAC: clusterrole.{RBAC} "reader" not found')
    role = {"metadata": {"name": "reader"}, "rules": [rule("get", "pods")]}
    group.create(resource("clusterroles", RBAC), "", role)
    decision = authorizer.authorize(asked)
    assert decision.allowed
    assert decision.reason.startswith('RBAC: allowed by ClusterRoleBinding "b-')
    assert f'of ClusterRole "reader" to {subject["kind"]} "' in decision.reason
    assert authorizer.rules(ROBOT, "team").resource == [
        {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
    ]
    changed = {"metadata": {"name": "reader"}, "rules": []}
    group.update(resource("clusterroles", RBAC), "", "reader", changed)
    assert not authorizer.authorize(asked).allowed


def test_masters_are_not_asked() -> None:
    authorizer = RoleBased(make_group())
    root = User("root", ("system:masters",))
    assert authorizer.authorize(Attributes(root, "get", path="/x")) == (True, "")
    assert not authorizer.authorize(Attributes(ROBOT, "get", path="/x")).allowed
