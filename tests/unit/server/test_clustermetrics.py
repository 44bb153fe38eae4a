"""/metrics of one fake API server: a real one's names, the cluster's own counts."""

from __future__ import annotations

import timeit
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from capim.server.metrics import API_BUCKETS_S, Durations
from capim.server.tally import Tally
from tests.support.memory import MemoryClient, make_api

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

NODES = "/api/v1/nodes"


def scrape(client: MemoryClient, path: str = "/metrics") -> dict[str, Metric]:
    answer = client.ask("GET", path)
    assert answer.status == 200
    return {it.name: it for it in text_string_to_metric_families(answer.body.decode())}


def value(family: Metric, **labels: str) -> float:
    return sum(it.value for it in family.samples if labels.items() <= it.labels.items())


@pytest.fixture
def client() -> MemoryClient:
    return MemoryClient(make_api())


def test_requests_are_counted_by_what_they_asked(client: MemoryClient) -> None:
    client.ask("POST", NODES, {"metadata": {"name": "a"}})
    for _ in range(3):
        client.ask("GET", f"{NODES}/a")
    client.ask("GET", f"{NODES}/none")
    total = scrape(client)["apiserver_request"]
    asked = {"resource": "nodes", "verb": "GET", "version": "v1", "component": "apiserver"}
    assert value(total, **asked, code="200") == 3
    assert value(total, **asked, code="404") == 1
    assert value(total, resource="nodes", verb="POST", code="201") == 1


def test_durations_are_a_histogram_that_counts_the_same(client: MemoryClient) -> None:
    for _ in range(5):
        client.ask("GET", NODES)
    family = scrape(client)["apiserver_request_duration_seconds"]
    rows = [it for it in family.samples if it.labels["verb"] == "LIST"]
    buckets = [it.value for it in rows if it.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 5
    assert [it.value for it in rows if it.name.endswith("_count")] == [5]


def test_objects_are_counted_by_kind(client: MemoryClient) -> None:
    client.ask("POST", NODES, {"metadata": {"name": "a"}})
    families = scrape(client)
    assert value(families["apiserver_resource_objects"], resource="nodes", group="") == 1
    assert value(families["apiserver_storage_objects"], resource="nodes") == 1
    assert value(families["apiserver_storage_objects"], resource="deployments.apps") == 0


def test_two_clusters_of_a_process_count_apart(client: MemoryClient) -> None:
    client.ask("GET", NODES)
    other = MemoryClient(make_api())
    assert "apiserver_request" not in scrape(other)


def test_checks_are_told_by_name(client: MemoryClient) -> None:
    checks = scrape(client, "/metrics/slis")["kubernetes_healthcheck"]
    assert value(checks, name="etcd", type="livez") == 1
    assert value(checks, name="informer-sync") == 1


@pytest.mark.parametrize("path", ["/metrics/none", "/metricsx"])
def test_other_paths_are_not_there(client: MemoryClient, path: str) -> None:
    assert client.ask("GET", path).status == 404


def test_a_request_is_counted_in_a_moment() -> None:
    tally, counted = Tally(), Durations(API_BUCKETS_S)
    seconds = min(timeit.repeat(lambda: tally.count(counted), number=1000, repeat=5)) / 1000
    assert seconds < 20e-6  # 0.2 us where nothing else runs
