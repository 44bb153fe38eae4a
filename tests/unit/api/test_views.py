"""Views: an object goes to its stored form and back unchanged, and only the stored form is kept."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import pytest

from capim.api.errors import APIError
from capim.api.gvk import GVR
from capim.api.resources import WORKLOAD_RESOURCES
from capim.api.views import is_view, shown_object, stored_object
from capim.runtime.kinds.rules import BuiltinRules
from capim.runtime.resourcegroup import PatchType, ResourceGroup
from capim.wire.selectors import FieldSelector


def _resource(group: str, version: str, plural: str) -> Any:
    return WORKLOAD_RESOURCES.by_gvr(GVR(group, version, plural))


CORE = _resource("", "v1", "events")
EVENTS = _resource("events.k8s.io", "v1", "events")
SCALERS = _resource("autoscaling", "v2", "horizontalpodautoscalers")
SCALERS_V1 = _resource("autoscaling", "v1", "horizontalpodautoscalers")

EVENT = {
    "metadata": {"name": "e"},
    "eventTime": "2026-01-02T03:04:05.000006Z",
    "reason": "R",
    "action": "A",
    "type": "Normal",
    "note": "n",
    "reportingController": "c",
    "reportingInstance": "i",
    "regarding": {"kind": "Pod", "namespace": "default", "name": "p"},
}


@pytest.fixture
def group() -> ResourceGroup:
    numbers = itertools.count()
    return ResourceGroup(
        WORKLOAD_RESOURCES,
        clock=lambda: 1_700_000_000.0,
        new_uid=lambda: str(uuid.UUID(int=next(numbers), version=4)),
        first_version=1,
        require_namespace=False,
        rules=BuiltinRules(service_cidr="10.0.0.0/24"),
    )


def test_every_view_of_the_table_has_a_storage_that_is_served() -> None:
    views = [resource for resource in WORKLOAD_RESOURCES if is_view(resource)]
    assert {view.group for view in views} == {"events.k8s.io", "autoscaling"}
    for view in views:
        assert view.storage is not None
        stored = WORKLOAD_RESOURCES.by_gvk(view.storage)
        assert stored is not None
        assert stored.group_resource == view.group_resource


def test_an_event_goes_there_and_back() -> None:
    head = {"apiVersion": EVENTS.api_version, "kind": "Event"}
    stored = stored_object(EVENTS, head | EVENT)
    assert stored["apiVersion"] == "v1"
    assert stored["message"] == "n"
    shown = shown_object(EVENTS, stored)
    assert {key: shown[key] for key in EVENT} == EVENT


def test_what_is_kept_is_the_stored_form(group: ResourceGroup) -> None:
    made = group.create(EVENTS, "default", EVENT)
    assert made.json()["note"] == "n"
    kept = group.get(CORE, "default", "e").json()
    assert kept["message"] == "n"
    assert group.list(CORE, None).items[0].resource is CORE


def test_a_patch_through_the_view_that_changes_nothing_takes_no_version(
    group: ResourceGroup,
) -> None:
    made = group.create(EVENTS, "default", EVENT)
    again = group.patch(EVENTS, "default", "e", {"note": "n"}, PatchType.MERGE)
    assert again.resource_version == made.resource_version


def test_watchers_of_both_see_a_change_in_their_form(group: ResourceGroup) -> None:
    seen: dict[str, list[Any]] = {"core": [], "new": []}
    fields = FieldSelector.parse("regarding.name=p")
    since = group.resource_version
    group.watch(CORE, None, lambda it: seen["core"].append(it.stored.json()), since=since)
    group.watch(
        EVENTS, None, lambda it: seen["new"].append(it.stored.json()), fields=fields, since=since
    )
    group.create(EVENTS, "default", EVENT)
    assert [it["involvedObject"]["name"] for it in seen["core"]] == ["p"]
    assert [it["regarding"]["name"] for it in seen["new"]] == ["p"]


def test_a_view_is_missed_by_its_own_name(group: ResourceGroup) -> None:
    with pytest.raises(APIError, match=r'events\.events\.k8s\.io "none" not found'):
        group.get(EVENTS, "default", "none")


def test_metrics_that_v1_lacks_survive_an_update_through_it(group: ResourceGroup) -> None:
    memory = {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    metrics = [{"type": "Resource", "resource": it} for it in (memory, cpu)]
    spec = {
        "scaleTargetRef": {"kind": "X", "name": "x", "apiVersion": "g/v1"},
        "maxReplicas": 3,
        "metrics": metrics,
    }
    group.create(SCALERS, "default", {"metadata": {"name": "h"}, "spec": spec})
    seen = group.get(SCALERS_V1, "default", "h").json()
    assert seen["spec"]["targetCPUUtilizationPercentage"] == 50
    seen["spec"]["maxReplicas"] = 4
    group.update(SCALERS_V1, "default", "h", seen)
    kept = group.get(SCALERS, "default", "h").json()
    assert kept["spec"]["metrics"] == metrics
    assert kept["spec"]["maxReplicas"] == 4
    assert "annotations" not in kept["metadata"]
