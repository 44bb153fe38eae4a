"""Plans for InMemoryClusters: every gate, the port's way, deletion, restore."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from capim.api import infrastructure as infra
from capim.api.workload import KeyPair, ListenerState, ListenerStatus
from coordinator.controllers.clusterplan import ClusterPlan, ClusterPlanner, ClusterView
from coordinator.controllers.secrets import Authorities
from coordinator.placement import ENDPOINT_ANNOTATION, PLACEMENT_ANNOTATION, Placements
from coordinator.ports import PortRange
from tests.support.clusterapi import KEY, cluster, infra_cluster

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

NOW = 1_700_000_000.0
DELETED = {"deletionTimestamp": "2023-11-14T22:10:00Z", "finalizers": [infra.CLUSTER_FINALIZER]}
PAUSED = {"annotations": {infra.PAUSED_ANNOTATION: ""}}


def planner(*, host: str = "10.0.0.1", last: int = 20010, watch_filter: str = "") -> ClusterPlanner:
    return ClusterPlanner(
        host=host,
        ports=PortRange(20000, last),
        placements=Placements("here", ["worker-0"]),
        watch_filter=watch_filter,
    )


def view(obj: JsonObject, **changes: Any) -> ClusterView:
    return replace(ClusterView(obj, KEY, cluster(), NOW), **changes)


def marked(**parts: Any) -> JsonObject:
    """An InMemoryCluster that has its finalizer and annotations."""
    annotations = {
        infra.LISTENER_ANNOTATION: "default/c1",
        PLACEMENT_ANNOTATION: "here/worker-0",
        **parts.pop("annotations", {}),
    }
    metadata = {"annotations": annotations, "finalizers": [infra.CLUSTER_FINALIZER]}
    return infra_cluster(metadata=metadata, **parts)


def bound(port: int = 20000, state: ListenerState = ListenerState.BOUND) -> ListenerStatus:
    return ListenerStatus(KEY, "InMemoryCluster-c1", port, state, "port 20000 is taken")


def ready_of(status: JsonObject) -> JsonObject:
    conditions = {one["type"]: one for one in status["status"]["conditions"]}
    ready: JsonObject = conditions[infra.READY_CONDITION]
    return ready


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param(
            infra_cluster(metadata={"annotations": {infra.MANAGED_BY_ANNOTATION: "me"}}),
            id="externally-managed",
        ),
        pytest.param(infra_cluster(), id="other-watch-filter"),
    ],
)
def test_what_is_not_ours_is_not_touched(obj: JsonObject) -> None:
    plan = planner(watch_filter="mine").plan(view(obj))
    assert (plan.patch, plan.status, plan.ensure, plan.remove) == ({}, {}, None, None)


def test_without_an_owner_it_waits_and_deletion_does_not() -> None:
    obj = infra_cluster(metadata={"ownerReferences": []})
    plan = planner().plan(view(obj, key=None, cluster=None))
    assert (plan.waiting_for, plan.patch) == ("an owner reference to its Cluster", {})
    plan = planner().plan(view(infra_cluster(metadata=DELETED), key=None, cluster=None))
    assert plan.patch == {"metadata": {"finalizers": []}}


@pytest.mark.parametrize(
    ("obj", "of_cluster", "message"),
    [
        pytest.param(
            infra_cluster(metadata=PAUSED),
            cluster(),
            "InMemoryCluster has the cluster.x-k8s.io/paused annotation",
            id="annotation",
        ),
        pytest.param(
            infra_cluster(),
            cluster(paused=True),
            "Cluster spec.paused is set to true",
            id="cluster",
        ),
        pytest.param(
            infra_cluster(metadata={**PAUSED, **DELETED}),
            None,
            "InMemoryCluster has the cluster.x-k8s.io/paused annotation",
            id="deleted-too",
        ),
    ],
)
def test_paused_is_said_and_nothing_else_is_done(
    obj: JsonObject, of_cluster: JsonObject | None, message: str
) -> None:
    plan = planner().plan(view(obj, cluster=of_cluster))
    (paused,) = plan.status["status"]["conditions"]
    assert (paused["type"], paused["status"], paused["reason"]) == ("Paused", "True", "Paused")
    assert paused["message"] == message
    assert (plan.patch, plan.ensure, plan.remove) == ({}, None, None)


def test_finalizer_and_annotations_come_before_anything_is_made() -> None:
    plan = planner().plan(view(infra_cluster()))
    assert plan.patch == {
        "metadata": {
            "finalizers": [infra.CLUSTER_FINALIZER],
            "annotations": {
                infra.LISTENER_ANNOTATION: "default/c1",
                PLACEMENT_ANNOTATION: "here/worker-0",
            },
        }
    }
    assert plan.again
    assert plan.ensure is None


def test_a_placed_cluster_is_given_to_its_worker_and_is_not_ready_before_its_port_is_bound() -> (
    None
):
    plan = planner().plan(view(marked()))
    assert plan.ensure is not None
    worker, spec = plan.ensure
    assert (worker, spec.key, spec.port, spec.endpoint) == (
        "worker-0",
        KEY,
        20000,
        "10.0.0.1:20000",
    )
    assert (plan.patch, plan.status) == ({}, {})


def test_a_bound_port_makes_the_endpoint_and_ready_in_both_contracts() -> None:
    plan = planner().plan(view(marked(), listener=bound()))
    assert plan.patch == {
        "metadata": {"annotations": {ENDPOINT_ANNOTATION: "10.0.0.1:20000"}},
        "spec": {"controlPlaneEndpoint": {"host": "10.0.0.1", "port": 20000}},
    }
    status = plan.status["status"]
    assert (status["ready"], status["initialization"]) == (True, {"provisioned": True})
    assert (ready_of(plan.status)["status"], ready_of(plan.status)["reason"]) == ("True", "Ready")
    assert plan.new_server == ""


def test_damage_of_its_journal_is_a_condition_that_stays_when_it_is_mended() -> None:
    def journal_of(plan: ClusterPlan) -> JsonObject:
        conditions = {one["type"]: one for one in plan.status["status"]["conditions"]}
        found: JsonObject = conditions.get(infra.JOURNAL_INTACT_CONDITION, {})
        return {name: found[name] for name in ("status", "reason", "message") if found}

    obj = marked()
    assert journal_of(planner().plan(view(obj, listener=bound()))) == {}
    plan = planner().plan(view(obj, listener=bound(), damage="frame 7 is missing"))
    assert journal_of(plan) == {
        "status": "False",
        "reason": "JournalDamaged",
        "message": "frame 7 is missing",
    }
    assert ready_of(plan.status)["status"] == "True", "it was rebuilt and serves"
    obj |= plan.status
    plan = planner().plan(view(obj, listener=bound()))
    assert journal_of(plan) == {"status": "True", "reason": "JournalIntact", "message": ""}


def test_what_is_written_already_is_not_written_again() -> None:
    plans = planner()
    obj = marked()
    plan = plans.plan(view(obj, listener=bound()))
    obj["metadata"]["annotations"] |= plan.patch["metadata"]["annotations"]
    settled = {**obj, "spec": plan.patch["spec"], "status": plan.status["status"]}
    plan = plans.plan(view(settled, listener=bound(state=ListenerState.OPEN), now=NOW + 60))
    assert (plan.patch, plan.status) == ({}, {})


def test_a_users_endpoint_is_respected_and_the_worker_still_has_a_port() -> None:
    endpoint = {"controlPlaneEndpoint": {"host": "lb.example.com", "port": 6443}}
    plan = planner().plan(view(marked(spec=endpoint), listener=bound()))
    assert plan.ensure is not None
    spec = plan.ensure[1]
    assert (spec.endpoint, spec.host, spec.port) == ("lb.example.com:6443", "10.0.0.1", 20000)
    assert plan.patch == {"metadata": {"annotations": {ENDPOINT_ANNOTATION: "10.0.0.1:20000"}}}
    assert plan.status["status"]["ready"]


def test_a_changed_host_rewrites_the_endpoint_and_the_kubeconfig() -> None:
    obj = marked(
        annotations={ENDPOINT_ANNOTATION: "10.0.0.1:20003"},
        spec={"controlPlaneEndpoint": {"host": "10.0.0.1", "port": 20003}},
    )
    plan = planner(host="10.0.0.2").plan(view(obj, listener=bound(20003)))
    assert plan.new_server == "https://10.0.0.2:20003"
    assert plan.patch["spec"] == {"controlPlaneEndpoint": {"host": "10.0.0.2"}}
    assert plan.patch["metadata"]["annotations"] == {ENDPOINT_ANNOTATION: "10.0.0.2:20003"}


def test_an_endpoint_on_our_host_without_annotation_keeps_its_port() -> None:
    obj = marked(spec={"controlPlaneEndpoint": {"host": "10.0.0.1", "port": 20005}})
    plan = planner().plan(view(obj))
    assert plan.ensure is not None
    assert plan.ensure[1].port == 20005


def test_a_chosen_port_of_another_cluster_is_a_condition_and_nobody_loses_his() -> None:
    planning = planner()
    other = KEY._replace(name="other")
    assert planning.ports.lease("10.0.0.1", other, NOW) == 20000
    obj = marked(spec={"controlPlaneEndpoint": {"host": "10.0.0.1", "port": 20000}})
    plan = planning.plan(view(obj))
    assert (plan.ensure, plan.patch) == (None, {})
    ready = ready_of(plan.status)
    assert ready["reason"] == "PortOccupied"
    assert "port 20000 of 10.0.0.1, which spec.controlPlaneEndpoint asks for" in ready["message"]
    assert "belongs to cluster default/other: choose another port" in ready["message"]
    planning.ports.release(other, NOW)
    healed = planning.plan(view(obj))
    assert healed.ensure is not None
    assert healed.ensure[1].port == 20000


def test_a_chosen_port_of_another_process_is_waited_for() -> None:
    planning = planner()
    obj = marked(spec={"controlPlaneEndpoint": {"host": "10.0.0.1", "port": 20003}})
    assert planning.plan(view(obj)).ensure is not None
    failed = planning.plan(view(obj, listener=bound(20003, ListenerState.FAILED)))
    assert failed.ensure is None
    assert "is held by another process" in ready_of(failed.status)["message"]
    later = planning.plan(view(obj, now=NOW + 301))
    assert later.ensure is not None
    assert later.ensure[1].port == 20003


def test_a_port_that_cannot_be_bound_is_given_back_and_another_is_tried() -> None:
    plans = planner()
    plans.plan(view(marked()))
    plan = plans.plan(view(marked(), listener=bound(state=ListenerState.FAILED)))
    assert plan.ensure is not None
    assert plan.ensure[1].port == 20001
    ready = ready_of(plan.status)
    assert (ready["status"], ready["reason"], ready["severity"]) == (
        "False",
        "PortOccupied",
        "Warning",
    )
    assert ready["message"] == "port 20000 is taken"
    assert "ready" not in plan.status["status"]


def test_exhaustion_is_a_condition_that_heals_when_a_port_comes_free() -> None:
    plans = planner(last=20000)
    other = KEY._replace(name="c0")
    plans.ports.lease("10.0.0.1", other, NOW)
    plan = plans.plan(view(marked()))
    ready = ready_of(plan.status)
    assert (ready["status"], ready["reason"]) == ("False", "PortsExhausted")
    assert "--port-range" in ready["message"]
    assert plan.ensure is None
    assert plan.requeue_after_s > 0
    assert plans.forget(other, NOW)
    assert plans.plan(view(marked())).ensure is not None


def test_network_and_authorities_go_to_the_worker() -> None:
    pair = KeyPair(b"crt", b"key")
    network = {
        "services": {"cidrBlocks": ["10.1.0.0/16", "fd00::/108"]},
        "pods": {"cidrBlocks": ["10.2.0.0/16"]},
        "serviceDomain": "example.org",
    }
    plan = planner().plan(
        view(
            marked(),
            cluster=cluster(clusterNetwork=network),
            authorities=Authorities({"ca": pair, "etcd": pair, "sa": pair}),
        )
    )
    assert plan.ensure is not None
    spec = plan.ensure[1]
    assert (spec.service_cidr, spec.pod_cidr, spec.service_domain) == (
        "10.1.0.0/16,fd00::/108",
        "10.2.0.0/16",
        "example.org",
    )
    assert (spec.ca, spec.etcd_ca, spec.service_account) == (pair, pair, pair)


def test_an_ipv6_host_is_bracketed() -> None:
    plan = planner(host="fd00::1").plan(view(marked(), listener=bound()))
    assert plan.ensure is not None
    assert plan.ensure[1].endpoint == "[fd00::1]:20000"
    assert plan.patch["spec"]["controlPlaneEndpoint"] == {"host": "fd00::1", "port": 20000}


@pytest.mark.parametrize("of_cluster", [cluster(), None], ids=["cluster", "cluster-vanished"])
def test_deletion_waits_for_the_worker_then_takes_the_finalizer_off(
    of_cluster: JsonObject | None,
) -> None:
    plans = planner()
    obj = infra_cluster(metadata=DELETED)
    waiting = plans.plan(view(obj, cluster=of_cluster))
    assert waiting.remove == (KEY, "InMemoryCluster-c1")
    assert waiting.patch == {}
    done = plans.plan(view(obj, cluster=of_cluster, gone=True))
    assert done.patch == {"metadata": {"finalizers": []}}
    assert done.release == KEY


def test_without_its_cluster_a_living_one_waits() -> None:
    plan = planner().plan(view(infra_cluster(), cluster=None))
    assert (plan.waiting_for, plan.patch) == ("its Cluster", {})


@pytest.mark.parametrize(
    ("obj", "restored"),
    [
        pytest.param(marked(), True, id="placed-by-us"),
        pytest.param(
            marked(annotations={infra.PAUSED_ANNOTATION: "", ENDPOINT_ANNOTATION: "h:20007"}),
            True,
            id="paused",
        ),
        pytest.param(
            infra_cluster(metadata={"finalizers": [infra.CLUSTER_FINALIZER]}),
            True,
            id="annotation-missing",
        ),
        pytest.param(
            marked(annotations={PLACEMENT_ANNOTATION: "there/worker-0"}), False, id="foreign"
        ),
        pytest.param(infra_cluster(metadata=DELETED), False, id="deleted"),
        pytest.param(infra_cluster(), False, id="never-placed"),
    ],
)
def test_restore_takes_what_was_here_and_nothing_else(obj: JsonObject, restored: bool) -> None:
    assert (planner().restore(view(obj)) is not None) == restored


def test_restore_keeps_the_port() -> None:
    restored = planner().restore(view(marked(annotations={ENDPOINT_ANNOTATION: "10.0.0.1:20007"})))
    assert restored is not None
    assert restored[1].port == 20007


def test_a_foreign_placement_is_replaced_by_ours() -> None:
    obj = marked(annotations={PLACEMENT_ANNOTATION: "there/worker-5"})
    plan = planner().plan(view(obj))
    assert plan.patch["metadata"]["annotations"] == {PLACEMENT_ANNOTATION: "here/worker-0"}
