"""Admission reviews: what is asked and answered at which path. The rules themselves: test_infrastructure."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.admission import WEBHOOKS, MalformedReview, answer, json_patch_between

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

PREFIX = "infrastructure-cluster-x-k8s-io-v1alpha1-"
SLOW = {"behaviour": {"vm": {"provisioning": {"startupDuration": "9s"}}}}


def make(kind: str, spec: object, **metadata: object) -> JsonObject:
    return {
        "apiVersion": "infrastructure.cluster.x-k8s.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": "n", "namespace": "default", **metadata},
        "spec": spec,
    }


def review(
    obj: object, old: object = None, *, version: str = "v1", operation: str = "", **request: object
) -> JsonObject:
    operation = operation or ("CREATE" if old is None else "UPDATE")
    asked = {"uid": "u-1", "operation": operation, "object": obj, "oldObject": old, **request}
    return {
        "apiVersion": f"admission.k8s.io/{version}",
        "kind": "AdmissionReview",
        "request": asked,
    }


def ask(verb: str, question: object, kind: str = "InMemoryMachine") -> JsonObject:
    answered = answer(WEBHOOKS[f"/{verb}-{PREFIX}{kind.lower()}"], question)
    response: JsonObject = answered["response"]
    return response


def test_paths_are_the_originals_and_those_of_our_own_kinds() -> None:
    kinds = (
        "inmemorycluster",
        "inmemoryclustertemplate",
        "inmemoryfault",
        "inmemorymachine",
        "inmemorymachinepool",
        "inmemorymachinepooltemplate",
        "inmemorymachinetemplate",
    )
    assert sorted(WEBHOOKS) == sorted(
        f"/{verb}-{PREFIX}{kind}" for verb in ("mutate", "validate") for kind in kinds
    )


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_answers_in_the_version_of_the_question(version: str) -> None:
    question = review(make("InMemoryMachine", {}), version=version)
    assert answer(WEBHOOKS[f"/validate-{PREFIX}inmemorymachine"], question) == {
        "apiVersion": f"admission.k8s.io/{version}",
        "kind": "AdmissionReview",
        "response": {"uid": "u-1", "allowed": True},
    }


def test_mutate_patches_in_the_defaults() -> None:
    obj = make("InMemoryMachine", {"behaviour": {"vm": {"provisioning": {}}}})
    response = ask("mutate", review(obj))
    assert response["patchType"] == "JSONPatch"
    assert json.loads(base64.b64decode(response["patch"])) == [
        {"op": "add", "path": "/spec/behaviour/vm/provisioning/startupDuration", "value": "0s"}
    ]


def test_mutate_without_anything_to_add_patches_nothing() -> None:
    assert ask("mutate", review(make("InMemoryMachine", SLOW))) == {"uid": "u-1", "allowed": True}


def test_validate_refuses_with_a_status_that_names_every_field() -> None:
    provisioning = {"startupDuration": "soon", "startupJitter": "much"}
    obj = make("InMemoryMachine", {"behaviour": {"etcd": {"provisioning": provisioning}}})
    response = ask("validate", review(obj))
    assert response["allowed"] is False
    status = response["status"]
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert [cause["field"] for cause in status["details"]["causes"]] == [
        "spec.behaviour.etcd.provisioning.startupDuration",
        "spec.behaviour.etcd.provisioning.startupJitter",
    ]
    assert status["message"].startswith(
        'InMemoryMachine.infrastructure.cluster.x-k8s.io "n" is invalid: ['
    )


def template(spec: JsonObject, **annotations: str) -> JsonObject:
    return make("InMemoryMachineTemplate", {"template": {"spec": spec}}, annotations=annotations)


TOPOLOGY = {"topology.cluster.x-k8s.io/dry-run": ""}


@pytest.mark.parametrize(
    ("new", "dry_run", "allowed"),
    [
        pytest.param(template(SLOW), False, False, id="changed"),
        pytest.param(template(SLOW), True, False, id="a person's dry run"),
        pytest.param(template(SLOW, **TOPOLOGY), True, True, id="the topology controller's"),
        pytest.param(template(SLOW, **TOPOLOGY), False, False, id="annotated but meant"),
        pytest.param(template({}), False, True, id="unchanged"),
    ],
)
def test_templates_change_in_the_topology_controllers_dry_run_only(
    new: JsonObject, dry_run: bool, allowed: bool
) -> None:
    question = review(new, template({}), dryRun=dry_run)
    assert ask("validate", question, "InMemoryMachineTemplate")["allowed"] is allowed


def test_deletion_is_always_allowed() -> None:
    question = review(None, make("InMemoryMachine", SLOW), operation="DELETE")
    assert ask("validate", question) == {"uid": "u-1", "allowed": True}


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ([], "not an AdmissionReview"),
        ({"kind": "Pod"}, "not an AdmissionReview"),
        (review({}) | {"apiVersion": "admission.k8s.io/v2"}, "apiVersion must be"),
        ({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}, "no request with a uid"),
        (review({}, uid=7), "no request with a uid"),
        (review(None), "request.object is not an object"),
        (review(make("InMemoryCluster", {})), "of kind 'InMemoryCluster', not InMemoryMachine"),
        (
            review(make("InMemoryMachine", {}), operation="UPDATE"),
            "request.oldObject is not an object",
        ),
    ],
)
@pytest.mark.parametrize("verb", ["validate"])
def test_malformed(verb: str, question: object, message: str) -> None:
    with pytest.raises(MalformedReview, match=message):
        ask(verb, question)


NAMES = st.sampled_from(["spec", "metadata", "behaviour", "vm", "provisioning", "a/b", "c~d"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None)
@given(st.dictionaries(NAMES, JSON), st.sampled_from(["validate", "mutate"]))
def test_any_object_gets_an_answer(fields: dict[str, Any], verb: str) -> None:
    obj = {**fields, "kind": "InMemoryMachineTemplate"}
    response = ask(verb, review(obj, obj, dryRun=True), "InMemoryMachineTemplate")
    assert response["uid"] == "u-1"


def patched(value: Any, operations: list[JsonObject]) -> Any:
    """Apply operations that never touch the inside of a list: just enough RFC 6902 for this test."""
    root = {"": json.loads(json.dumps(value))}
    for operation in operations:
        names = operation["path"].split("/")[1:]
        unescaped = ["", *(name.replace("~1", "/").replace("~0", "~") for name in names)]
        target = root
        for name in unescaped[:-1]:
            target = target[name]
        if operation["op"] == "remove":
            del target[unescaped[-1]]
        else:
            target[unescaped[-1]] = operation["value"]
    return root[""]


@settings(deadline=None)
@given(JSON, JSON)
def test_patch_turns_one_value_into_the_other(before: Any, after: Any) -> None:
    result = patched(before, list(json_patch_between(before, after)))
    assert result == after
