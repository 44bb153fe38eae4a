"""Scaling and upgrading: which machines stay, which are replaced, and who is a member of etcd."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e import etcd

if TYPE_CHECKING:
    from tests.e2e.fleet import Fleet

_NAME = "change"


def test_scale_and_upgrade(fleet: Fleet) -> None:
    """Scaling keeps the machines it can, an upgrade replaces all, and etcd follows."""
    fleet.apply_class()
    fleet.create(_NAME, fleet.size(1, 3))
    fleet.wait_running([_NAME], fleet.size(1, 3))
    _assert_members(fleet)

    _scale_up(fleet)
    _scale_down(fleet)
    _upgrade(fleet)
    fleet.delete([_NAME])


def _scale_up(fleet: Fleet) -> None:
    before = fleet.uids(_NAME)
    fleet.resize(_NAME, fleet.size(3, 6))
    fleet.wait_running([_NAME], fleet.size(3, 6))
    assert before < fleet.uids(_NAME)
    _assert_members(fleet)


def _scale_down(fleet: Fleet) -> None:
    before = fleet.uids(_NAME)
    fleet.resize(_NAME, fleet.size(1, 2))
    fleet.wait_running([_NAME], fleet.size(1, 2))
    assert fleet.uids(_NAME) < before
    _assert_members(fleet)


def _upgrade(fleet: Fleet) -> None:
    before = fleet.uids(_NAME)
    size = fleet.size(1, 2, fleet.next_version)
    fleet.resize(_NAME, size)
    fleet.wait_running([_NAME], size, timeout_s=300)
    assert not before & fleet.uids(_NAME)
    _assert_members(fleet)
    nodes = fleet.workload(_NAME).list("Node")
    assert {node["metadata"]["name"] for node in nodes} == {
        machine["status"]["nodeRef"]["name"] for machine in fleet.machines(_NAME)
    }


def _assert_members(fleet: Fleet) -> None:
    """Pods and etcd itself agree with the Machines of the control plane."""
    machines = fleet.machines(_NAME, control_plane=True)
    nodes = sorted(machine["status"]["nodeRef"]["name"] for machine in machines)
    pods = fleet.workload(_NAME).list("Pod", "kube-system", labels="component=etcd")
    assert sorted(pod["metadata"]["name"] for pod in pods) == [f"etcd-{node}" for node in nodes]
    assert etcd.member_names(fleet, _NAME, nodes[0]) == nodes
