"""Placement: least loaded, sticky, and blind to other installations."""

import pytest

from capim.api.gvk import NamespacedName
from coordinator.placement import Placement, Placements


def cluster(number: int) -> NamespacedName:
    return NamespacedName("default", f"c{number}")


def placements() -> Placements:
    return Placements("here", ["worker-0", "worker-1"])


def test_clusters_spread_over_the_least_loaded_workers() -> None:
    placed = placements()
    workers = [placed.place(cluster(number), "") for number in range(4)]
    assert workers == ["worker-0", "worker-1", "worker-0", "worker-1"]


def test_a_cluster_stays_where_it_is() -> None:
    placed = placements()
    assert placed.place(cluster(1), "") == "worker-0"
    assert placed.place(cluster(1), "here/worker-1") == "worker-0"


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        pytest.param("here/worker-1", "worker-1", id="ours"),
        pytest.param("there/worker-1", "worker-0", id="another-installation"),
        pytest.param("here/worker-9", "worker-0", id="worker-no-longer-configured"),
        pytest.param("", "worker-0", id="missing"),
        pytest.param("worker-1", "worker-0", id="not-a-placement"),
    ],
)
def test_only_our_own_annotation_of_a_configured_worker_is_followed(
    annotation: str, expected: str
) -> None:
    assert placements().place(cluster(1), annotation) == expected


def test_a_released_cluster_weighs_nothing() -> None:
    placed = placements()
    placed.place(cluster(1), "")
    placed.release(cluster(1))
    placed.release(cluster(1))
    assert placed.worker(cluster(1)) is None
    assert placed.place(cluster(2), "") == "worker-0"


def test_an_annotation_is_read_as_it_is_written() -> None:
    placement = Placement("here", "worker-1")
    assert Placement.parse(str(placement)) == placement


def test_no_workers_is_refused() -> None:
    with pytest.raises(ValueError, match="no workers"):
        Placements("here", [])
