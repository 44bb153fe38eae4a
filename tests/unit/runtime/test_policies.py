"""Policies: whose requests they are asked about, what they take, and their own status."""

from __future__ import annotations

from typing import Any

import pytest

from capim.api.errors import APIError
from capim.api.gvk import GVR
from capim.api.identity import User
from capim.runtime.policymatching import Request, takes
from capim.runtime.resourcegroup import ResourceGroup
from tests.support.groups import named, new_group

GROUP = "admissionregistration.k8s.io"
SOMEBODY = User("somebody", ("system:authenticated",))


@pytest.fixture
def group() -> ResourceGroup:
    made = new_group()
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["secrets"]}
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "object != null && object.metadata.name != 'bad'"}],
    }
    policies = made.resources.by_gvr(GVR(GROUP, "v1", "validatingadmissionpolicies"))
    bindings = made.resources.by_gvr(GVR(GROUP, "v1", "validatingadmissionpolicybindings"))
    assert policies is not None
    assert bindings is not None
    made.create(policies, "", named("p", spec=spec))
    binding = {"policyName": "p", "validationActions": ["Deny"]}
    made.create(bindings, "", named("b", spec=binding))
    return made


def secrets(group: ResourceGroup) -> Any:
    return group.resources.by_gvr(GVR("", "v1", "secrets"))


def test_status_says_that_a_policy_was_looked_at(group: ResourceGroup) -> None:
    policies = group.resources.by_gvr(GVR(GROUP, "v1", "validatingadmissionpolicies"))
    assert policies is not None
    status = group.get(policies, "", "p").json()["status"]
    assert status == {"observedGeneration": 1, "typeChecking": {}}


def test_the_simulations_own_writes_are_not_judged(group: ResourceGroup) -> None:
    assert group.create(secrets(group), "default", named("bad")).name == "bad"


def test_somebodys_writes_and_deletions_are(group: ResourceGroup) -> None:
    group.create(secrets(group), "default", named("good"))
    group.admitting.policies.user = SOMEBODY
    with pytest.raises(APIError, match="denied request: failed expression"):
        group.create(secrets(group), "default", named("bad"))
    with pytest.raises(APIError, match="denied request"):
        group.delete(secrets(group), "default", "good")
    assert group.get(secrets(group), "default", "good").name == "good"


@pytest.mark.parametrize(
    ("match", "taken"),
    [
        ({}, True),
        ({"resourceRules": [{"resources": ["*"]}]}, False),
        ({"namespaceSelector": {"matchLabels": {"a": "b"}}}, True),
        ({"namespaceSelector": {"matchLabels": {"a": "c"}}}, False),
        ({"objectSelector": {"matchLabels": {"x": "y"}}}, True),
        (
            {"objectSelector": {"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}},
            False,
        ),
    ],
)
def test_what_a_policy_takes(group: ResourceGroup, match: dict[str, Any], taken: bool) -> None:
    body = {"metadata": {"name": "s", "namespace": "default", "labels": {"x": "y"}}}
    request = Request.of(secrets(group), body, None, "", SOMEBODY)
    namespace = {"metadata": {"name": "default", "labels": {"a": "b"}}}
    assert takes(match, request, namespace) is taken


@pytest.mark.parametrize(
    ("patterns", "subresource", "taken"),
    [
        (["secrets"], "", True),
        (["secrets"], "status", False),
        (["secrets/status"], "status", True),
        (["*"], "status", False),
        (["*/*"], "status", True),
        (["secrets/*"], "scale", True),
        (["pods", "*/scale"], "scale", True),
    ],
)
def test_subresources_are_matched_by_name(
    group: ResourceGroup, patterns: list[str], subresource: str, taken: bool
) -> None:
    rule = {"apiGroups": [""], "operations": ["UPDATE"], "resources": patterns}
    body = {"metadata": {"name": "s", "namespace": "default"}}
    request = Request.of(secrets(group), body, body, subresource, SOMEBODY)
    assert takes({"resourceRules": [rule]}, request, None) is taken


VARIABLES = (("x", "1"), ("y", "variables.x == 1"))


def test_variables_have_the_types_of_their_expressions(group: ResourceGroup) -> None:
    policies = group.resources.by_gvr(GVR(GROUP, "v1", "validatingadmissionpolicies"))
    assert policies is not None
    spec = group.get(policies, "", "p").json()["spec"]
    spec["variables"] = [{"name": name, "expression": text} for name, text in VARIABLES]
    spec["validations"] = [{"expression": "variables.y"}]
    made = group.create(policies, "", named("q", spec=spec)).json()
    assert made["spec"]["variables"] == spec["variables"]
    spec["variables"].append({"name": "z", "expression": "variables.none"})
    spec["validations"] = [{"expression": "variables.x"}, {"expression": "variables.z"}]
    with pytest.raises(APIError) as caught:
        group.create(policies, "", named("r", spec=spec))
    causes = [cause["message"] for cause in (caught.value.details or {})["causes"]]
    assert "undefined field 'none'" in causes[0]
    assert [cause.rpartition(": ")[2] for cause in causes[1:]] == [
        "must evaluate to bool but got int",
        "must evaluate to bool but got dyn",
    ]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("params.a == 1", "1:1: undeclared reference to 'params'"),
        ("request.foo.bar == 1", "1:8: undefined field 'foo'"),
        ("request.name.size() > 0 && [1].a", "1:31: type 'list(int)' does not support"),
        ("request.namespace", "must evaluate to bool but got string"),
    ],
)
def test_expressions_are_checked_against_what_a_request_has(
    group: ResourceGroup, expression: str, told: str
) -> None:
    policies = group.resources.by_gvr(GVR(GROUP, "v1", "validatingadmissionpolicies"))
    assert policies is not None
    spec = group.get(policies, "", "p").json()["spec"] | {
        "validations": [{"expression": expression}]
    }
    with pytest.raises(APIError) as caught:
        group.create(policies, "", named("q", spec=spec))
    assert told in caught.value.message
    assert "*error*" not in caught.value.message


def test_policies_know_what_is_only_tried(group: ResourceGroup) -> None:
    policies = group.resources.by_gvr(GVR(GROUP, "v1", "validatingadmissionpolicies"))
    assert policies is not None
    body = group.get(policies, "", "p").json()
    body["spec"]["validations"] = [{"expression": "request.dryRun"}]
    group.update(policies, "", "p", body)
    group.admitting.policies.user = SOMEBODY
    with pytest.raises(APIError, match="denied request"):
        group.create(secrets(group), "default", named("a"))
    group.admitting.policies.dry_run = True
    assert group.create(secrets(group), "default", named("a"), dry_run=True).name == "a"
