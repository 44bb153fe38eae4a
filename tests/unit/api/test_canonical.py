"""Objects come out as a typed server writes them."""

from typing import Any

import pytest

from capim.api.canonical import MismatchError, canonical
from capim.api.gvk import GVK

DEPLOYMENT = GVK("apps", "v1", "Deployment")


def test_unknown_and_empty_fields_go_and_structs_are_there() -> None:
    sent = {
        "metadata": {"name": "x", "anything": 1},
        "spec": {"typo": 1, "replicas": 0, "paused": False, "minReadySeconds": 0},
    }
    assert canonical(DEPLOYMENT, sent) == {
        "metadata": {"name": "x", "anything": 1},
        "spec": {
            "replicas": 0,
            "selector": None,
            "strategy": {},
            "template": {"metadata": {}, "spec": {"containers": None}},
        },
        "status": {},
    }


def test_custom_kind_is_left_alone() -> None:
    sent = {"metadata": {}, "spec": {"a": None}}
    assert canonical(GVK("x.io", "v1", "Thing"), sent) is sent


def test_given_object_is_not_changed() -> None:
    container: dict[str, Any] = {"name": "a", "resources": {"limits": {"cpu": "0.5"}}}
    made = canonical(GVK("", "v1", "Pod"), {"metadata": {}, "spec": {"containers": [container]}})
    assert made["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "500m"}
    assert container["resources"]["limits"] == {"cpu": "0.5"}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("x", "string into Go struct field Deployment.spec of type v1.DeploymentSpec"),
        (
            {"replicas": "3"},
            "string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            {"selector": {"matchLabels": {"a": 1}}},
            "number into Go struct field LabelSelector.spec.selector.matchLabels of type string",
        ),
        (
            {"template": {"spec": {"containers": {}}}},
            "object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container",
        ),
        (
            {"template": {"spec": {"containers": ["x"]}}},
            "string into Go struct field PodSpec.spec.template.spec.containers of type v1.Container",
        ),
        (
            {"template": {"spec": {"containers": [{"ports": [{"containerPort": 1.5}]}]}}},
            "number 1.5 into Go struct field "
            "ContainerPort.spec.template.spec.containers.ports.containerPort of type int32",
        ),
    ],
)
def test_wrong_type_is_told_with_its_path(spec: object, text: str) -> None:
    with pytest.raises(MismatchError) as caught:
        canonical(DEPLOYMENT, {"metadata": {}, "spec": spec})
    assert str(caught.value) == f"json: cannot unmarshal {text}"


def test_malformed_quantity_is_told_by_its_own_words() -> None:
    spec = {"template": {"spec": {"containers": [{"resources": {"limits": {"cpu": "zz"}}}]}}}
    with pytest.raises(MismatchError, match=r"^quantities must match"):
        canonical(DEPLOYMENT, {"metadata": {}, "spec": spec})


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("x", "cannot restore struct from: string"),
        ({"tolerations": "x"}, "cannot restore slice from string"),
        ({"nodeSelector": []}, "cannot restore map from slice"),
        ({"nodeName": 1}, "cannot convert int64 to string"),
        ({"nodeName": 1.5}, "unrecognized type: string"),
        ({"priority": 1.5}, "cannot convert float64 to int32"),
        ({"priority": {}}, "unrecognized type: int32"),
        ({"hostNetwork": 1}, "unrecognized type: bool"),
    ],
)
def test_what_is_converted_is_refused_in_other_words(spec: object, told: str) -> None:
    with pytest.raises(MismatchError) as caught:
        canonical(GVK("", "v1", "Pod"), {"metadata": {"name": "a"}, "spec": spec})
    assert caught.value.converted == told
