"""Defaults of built-in kinds."""

from typing import Any

import pytest

from capim.api.canonical import canonical
from capim.api.defaults import set_defaults
from capim.api.defaults.pods import pull_policy
from capim.api.gvk import GVK


def defaulted(gvk: GVK, plural: str, **fields: Any) -> dict[str, Any]:
    made = canonical(gvk, {"metadata": {"name": "x"}, **fields})
    set_defaults((gvk.group, plural), made)
    return made


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.2", "IfNotPresent"),
        ("localhost:5000/nginx", "Always"),
        ("nginx@sha256:abc", "IfNotPresent"),
        ("nginx:latest@sha256:abc", "Always"),
    ],
)
def test_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_pod_is_whole() -> None:
    containers = [{"name": "a", "image": "b:1", "resources": {"limits": {"cpu": "1"}}}]
    spec = defaulted(GVK("", "v1", "Pod"), "pods", spec={"containers": containers})["spec"]
    assert spec["containers"] == [
        {
            "name": "a",
            "image": "b:1",
            "imagePullPolicy": "IfNotPresent",
            "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
        }
    ]
    assert spec["enableServiceLinks"] is True
    assert spec["securityContext"] == {}
    assert spec["terminationGracePeriodSeconds"] == 30


def test_two_objects_share_no_default() -> None:
    first = defaulted(GVK("", "v1", "Pod"), "pods", spec={"containers": []})
    second = defaulted(GVK("", "v1", "Pod"), "pods", spec={"containers": []})
    first["spec"]["securityContext"]["runAsUser"] = 1
    assert second["spec"]["securityContext"] == {}


def test_given_values_stay() -> None:
    spec = {"replicas": 0, "strategy": {"type": "Recreate"}, "revisionHistoryLimit": 0}
    made = defaulted(GVK("apps", "v1", "Deployment"), "deployments", spec=spec)["spec"]
    assert (made["replicas"], made["revisionHistoryLimit"]) == (0, 0)
    assert made["strategy"] == {"type": "Recreate"}


def test_job_of_a_work_queue_has_no_completions() -> None:
    job = GVK("batch", "v1", "Job")
    assert "completions" not in defaulted(job, "jobs", spec={"parallelism": 3})["spec"]
    assert defaulted(job, "jobs", spec={})["spec"]["completions"] == 1


def test_limits_of_containers_follow_from_each_other() -> None:
    limits = [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}]
    made = defaulted(GVK("", "v1", "LimitRange"), "limitranges", spec={"limits": limits})
    item = made["spec"]["limits"][0]
    assert item["default"] == {"cpu": "2"}
    assert item["defaultRequest"] == {"cpu": "2", "memory": "1Mi"}
