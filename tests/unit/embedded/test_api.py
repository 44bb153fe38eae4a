"""In scope: the embedded management API as a client meets it, and the fleet's objects in it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from capim.aio.clock import wall_clock
from capim.aio.tasks import TaskScope
from capim.api.errors import APIError
from capim.api.gvk import GVR
from capim.embedded import kinds
from capim.embedded.admission import InfrastructureAdmission
from capim.embedded.api import EmbeddedApi
from capim.embedded.fleet import FleetSpec, cluster_names, objects
from capim.embedded.up import _client

GVR_OF = {resource.kind: resource.gvr for resource in kinds.MANAGEMENT_RESOURCES}


def test_a_fleet_can_be_created_and_foreign_kinds_are_refused(tmp_path: Path) -> None:
    fleet = FleetSpec(clusters=1)
    (name,) = cluster_names(fleet)

    async def scenario() -> None:
        async with TaskScope() as scope:
            api = EmbeddedApi(clock=wall_clock, scope=scope)
            await api.start()
            kubeconfig = tmp_path / "kubeconfig"
            kubeconfig.write_bytes(api.kubeconfig())
            try:
                async with _client(kubeconfig) as client:
                    for body in objects(fleet, name):
                        await client.create(GVR_OF[body["kind"]], fleet.namespace, body)
                    listed = await client.list(kinds.INFRA_CLUSTERS)
                    assert [one["metadata"]["name"] for one in listed.items] == [name]
                    with pytest.raises(APIError) as refused:
                        await client.list(GVR("apps", "v1", "deployments"))
                    assert refused.value.code == 404
                    assert "run `capim manager` against" in refused.value.message
            finally:
                await api.stop()

    asyncio.run(scenario())


def machine(duration: str) -> dict[str, object]:
    provisioning = {"startupDuration": duration}
    return {
        "apiVersion": "infrastructure.cluster.x-k8s.io/v1alpha1",
        "kind": "InMemoryMachine",
        "metadata": {"name": "m", "namespace": "default"},
        "spec": {"behaviour": {"vm": {"provisioning": provisioning}}},
    }


def test_our_kinds_are_validated_without_a_webhook() -> None:
    admission = InfrastructureAdmission()
    served = next(one for one in kinds.MANAGEMENT_RESOURCES if one.kind == "InMemoryMachine")
    admitted = admission.admit(served, machine("10s"), None)
    assert admitted["spec"] == machine("10s")["spec"]
    with pytest.raises(APIError, match="startupDuration") as refused:
        admission.admit(served, machine("10 bananas"), None)
    assert refused.value.code == 422


def test_other_kinds_pass_as_they_are() -> None:
    served = next(one for one in kinds.MANAGEMENT_RESOURCES if one.kind == "Secret")
    body = {"metadata": {"name": "s"}, "data": {"a": "Yg=="}}
    assert InfrastructureAdmission().admit(served, body, None) is body
