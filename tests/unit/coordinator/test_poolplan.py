"""Plans for InMemoryMachinePools: gates, how many machines are made, which go first, the status."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from capim.api import infrastructure as infra
from capim.api.meta import get_condition
from coordinator.controllers.poolplan import PoolPlan, PoolView, Replica, plan_pool, pool_label
from tests.support.clusterapi import cluster, infra_pool, machine_pool, obj

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

NOW = 1_700_000_100.0
DELETED: dict[str, Any] = {"deletionTimestamp": "2023-11-14T22:10:00Z"}
CONDEMNED = [{"type": "OwnerRemediated", "status": "False"}]


def view(**changes: Any) -> PoolView:
    return replace(PoolView(infra_pool(), machine_pool(), cluster(), NOW), **changes)


def plan(view: PoolView) -> PoolPlan:
    numbers = itertools.count()
    return plan_pool(view, lambda: f"n{next(numbers)}")


def replica(
    name: str,
    *,
    ready: bool = True,
    version: str = "v1.30.0",
    created: str = "2023-11-14T22:00:00Z",
    spec: JsonObject | None = None,
    machine: JsonObject | None = None,
    **metadata: Any,
) -> Replica:
    annotations = {infra.POOL_VERSION_ANNOTATION: version, **metadata.pop("annotations", {})}
    metadata |= {"annotations": annotations, "creationTimestamp": created}
    identity = {"providerID": f"in-memory://{name}"} if ready else {}
    made = obj(
        infra.API_VERSION,
        infra.MACHINE_KIND,
        name,
        metadata=metadata,
        spec={**identity, **(spec or {})},
        status={"ready": ready},
    )
    return Replica(made, machine)


def machine_of(name: str, **parts: Any) -> JsonObject:
    return obj("cluster.x-k8s.io/v1beta1", "Machine", name, **parts)


def let_go(plan: PoolPlan) -> list[str]:
    return [replica.name for replica in plan.let_go]


@pytest.mark.parametrize(
    ("changes", "waiting_for"),
    [
        ({"infra": infra_pool(metadata={"ownerReferences": []})}, "an owner reference"),
        ({"pool": None}, "its MachinePool"),
        ({"cluster": None}, "its Cluster"),
        ({"cluster": cluster(paused=True)}, "unpausing"),
        ({"cluster": cluster(ready=False)}, "the InMemoryCluster ready"),
        ({"pool": machine_pool(bootstrapped=False)}, "bootstrap data"),
    ],
)
def test_nothing_is_made_before_the_gates_are_open(
    changes: dict[str, Any], waiting_for: str
) -> None:
    planned = plan(view(**changes))
    assert waiting_for in planned.waiting_for
    assert planned.create == ()


def test_a_pool_that_another_manager_watches_is_left_alone() -> None:
    assert plan(view(watch_filter="theirs")) == PoolPlan()


def test_the_finalizer_comes_first() -> None:
    planned = plan(view(infra=infra_pool(metadata={"finalizers": []})))
    assert planned.patch == {"metadata": {"finalizers": [infra.MACHINE_POOL_FINALIZER]}}
    assert planned.again


def test_a_machine_is_made_for_each_replica_that_is_missing() -> None:
    behaviour = {"vm": {"provisioning": {"startupDuration": "1s"}}}
    template = {
        "metadata": {"labels": {"tier": "web"}, "annotations": {"note": "x"}},
        "spec": {"behaviour": behaviour},
    }
    there = replica("p1-a", spec={"behaviour": behaviour})
    planned = plan(view(infra=infra_pool(spec={"template": template}), replicas=[there]))
    (made,) = planned.create
    assert made["metadata"]["name"] == "p1-n0"
    assert made["metadata"]["labels"] == {
        infra.CLUSTER_NAME_LABEL: "c1",
        infra.POOL_NAME_LABEL: "p1",
        "tier": "web",
    }
    assert made["metadata"]["annotations"] == {
        infra.POOL_VERSION_ANNOTATION: "v1.30.0",
        "note": "x",
    }
    assert [owner["kind"] for owner in made["metadata"]["ownerReferences"]] == [
        infra.MACHINE_POOL_KIND
    ]
    assert made["spec"] == {"behaviour": behaviour}


def test_without_a_number_there_is_one_machine() -> None:
    assert len(plan(view(pool=machine_pool(None))).create) == 1


def test_what_was_made_and_does_not_show_yet_is_not_made_again() -> None:
    assert plan(view(expected=2)).create == ()
    assert len(plan(view(expected=1)).create) == 1


def test_machines_are_spread_over_the_failure_domains() -> None:
    pool = machine_pool(4, failureDomains=["a", "b", "c"])
    there = replica("p1-x", spec={"failureDomain": "a"})
    planned = plan(view(pool=pool, replicas=[there]))
    assert [made["spec"]["failureDomain"] for made in planned.create] == ["b", "c", "a"]


def test_who_is_too_many_goes_chosen_first_then_not_ready_then_young() -> None:
    chosen = machine_of("m", metadata={"annotations": {infra.DELETE_MACHINE_ANNOTATION: ""}})
    replicas = [
        replica("old"),
        replica("young", created="2023-11-14T23:00:00Z"),
        replica("chosen", machine=chosen),
        replica("starting", ready=False),
    ]
    orders = [let_go(plan(view(pool=machine_pool(n), replicas=replicas))) for n in (3, 2, 1, 0)]
    assert orders == [
        ["chosen"],
        ["chosen", "starting"],
        ["chosen", "starting", "young"],
        ["chosen", "starting", "young", "old"],
    ]


def test_who_leaves_already_counts_no_more() -> None:
    replicas = [replica("a"), replica("b", **DELETED), replace(replica("c"), let_go=True)]
    replicas.append(replica("d", machine=machine_of("d", metadata=DELETED)))
    planned = plan(view(replicas=replicas))
    assert len(planned.create) == 1
    assert planned.let_go == ()
    assert planned.status["status"]["replicas"] == 4


def test_another_version_replaces_one_machine_for_each_new_one_that_is_ready() -> None:
    old = [replica("a", version="v1.29.0"), replica("b", version="v1.29.0")]
    assert [len(plan(view(replicas=old)).create), let_go(plan(view(replicas=old)))] == [2, []]
    half = [*old, replica("c"), replica("d", ready=False)]
    assert [plan(view(replicas=half)).create, len(let_go(plan(view(replicas=half))))] == [(), 1]
    whole = [*old, replica("c"), replica("d")]
    assert sorted(let_go(plan(view(replicas=whole)))) == ["a", "b"]


def test_another_behaviour_replaces_machines_too() -> None:
    template = {"spec": {"behaviour": {"vm": {"provisioning": {"startupDuration": "1s"}}}}}
    pool = infra_pool(spec={"template": template})
    assert len(plan(view(infra=pool, replicas=[replica("a"), replica("b")])).create) == 2


def test_what_a_health_check_condemned_goes_at_once_and_is_replaced() -> None:
    sick = machine_of("m", status={"conditions": CONDEMNED})
    planned = plan(view(replicas=[replica("a", machine=sick), replica("b")]))
    assert (let_go(planned), len(planned.create)) == (["a"], 1)


def test_a_pool_tells_its_machines_and_is_ready_when_all_are_there() -> None:
    waiting = plan(view(replicas=[replica("b"), replica("a", ready=False)]))
    assert waiting.patch == {"spec": {"providerIDList": ["in-memory://b"]}}
    assert waiting.status["status"]["infrastructureMachineKind"] == infra.MACHINE_KIND
    assert "ready" not in waiting.status["status"]
    ready = plan(view(replicas=[replica("b"), replica("a")]))
    assert ready.patch == {"spec": {"providerIDList": ["in-memory://a", "in-memory://b"]}}
    status = ready.status["status"]
    assert status["replicas"] == 2
    assert (status["ready"], status["initialization"]) == (True, {"provisioned": True})
    for kind in (infra.REPLICAS_READY_CONDITION, infra.READY_CONDITION):
        assert (get_condition(ready.status, kind) or {})["status"] == "True"


def test_a_pool_of_none_is_ready() -> None:
    assert plan(view(pool=machine_pool(0))).status["status"]["ready"] is True


def test_a_pool_goes_after_its_machines() -> None:
    leaving = infra_pool(metadata={**DELETED, "finalizers": [infra.MACHINE_POOL_FINALIZER]})
    replicas = [replica("a"), replica("b", **DELETED)]
    planned = plan(view(infra=leaving, pool=None, replicas=replicas))
    assert (let_go(planned), planned.patch) == (["a"], {})
    assert plan(view(infra=leaving, expected=1)).patch == {}
    assert plan(view(infra=leaving)).patch == {"metadata": {"finalizers": []}}


@pytest.mark.parametrize(
    ("name", "label"),
    [("workers", "workers"), ("a" * 63, "a" * 63), ("a" * 64, "hash_2W8PhQ_z")],
)
def test_a_name_that_is_no_label_is_told_by_its_hash(name: str, label: str) -> None:
    assert pool_label(name) == label
