"""In scope: counts, readiness, rate and what the summary tells a person to type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from capim.api.gvk import NamespacedName
from capim.embedded.fleet import FleetSpec
from capim.embedded.progress import (
    Progress,
    Rate,
    Tally,
    complaints,
    count,
    is_ready,
    told_of_cluster,
    told_of_machine,
)
from capim.embedded.view import came_up, how_to_look

FLEET = FleetSpec(clusters=2, control_plane_machines=1, worker_machines=1)


def machines(*phases: str) -> list[dict[str, object]]:
    return [{"status": {"phase": phase}} for phase in phases]


def cluster(*, ready: bool) -> dict[str, object]:
    return {"status": {"infrastructureReady": True, "controlPlaneReady": ready}}


def named(objects: list[dict[str, object]]) -> dict[NamespacedName, dict[str, object]]:
    return {NamespacedName("default", str(number)): one for number, one in enumerate(objects)}


def counted(clusters: list[dict[str, object]], found: list[dict[str, object]]) -> Progress:
    of_clusters, of_machines = Tally(told_of_cluster), Tally(told_of_machine)
    of_clusters.look(named(clusters))
    of_machines.look(named(found))
    return count(FLEET, of_clusters.counts, of_machines.counts)


def test_a_fleet_is_ready_when_all_of_it_runs() -> None:
    up = counted([cluster(ready=True)] * 2, machines(*["Running"] * 4))
    assert is_ready(up)
    assert not is_ready(counted([cluster(ready=True)] * 2, machines(*["Running"] * 3)))
    assert not is_ready(counted([cluster(ready=False)] * 2, machines(*["Running"] * 4)))


def test_machines_without_a_status_are_pending() -> None:
    seen = counted([], [*machines("Running"), {}])
    assert seen.phases == {"Pending": 1, "Provisioning": 0, "Provisioned": 0, "Running": 1}


def test_objects_are_counted_as_they_are_when_they_change_and_when_they_go() -> None:
    tally = Tally(told_of_machine)
    objects = named(machines("Pending", "Pending", "Running"))
    assert sorted(tally.look(objects)) == ["Pending", "Pending", "Running"]
    assert tally.look(objects) == []
    first, second, _ = objects
    del objects[first], objects[second]
    objects[first] = machines("Running")[0]  # at the end, as an informer has it
    assert tally.look(objects) == ["Running"]
    assert +tally.counts == {"Running": 2}


def progress(running: int) -> Progress:
    return Progress(2, 2, 2, 100, {"Running": running})


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = Rate(window_s=10.0)
    assert rate.left_s(progress(0)) is None
    for second in range(21):
        rate.add(float(second), 0 if second < 10 else (second - 10) * 4)
    assert rate.per_second() == 4.0
    assert rate.left_s(progress(40)) == 15.0


def ours(name: str, **ready: str) -> dict[str, Any]:
    metadata = {"name": name}
    status = {"conditions": [{"type": "Ready", "status": "False", **ready}]}
    return {"kind": "InMemoryCluster", "metadata": metadata, "status": status}


def test_only_what_asks_for_a_person_is_a_complaint() -> None:
    objects = [
        ours("b", severity="Warning", message="widen --port-range"),
        ours("a", severity="Error", message="not PEM"),
        ours("c", severity="Info", message="waiting"),
        ours("d"),
        {"kind": "InMemoryCluster", "metadata": {"name": "e"}},
    ]
    assert [said for one in objects for said in complaints(one)] == [
        "InMemoryCluster b: widen --port-range",
        "InMemoryCluster a: not PEM",
    ]


def test_the_summary_has_commands_to_copy() -> None:
    assert came_up(progress(100), 12.0) == "2 clusters with 100 machines running after 12 s."
    text = how_to_look(FLEET, "in-memory-1", Path("/x/kubeconfig"))
    assert "kubectl --kubeconfig /x/kubeconfig get clusters,machines -n default" in text
    assert "kubectl --kubeconfig /tmp/in-memory-1.kubeconfig get nodes" in text
