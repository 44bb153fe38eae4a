"""What every namespace has, and when the controllers run."""

from __future__ import annotations

import pytest

from capim.api.workload import Simulation
from tests.support.workloads import Workloads


@pytest.mark.parametrize("simulation", list(Simulation))
def test_a_new_namespace_gets_its_account_and_the_authority(simulation: Simulation) -> None:
    cluster = Workloads(simulation)
    cluster.create("namespaces", "", {"metadata": {"name": "fresh"}})
    assert cluster.names("serviceaccounts", "fresh") == ["default"]
    assert cluster.get("configmaps", "kube-root-ca.crt", "fresh")["data"] == {
        "ca.crt": "certificate"
    }


def test_what_a_namespace_has_comes_back() -> None:
    cluster = Workloads()
    account = cluster.get("serviceaccounts", "default")["metadata"]["uid"]
    cluster.delete("serviceaccounts", "default")
    cluster.delete("configmaps", "kube-root-ca.crt")
    assert cluster.get("serviceaccounts", "default")["metadata"]["uid"] != account
    assert cluster.names("configmaps") == ["kube-root-ca.crt"]


def test_a_changed_authority_is_put_right() -> None:
    cluster = Workloads()
    body = cluster.get("configmaps", "kube-root-ca.crt") | {"data": {"ca.crt": "mine"}}
    cluster.group.update(cluster.resource("configmaps"), "default", "kube-root-ca.crt", body)
    cluster.settle()
    assert cluster.get("configmaps", "kube-root-ca.crt")["data"] == {"ca.crt": "certificate"}


def test_a_namespace_that_ends_gets_nothing_back() -> None:
    cluster = Workloads()
    held = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    cluster.create("configmaps", "default", held)
    cluster.create("namespaces", "", {"metadata": {"name": "ending"}})
    cluster.create("configmaps", "ending", held)
    cluster.delete("namespaces", "ending", "")
    assert cluster.names("configmaps", "ending") == ["held"]
    assert cluster.names("serviceaccounts", "ending") == []


def test_a_storm_of_changes_wakes_the_owner_once() -> None:
    cluster = Workloads()
    before = cluster.wakes
    for number in range(100):
        cluster.group.create(
            cluster.resource("namespaces"), "", {"metadata": {"name": f"n-{number}"}}
        )
    assert cluster.wakes == before + 1
    assert cluster.manager.next_deadline() == 0.0
    cluster.settle()
    assert cluster.manager.next_deadline() is None
    assert len(cluster.all("serviceaccounts")) == 101
