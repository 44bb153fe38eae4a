"""Plans for InMemoryMachines: gates in their order, phases to conditions, deletion, restore."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from capim.api import infrastructure as infra
from capim.api.faults import Effect
from capim.api.meta import format_time, get_condition, parse_time
from capim.api.workload import Failure, MachineProgress, Phase, Startup
from coordinator.controllers.conditions import Severity, State
from coordinator.controllers.machineplan import MachineView, plan_machine, restored_machine
from coordinator.controllers.secrets import Authorities
from tests.support.clusterapi import (
    CREATED,
    KEY,
    cluster,
    condition,
    infra_cluster,
    infra_machine,
    machine,
)

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

NOW = 1_700_000_100.0
DELETED = {"deletionTimestamp": "2023-11-14T22:10:00Z"}
#: the Cluster of contract v1beta2
NEW_SHAPE = {
    **cluster(),
    "status": {
        "initialization": {"infrastructureProvisioned": True, "controlPlaneInitialized": True}
    },
}


def view(**changes: Any) -> MachineView:
    base = MachineView(infra_machine(), machine(), cluster(), NOW, infra_cluster=infra_cluster())
    return replace(base, **changes)


def progress(*done: Phase, **changes: Any) -> MachineProgress:
    ended = {phase: NOW - 10 + step for step, phase in enumerate(done)}
    return replace(
        MachineProgress(KEY, "m1", "InMemoryMachine-m1", NOW - 20, done=ended), **changes
    )


def conditions(status: JsonObject) -> dict[str, tuple[str, str, str]]:
    """Return type -> status, reason, severity."""
    return {
        one["type"]: (one["status"], one["reason"], one.get("severity", ""))
        for one in status["status"]["conditions"]
    }


@pytest.mark.parametrize(
    ("changes", "waiting_for"),
    [
        pytest.param(
            {"infra": infra_machine(metadata={"ownerReferences": []}), "machine": None},
            "an owner reference to its Machine",
            id="no-owner",
        ),
        pytest.param({"machine": None}, "its Machine", id="no-machine"),
        pytest.param(
            {"cluster": None},
            "its Cluster, by label cluster.x-k8s.io/cluster-name",
            id="no-cluster",
        ),
        pytest.param({"infra_cluster": None}, "its InMemoryCluster", id="no-infra-cluster"),
    ],
)
def test_gates_that_write_nothing(changes: dict[str, Any], waiting_for: str) -> None:
    plan = plan_machine(view(**changes))
    assert plan.waiting_for == waiting_for
    assert (plan.patch, plan.status, plan.ensure, plan.remove) == ({}, {}, None, None)


@pytest.mark.parametrize(
    ("of_cluster", "of_machine", "reason"),
    [
        pytest.param(
            cluster(ready=False),
            machine(bootstrapped=False),
            "WaitingForClusterInfrastructure",
            id="infrastructure-first",
        ),
        pytest.param(
            cluster(initialized=False),
            machine(bootstrapped=False),
            "WaitingControlPlaneInitialized",
            id="worker-before-control-plane",
        ),
        pytest.param(
            cluster(initialized=False),
            machine(control_plane=True, bootstrapped=False),
            "WaitingForBootstrapData",
            id="first-control-plane",
        ),
        pytest.param(
            cluster(), machine(bootstrapped=False), "WaitingForBootstrapData", id="worker"
        ),
        pytest.param(
            NEW_SHAPE, machine(bootstrapped=False), "WaitingForBootstrapData", id="v1beta2"
        ),
    ],
)
def test_gates_with_their_reasons(
    of_cluster: JsonObject, of_machine: JsonObject, reason: str
) -> None:
    plan = plan_machine(view(cluster=of_cluster, machine=of_machine))
    said = conditions(plan.status)
    assert said["VMProvisioned"] == ("False", reason, "Info")
    assert said["NodeProvisioned"] == ("False", "WaitingForVMProvisioned", "Info")
    assert said["Ready"] == ("False", reason, "Info")
    assert said["Paused"] == ("False", "NotPaused", "Info")
    assert plan.ensure is None


def test_a_gate_that_closes_behind_a_machine_does_not_matter() -> None:
    obj = infra_machine(status={"conditions": [condition("VMProvisioned", "True", "Provisioned")]})
    plan = plan_machine(view(infra=obj, cluster=cluster(ready=False)))
    assert plan.ensure is not None


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"cluster": cluster(paused=True)}, id="cluster"),
        pytest.param(
            {"infra": infra_machine(metadata={"annotations": {infra.PAUSED_ANNOTATION: ""}})},
            id="annotation",
        ),
        pytest.param(
            {"cluster": cluster(paused=True), "infra": infra_machine(metadata=DELETED)},
            id="deleted-too",
        ),
    ],
)
def test_paused_is_said_and_nothing_else_is_done(changes: dict[str, Any]) -> None:
    plan = plan_machine(view(**changes))
    assert conditions(plan.status) == {"Paused": ("True", "Paused", "")}
    assert (plan.patch, plan.ensure, plan.remove) == ({}, None, None)


def test_the_finalizer_comes_before_the_machine() -> None:
    plan = plan_machine(view(infra=infra_machine(metadata={"finalizers": ["other"]})))
    assert plan.patch == {"metadata": {"finalizers": ["other", infra.MACHINE_FINALIZER]}}
    assert plan.again
    assert plan.ensure is None


def test_the_worker_is_told_all_it_needs() -> None:
    behaviour = {"vm": {"provisioning": {"startupDuration": "10s", "startupJitter": "0.2"}}}
    plan = plan_machine(
        view(
            infra=infra_machine(spec={"behaviour": behaviour}),
            machine=machine(control_plane=True, failureDomain="fd1"),
        )
    )
    spec = plan.ensure
    assert spec is not None
    assert (spec.cluster, spec.name, spec.uid) == (KEY, "m1", "InMemoryMachine-m1")
    assert (spec.control_plane, spec.version) == (True, "v1.30.0")
    assert (spec.provider_id, spec.failure_domain) == ("in-memory://m1", "fd1")
    assert (spec.startup, spec.created_at, spec.done) == ({Phase.VM: Startup(10.0, 0.2)}, None, {})
    assert plan.status == {}


def test_a_bad_delay_is_a_condition_that_names_the_field() -> None:
    behaviour = {"node": {"provisioning": {"startupDuration": "soon"}}}
    plan = plan_machine(view(infra=infra_machine(spec={"behaviour": behaviour})))
    said = {one["type"]: one for one in plan.status["status"]["conditions"]}
    assert said["VMProvisioned"]["reason"] == "InternalError"
    assert said["VMProvisioned"]["severity"] == "Error"
    assert "spec.behaviour.node.provisioning.startupDuration" in said["Ready"]["message"] or (
        "spec.behaviour.node.provisioning.startupDuration" in said["VMProvisioned"]["message"]
    )
    assert plan.ensure is None


WAITS_VM = ("False", "WaitingForVMProvisioned", "Info")
WAITS_NODE = ("False", "WaitingForNodeProvisioned", "Info")
WAITS = ("False", "WaitingForStartupTimeout", "Info")
DONE = ("True", "Provisioned", "")


@pytest.mark.parametrize(
    ("done", "expected", "ready"),
    [
        pytest.param((), (WAITS, WAITS_VM, WAITS_VM, WAITS_VM), WAITS, id="nothing"),
        pytest.param(
            (Phase.VM,),
            (DONE, WAITS, WAITS_NODE, WAITS_NODE),
            WAITS,
            id="vm",
        ),
        pytest.param((Phase.VM, Phase.NODE), (DONE, DONE, WAITS, WAITS), WAITS, id="node"),
        pytest.param(tuple(Phase), (DONE, DONE, DONE, DONE), ("True", "Ready", ""), id="all"),
    ],
)
def test_phases_of_a_control_plane_machine(
    done: tuple[Phase, ...],
    expected: tuple[tuple[str, str, str], ...],
    ready: tuple[str, str, str],
) -> None:
    plan = plan_machine(view(machine=machine(control_plane=True), progress=progress(*done)))
    said = conditions(plan.status)
    kinds = ("VMProvisioned", "NodeProvisioned", "EtcdProvisioned", "APIServerProvisioned")
    assert tuple(said[kind] for kind in kinds) == expected
    assert said["Ready"] == ready


def test_a_worker_machine_has_no_control_plane_conditions() -> None:
    plan = plan_machine(view(progress=progress(Phase.VM, Phase.NODE)))
    assert set(conditions(plan.status)) == {
        "VMProvisioned",
        "NodeProvisioned",
        "Ready",
        "Paused",
    }


def test_the_end_of_the_vm_phase_provisions_the_machine_in_both_contracts() -> None:
    reported = progress(Phase.VM, addresses=(("InternalIP", "10.1.2.3"), ("Hostname", "m1")))
    plan = plan_machine(view(machine=machine(failureDomain="fd1"), progress=reported))
    assert plan.patch == {"spec": {"providerID": "in-memory://m1", "failureDomain": "fd1"}}
    status = plan.status["status"]
    assert status["ready"]
    assert status["initialization"] == {"provisioned": True}
    assert status["failureDomain"] == "fd1"
    assert status["addresses"] == [
        {"type": "InternalIP", "address": "10.1.2.3"},
        {"type": "Hostname", "address": "m1"},
    ]


def test_the_machines_own_failure_domain_wins() -> None:
    plan = plan_machine(
        view(
            infra=infra_machine(spec={"failureDomain": "mine"}),
            machine=machine(failureDomain="fd1"),
            progress=progress(Phase.VM),
        )
    )
    assert plan.patch == {"spec": {"providerID": "in-memory://m1"}}
    assert plan.status["status"]["failureDomain"] == "mine"


def test_steps_are_counted_until_the_machine_has_its_provider_id() -> None:
    before = plan_machine(view(progress=progress()))
    after = plan_machine(view(progress=progress(Phase.VM)))
    messages = [
        one["message"]
        for plan in (before, after)
        for one in plan.status["status"]["conditions"]
        if one["type"] == "Ready"
    ]
    assert messages == ["0 of 2 completed", ""]


def test_times_are_those_of_the_worker_and_stay() -> None:
    reported = progress(Phase.VM)
    first = plan_machine(view(progress=reported))
    said = {one["type"]: one for one in first.status["status"]["conditions"]}
    assert said["VMProvisioned"]["lastTransitionTime"] == format_time(NOW - 10)
    obj = infra_machine(spec={"providerID": "in-memory://m1"}, status=first.status["status"])
    second = plan_machine(view(infra=obj, progress=reported, now=NOW + 50))
    assert (second.patch, second.status) == ({}, {})


def test_a_failed_phase_says_why() -> None:
    failed = progress(Phase.VM, failed={Phase.NODE: "no address is left"})
    said = plan_machine(view(progress=failed)).status["status"]["conditions"]
    node = next(one for one in said if one["type"] == "NodeProvisioned")
    assert (node["reason"], node["severity"], node["message"]) == (
        "InternalError",
        "Error",
        "no address is left",
    )


@pytest.mark.parametrize(
    ("version", "words"),
    [
        pytest.param("v1.99.1", ("v1.99.1 is not known", "v1.24 to v1."), id="unknown"),
        pytest.param("v1.30.0", (), id="known"),
        pytest.param("newest", (), id="changed-to-none-after-the-node-was-up"),
    ],
)
def test_a_node_of_an_unknown_version_runs_and_its_condition_warns(
    version: str, words: tuple[str, ...]
) -> None:
    reported = progress(Phase.VM, Phase.NODE)
    plan = plan_machine(view(machine=machine(version=version), progress=reported))
    node = get_condition(plan.status, "NodeProvisioned")
    assert node is not None
    assert node["status"] == "True"
    assert bool(node["message"]) == bool(words)
    assert all(word in node["message"] for word in words)


def test_missing_and_broken_authorities_are_said_on_the_phase_that_needs_them() -> None:
    missing = State("WaitingForCertificates", "Secret default/c1-etcd not found", Severity.WARNING)
    broken = State("InvalidCertificates", "Secret default/c1-ca is broken", Severity.ERROR)
    plan = plan_machine(
        view(
            machine=machine(control_plane=True),
            progress=progress(Phase.VM, Phase.NODE),
            authorities=Authorities(problems={"ca": broken, "etcd": missing}),
        )
    )
    said = conditions(plan.status)
    assert said["EtcdProvisioned"] == ("False", "WaitingForCertificates", "Warning")
    assert said["APIServerProvisioned"] == ("False", "InvalidCertificates", "Error")
    assert said["Ready"] == said["APIServerProvisioned"]


def test_what_the_worker_reported_is_what_it_gets_after_its_own_restart() -> None:
    plan = plan_machine(view(progress=progress(Phase.VM)))
    assert plan.ensure is not None
    assert (plan.ensure.created_at, plan.ensure.done) == (NOW - 20, {Phase.VM: NOW - 10})


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="all-there"),
        pytest.param({"cluster": None, "infra_cluster": None}, id="cluster-vanished"),
        pytest.param({"infra_cluster": None}, id="infra-cluster-vanished"),
        pytest.param({"machine": None}, id="machine-vanished"),
        pytest.param({"machine": None, "cluster": None, "infra_cluster": None}, id="alone"),
    ],
)
def test_deletion_waits_for_the_worker_and_for_nobody_else(changes: dict[str, Any]) -> None:
    obj = infra_machine(metadata=DELETED)
    waiting = plan_machine(view(infra=obj, **changes))
    assert waiting.remove == (KEY, "m1", "InMemoryMachine-m1")
    assert waiting.patch == {}
    done = plan_machine(view(infra=obj, gone=True, **changes))
    assert done.patch == {"metadata": {"finalizers": []}}


def test_deletion_of_a_machine_without_a_cluster_needs_no_worker() -> None:
    obj = infra_machine(metadata={**DELETED, "labels": {}})
    plan = plan_machine(view(infra=obj, machine=None, cluster=None, infra_cluster=None))
    assert plan.patch == {"metadata": {"finalizers": []}}


def with_vm(status: str, reason: str, **metadata: Any) -> JsonObject:
    said = condition("VMProvisioned", status, reason, "2023-11-14T22:05:00Z")
    return infra_machine(metadata=metadata, status={"conditions": [said]})


@pytest.mark.parametrize(
    ("obj", "created_at", "done"),
    [
        pytest.param(
            with_vm("True", "Provisioned"),
            CREATED,
            {Phase.VM: "2023-11-14T22:05:00Z"},
            id="provisioned",
        ),
        pytest.param(
            with_vm("True", "Provisioned", annotations={infra.PAUSED_ANNOTATION: ""}),
            CREATED,
            {Phase.VM: "2023-11-14T22:05:00Z"},
            id="paused",
        ),
        pytest.param(
            with_vm("False", "WaitingForStartupTimeout"), "2023-11-14T22:05:00Z", {}, id="waiting"
        ),
    ],
)
def test_restore_goes_on_where_it_was(
    obj: JsonObject, created_at: str, done: dict[Phase, str]
) -> None:
    spec = restored_machine(view(infra=obj, cluster=cluster(ready=False, paused=True)))
    assert spec is not None
    assert spec.created_at == parse_time(created_at)
    assert spec.done == {phase: parse_time(when) for phase, when in done.items()}


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param(infra_machine(), id="never-started"),
        pytest.param(with_vm("False", "WaitingForBootstrapData"), id="gated"),
        pytest.param(with_vm("True", "Provisioned", **DELETED), id="deleted"),
    ],
)
def test_restore_makes_nothing_new(obj: JsonObject) -> None:
    assert restored_machine(view(infra=obj)) is None


def test_restore_knows_the_control_plane_without_its_machine() -> None:
    labels = {infra.CLUSTER_NAME_LABEL: "c1", infra.CONTROL_PLANE_LABEL: ""}
    obj = with_vm("True", "Provisioned", labels=labels)
    spec = restored_machine(view(infra=obj, machine=None))
    assert spec is not None
    assert spec.control_plane


def moved(status: JsonObject) -> JsonObject:
    """Return a machine as clusterctl makes it anew in another management cluster."""
    return infra_machine(
        metadata={"finalizers": []}, spec={"providerID": "in-memory://m1"}, status=status
    )


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({}, id="nothing-said-yet"),
        pytest.param(
            {"conditions": [condition("Paused", "True", "Paused")]}, id="paused-meanwhile"
        ),
    ],
)
def test_a_moved_machine_is_whole_at_once(status: JsonObject) -> None:
    spec = restored_machine(view(infra=moved(status), machine=machine(bootstrapped=False)))
    assert spec is not None
    assert (spec.created_at, spec.done) == (
        parse_time(CREATED),
        dict.fromkeys(Phase, parse_time(CREATED)),
    )


def test_a_moved_machine_that_has_begun_anew_goes_on_where_it_is() -> None:
    waits = condition("VMProvisioned", "False", "WaitingForStartupTimeout")
    spec = restored_machine(view(infra=moved({"conditions": [waits]})))
    assert spec is not None
    assert spec.done == {}


# --- behaviour beyond delays ---


def scaled(scale: str) -> JsonObject:
    made = infra_cluster()
    made["spec"] = {**(made.get("spec") or {}), "behaviour": {"timeScale": scale}}
    return made


def test_time_passes_as_fast_as_the_cluster_says() -> None:
    behaviour = {"vm": {"provisioning": {"startupDuration": "1m", "startupJitter": "0.2"}}}
    obj = infra_machine(spec={"behaviour": behaviour})
    plan = plan_machine(view(infra=obj, infra_cluster=scaled("60")))
    assert plan.ensure is not None
    assert plan.ensure.startup == {Phase.VM: Startup(1.0, 0.2)}


def test_the_worker_is_told_what_is_wrong_with_a_machine() -> None:
    failure = {"effect": "Tainted", "probability": "0.5", "taint": "a:NoExecute"}
    obj = infra_machine(spec={"behaviour": {"node": {"failure": failure}}})
    plan = plan_machine(view(infra=obj))
    assert plan.ensure is not None
    assert plan.ensure.failures == (Failure(Effect.TAINTED, 0.5, "a:NoExecute"),)


def test_a_vm_takes_its_time_to_go() -> None:
    deleted = parse_time(DELETED["deletionTimestamp"])
    behaviour = {"vm": {"deletion": {"duration": "20s"}}}
    obj = infra_machine(metadata=DELETED, spec={"behaviour": behaviour})
    plan = plan_machine(view(infra=obj, now=deleted + 5))
    assert (plan.remove, plan.requeue_after_s) == (None, 15.0)
    fast = plan_machine(view(infra=obj, now=deleted + 5, infra_cluster=scaled("10")))
    assert fast.remove is not None
    assert plan_machine(view(infra=obj, now=deleted + 20)).remove is not None


def test_what_failed_for_good_is_told_by_the_older_contract_and_taken_back() -> None:
    failed = progress(Phase.VM, failed={Phase.VM: "the VM has failed"}, terminal=True)
    status = plan_machine(view(progress=failed)).status["status"]
    assert (status["failureReason"], status["failureMessage"]) == (
        "UpdateError",
        "the VM has failed",
    )
    never = progress(failed={Phase.VM: "no VM"}, terminal=True)
    assert plan_machine(view(progress=never)).status["status"]["failureReason"] == "CreateError"
    healed = infra_machine(status={"failureReason": "UpdateError", "failureMessage": "was"})
    status = plan_machine(view(infra=healed, progress=progress(Phase.VM))).status["status"]
    assert (status["failureReason"], status["failureMessage"]) == (None, None)


def test_a_vm_that_is_gone_is_told_though_it_was_provisioned() -> None:
    failed = progress(Phase.VM, Phase.NODE, failed={Phase.VM: "the VM does not exist"})
    plan = plan_machine(view(progress=failed))
    assert conditions(plan.status)["VMProvisioned"] == ("False", "VMFailed", "Error")
    assert conditions(plan.status)["Ready"] == ("False", "VMFailed", "Error")


def test_a_machine_of_a_pool_has_its_version_and_waits_for_no_data_of_its_own() -> None:
    made = infra_machine(metadata={"annotations": {infra.POOL_VERSION_ANNOTATION: "v1.30.1"}})
    bare = machine(bootstrapped=False, version=None)
    plan = plan_machine(view(infra=made, machine=bare))
    assert plan.ensure is not None
    assert plan.ensure.version == "v1.30.1"
    closed = plan_machine(view(infra=made, machine=bare, cluster=cluster(ready=False)))
    assert closed.ensure is None
