"""Evictions and the budgets that refuse them."""

from __future__ import annotations

from typing import Any

import pytest

from capim.api.errors import APIError
from capim.runtime.eviction import evict
from capim.runtime.resourcegroup import ResourceGroup
from tests.support.groups import BUDGETS, NAMESPACES, NOW_TEXT, PODS, named, names, new_group

READY = [{"type": "Ready", "status": "True"}]
LABELS = {"labels": {"app": "x"}}


@pytest.fixture
def group() -> ResourceGroup:
    group = new_group()
    add_pod(group, "p", phase="Running", conditions=READY)
    return group


def add_pod(group: ResourceGroup, name: str, **status: Any) -> None:
    group.create(PODS, "default", named(name, metadata=LABELS, status=status), keep_status=True)


def add_budget(group: ResourceGroup, name: str, **status: Any) -> None:
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}}
    body = named(name, spec=spec, status={"observedGeneration": 1, **status})
    group.create(BUDGETS, "default", body, keep_status=True)


def eviction(name: str, **fields: Any) -> dict[str, Any]:
    return named(name, apiVersion="policy/v1", kind="Eviction", **fields)


def refusal(group: ResourceGroup, name: str = "p", **fields: Any) -> APIError:
    with pytest.raises(APIError) as caught:
        evict(group, "default", name, eviction(name, **fields))
    return caught.value


def test_a_pod_without_a_budget_is_deleted(group: ResourceGroup) -> None:
    status = evict(group, "default", "p", eviction("p"))
    assert (status["status"], status["code"]) == ("Success", 201)
    assert names(group, PODS) == []


def test_an_absent_pod_is_404(group: ResourceGroup) -> None:
    error = refusal(group, "nope")
    assert (error.code, error.message) == (404, 'pods "nope" not found')


def test_the_eviction_names_the_pod_of_its_path(group: ResourceGroup) -> None:
    with pytest.raises(APIError) as caught:
        evict(group, "default", "p", eviction("other"))
    assert caught.value.message == "name in URL does not match name in Eviction object"


def test_a_budget_without_disruptions_left_is_429(group: ResourceGroup) -> None:
    add_budget(group, "b", disruptionsAllowed=0, currentHealthy=1, desiredHealthy=1)
    error = refusal(group)
    assert (error.code, error.reason) == (429, "TooManyRequests")
    assert error.message == "Cannot evict pod as it would violate the pod's disruption budget."
    assert (error.details or {})["causes"] == [
        {
            "reason": "DisruptionBudget",
            "message": "The disruption budget b needs 1 healthy pods and has 1 currently",
        }
    ]
    assert names(group, PODS) == ["p"]


def test_a_budget_nobody_looked_at_yet_is_429_with_a_pause(group: ResourceGroup) -> None:
    add_budget(group, "b", observedGeneration=0)
    error = refusal(group)
    assert (error.code, error.retry_after_s) == (429, 10)
    assert "still being processed" in (error.details or {})["causes"][0]["message"]


def test_an_eviction_takes_one_disruption(group: ResourceGroup) -> None:
    add_budget(group, "b", disruptionsAllowed=1, currentHealthy=2, desiredHealthy=1)
    evict(group, "default", "p", eviction("p"))
    status = group.get(BUDGETS, "default", "b").json()["status"]
    assert status["disruptionsAllowed"] == 0
    assert status["disruptedPods"] == {"p": NOW_TEXT}
    add_pod(group, "q", phase="Running", conditions=READY)
    error = refusal(group, "q")
    assert "does not allow evicting pods currently" in (error.details or {})["causes"][0]["message"]


def test_several_budgets_are_500(group: ResourceGroup) -> None:
    add_budget(group, "b", disruptionsAllowed=1)
    add_budget(group, "c", disruptionsAllowed=1)
    error = refusal(group)
    assert error.code == 500
    assert error.message.startswith("This pod has more than one PodDisruptionBudget")


def test_a_budget_of_other_pods_does_not_count(group: ResourceGroup) -> None:
    add_budget(group, "b", disruptionsAllowed=0)
    metadata = {"labels": {"app": "y"}}
    body = named("q", metadata=metadata, status={"phase": "Running"})
    group.create(PODS, "default", body, keep_status=True)
    evict(group, "default", "q", eviction("q"))
    assert names(group, PODS) == ["p"]


def test_an_absent_selector_covers_nothing_and_an_empty_one_everything(
    group: ResourceGroup,
) -> None:
    group.create(BUDGETS, "default", named("none", spec={}))
    add_pod(group, "q", phase="Running", conditions=READY)
    evict(group, "default", "q", eviction("q"))
    group.create(BUDGETS, "default", named("all", spec={"selector": {}}))
    assert refusal(group).code == 429


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_pods_that_do_not_run_need_no_budget(group: ResourceGroup, phase: str) -> None:
    add_budget(group, "b", disruptionsAllowed=0)
    add_pod(group, "q", phase=phase)
    evict(group, "default", "q", eviction("q"))
    assert names(group, PODS) == ["p"]


def test_an_unready_pod_goes_while_enough_others_are_healthy(group: ResourceGroup) -> None:
    add_budget(group, "b", disruptionsAllowed=0, currentHealthy=1, desiredHealthy=1)
    add_pod(group, "q", phase="Running")
    evict(group, "default", "q", eviction("q"))
    assert names(group, PODS) == ["p"]


def test_a_failed_precondition_is_409(group: ResourceGroup) -> None:
    options = {"preconditions": {"uid": "other"}}
    assert refusal(group, deleteOptions=options).code == 409


@pytest.mark.parametrize("asked_by", ["query", "options"])
def test_dry_run_evicts_nothing_and_takes_nothing(group: ResourceGroup, asked_by: str) -> None:
    add_budget(group, "b", disruptionsAllowed=1)
    fields = {"deleteOptions": {"dryRun": ["All"]}} if asked_by == "options" else {}
    before = group.resource_version
    body = eviction("p", **fields)
    evict(group, "default", "p", body, dry_run=asked_by == "query")
    assert group.resource_version == before


def test_nothing_is_evicted_from_a_namespace_that_ends(group: ResourceGroup) -> None:
    group.create(PODS, "other", named("held", metadata={"finalizers": ["x.io/hold"]}))
    group.delete(NAMESPACES, "", "other")
    with pytest.raises(APIError) as caught:
        evict(group, "other", "held", eviction("held"))
    details = caught.value.details or {}
    assert caught.value.code == 403
    assert [cause["reason"] for cause in details["causes"]] == ["NamespaceTerminating"]
