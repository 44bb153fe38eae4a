"""What a template tells autoscalers of machines that are not there yet, and that the machines keep it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from capim.api import infrastructure as infra
from capim.api.nodeform import CAPACITY, PLAIN, NodeForm, allocatable_of, capacity_of
from capim.messaging import codec
from capim.messaging import envelope as m
from capim.messaging.order import Place
from capim.runtime.journal.records import machine_of, machine_record
from capim.runtime.machines import SimulatedMachine
from capim.runtime.manifests import nodes
from coordinator.controllers.objects import TEMPLATES
from coordinator.controllers.templates import size_of
from tests.support.clusterapi import obj
from tests.support.kubeapi import until
from tests.unit.coordinator.test_controllers import running, scenario
from tests.unit.runtime.test_workload import KEY, machine

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from coordinator.kube.client import KubeClient
    from tests.support.fleet import FakeFleet
    from tests.support.kubeapi import KubeApi

NODE = {
    "capacity": {"cpu": "64", "memory": "256Gi", "nvidia.com/gpu": "8"},
    "labels": {"pool": "gpu"},
    "taints": ["gpu=yes:NoSchedule"],
    "architecture": "arm64",
}
SPEC = {"behaviour": {"node": NODE}}


def template(spec: JsonObject) -> JsonObject:
    return obj(
        infra.API_VERSION,
        infra.MACHINE_TEMPLATE_KIND,
        "t",
        spec={"template": {"spec": spec}},
    )


def test_a_template_that_says_nothing_tells_what_all_machines_have() -> None:
    assert infra.node_form_of({}) is None
    assert size_of({}) == {
        "capacity": CAPACITY,
        "nodeInfo": {"architecture": "amd64", "operatingSystem": "linux"},
    }


def test_the_status_of_a_template_is_written_and_follows_nothing_else() -> None:
    async def use(api: KubeApi, client: KubeClient, fleet: FakeFleet) -> None:
        async with running(api, client, fleet):
            api.create(TEMPLATES, template(SPEC))

            def status() -> JsonObject:
                found: JsonObject = api.read(TEMPLATES, "t").get("status") or {}
                return found

            await until(lambda: status() == size_of(SPEC))
            assert status()["capacity"]["nvidia.com/gpu"] == "8"
            assert status()["capacity"]["pods"] == CAPACITY["pods"]

    scenario(use)


def test_a_node_is_what_its_template_said() -> None:
    form = infra.node_form_of(SPEC)
    made = nodes.node(machine("w1", node=form), address="10.0.0.1", pod_cidr="", now=0.0)
    assert made["status"]["capacity"] == size_of(SPEC)["capacity"]
    assert made["status"]["allocatable"]["memory"] == "268333056Ki"
    assert made["status"]["nodeInfo"]["architecture"] == "arm64"
    assert made["metadata"]["labels"]["pool"] == "gpu"
    assert made["metadata"]["labels"]["kubernetes.io/arch"] == "arm64"
    assert made["spec"]["taints"] == [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]


def test_a_control_plane_node_has_both_its_taints() -> None:
    form = NodeForm(taints=("a:NoExecute",))
    made = nodes.node(machine("cp1", node=form), address="10.0.0.1", pod_cidr="", now=0.0)
    assert [taint["key"] for taint in made["spec"]["taints"]] == ["a", nodes.CONTROL_PLANE_LABEL]


def test_what_kubelet_keeps_back_is_never_more_than_there_is() -> None:
    assert allocatable_of(PLAIN).keys() == capacity_of(PLAIN).keys()
    small = allocatable_of(NodeForm(capacity={"memory": "1Mi", "ephemeral-storage": "10"}))
    assert (small["memory"], small["ephemeral-storage"]) == ("0Ki", "9")


@pytest.mark.parametrize("form", [None, infra.node_form_of(SPEC)])
def test_it_travels_to_the_worker_and_into_its_journal(form: NodeForm | None) -> None:
    spec = machine("w1", node=form)
    message = m.EnsureMachine(spec=spec, epoch=1)
    decoded, _ = codec.decode(codec.encode(message, Place(1, 1)))
    assert decoded == message
    held = SimulatedMachine(spec, created_at=random.Random(1).random())  # noqa: S311 - a time
    assert machine_of(KEY, "w1", machine_record(held)).spec.node == form


def test_what_no_node_could_have_is_refused() -> None:
    bad = {"capacity": {"cpu": "many"}, "labels": {"a b": "c"}, "taints": ["x"]}
    causes = dict(infra.validate_create(template({"behaviour": {"node": bad}})))
    path = "spec.template.spec.behaviour.node"
    assert "must be a quantity" in causes[f"{path}.capacity[cpu]"]
    assert f"{path}.labels" in causes
    assert f"{path}.taints[0]" in causes
    assert infra.validate_create(template(SPEC)) == []
