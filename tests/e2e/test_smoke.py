"""One cluster of the quick-start class, with the delays of the class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.fleet import listening

if TYPE_CHECKING:
    from tests.e2e.fleet import Fleet


def test_quick_start(fleet: Fleet) -> None:
    """A cluster of the class comes up, its API shows its machines, and it leaves nothing."""
    fleet.apply_class(delays=True)
    fleet.create("smoke", fleet.size(1, 1))
    fleet.wait_running(["smoke"], fleet.size(1, 1), timeout_s=300)

    nodes = fleet.workload("smoke").list("Node")
    machines = fleet.machines("smoke")
    assert {node["metadata"]["name"] for node in nodes} == {
        machine["status"]["nodeRef"]["name"] for machine in machines
    }
    assert {node["spec"]["providerID"] for node in nodes} == {
        machine["spec"]["providerID"] for machine in machines
    }

    host, port = fleet.endpoint("smoke")
    assert listening(host, port)
    fleet.delete(["smoke"])
    assert not listening(host, port)
