"""In scope: an authority that is rotated in its Secret reaches the worker while the coordinator runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from capim.aio.clock import steady_clock
from coordinator.controllers.objects import INFRA_CLUSTERS, SECRETS
from tests.support.clusterapi import KEY, cluster, infra_cluster, machine
from tests.support.kubeapi import KubeApi, until
from tests.unit.coordinator.test_controllers import (
    CLUSTERS,
    MACHINES,
    authority,
    running,
    scenario,
)

if TYPE_CHECKING:
    from capim.api.workload import ClusterSpec
    from coordinator.kube.client import KubeClient
    from tests.support.fleet import FakeFleet


def build(api: KubeApi, *, labelled: bool) -> None:
    for name in ("c1-ca", "c1-etcd", "c1-sa"):
        made = authority(name)
        if not labelled:
            del made["metadata"]["labels"]
        api.create(SECRETS, made)
    api.create(CLUSTERS, cluster())
    api.create(MACHINES, machine(control_plane=True))
    api.create(INFRA_CLUSTERS, infra_cluster())


def spec_of(fleet: FakeFleet) -> ClusterSpec:
    return fleet.clusters[KEY][1]


@pytest.mark.parametrize("labelled", [True, False], ids=["watched", "not-watched"])
def test_a_rotated_authority_goes_to_the_worker(labelled: bool) -> None:
    async def use(api: KubeApi, client: KubeClient, fleet: FakeFleet) -> None:
        build(api, labelled=labelled)
        ahead_s = 0.0
        async with running(api, client, fleet, steady=lambda: steady_clock() + ahead_s):
            await until(lambda: KEY in fleet.clusters and spec_of(fleet).ca is not None)
            before = spec_of(fleet)
            rotated = authority("c1-ca")["data"]
            api.merge(SECRETS, api.read(SECRETS, "c1-ca"), {"data": rotated})
            if (
                not labelled
            ):  # what nobody watches is read again when its cluster is looked at later
                ahead_s = 600.0
                looked_at = {"metadata": {"labels": {"looked": "at"}}}
                api.merge(INFRA_CLUSTERS, api.read(INFRA_CLUSTERS, "c1"), looked_at)
            await until(lambda: spec_of(fleet).ca != before.ca)
            assert spec_of(fleet).service_account == before.service_account

    scenario(use)
