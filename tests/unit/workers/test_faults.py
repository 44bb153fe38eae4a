"""In scope: what a worker is told of faults and tells of them. Out: what they do to clients."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from capim.api.faults import Effect, Fault, Schedule
from capim.messaging import envelope as m
from capim.runtime.faults import Asked
from tests.unit.workers.test_state import EPOCH, KEY, Worker, cluster, machine, reports
from workers.faultmetrics import FaultMetrics
from workers.instructions import FollowFaults

FAULT = Fault("u", "default/f", Effect.INTERNAL_ERROR, Schedule(0.0, 1e12), "7")


def suffering() -> Worker:
    worker = Worker()
    worker.sync(machine())
    assert FollowFaults(KEY) in worker.take(m.SetFaults(EPOCH, KEY, (FAULT,)))
    return worker


def faults(worker: Worker) -> tuple[Fault, ...]:
    book = worker.state.clusters[KEY].cluster.faults
    return book.faults if book is not None else ()


def test_a_cluster_suffers_what_it_is_told_and_heals_at_once() -> None:
    worker = suffering()
    assert faults(worker) == (FAULT,)
    assert FollowFaults(KEY) in worker.take(m.SetFaults(EPOCH, KEY, ()))
    assert worker.state.clusters[KEY].cluster.faults is None
    assert worker.take(m.Ping(EPOCH)) == worker.take(m.Ping(EPOCH))


def test_faults_of_an_unknown_cluster_come_with_its_sync() -> None:
    worker = Worker()
    worker.take(m.SetFaults(EPOCH, KEY, (FAULT,)))
    happened = worker.take(
        m.Sync(EPOCH, (cluster(),), (machine(),), faults=((KEY, (FAULT,)), (KEY, (FAULT,))))
    )
    assert FollowFaults(KEY) in happened
    assert faults(worker) == (FAULT,)


def test_a_sync_without_faults_heals() -> None:
    worker = suffering()
    assert FollowFaults(KEY) in worker.sync(machine())
    assert faults(worker) == ()


def scrape(worker: Worker) -> str:
    registry = CollectorRegistry()
    registry.register(FaultMetrics(worker.state))
    return generate_latest(registry).decode()


def test_hits_are_told_with_the_heartbeat_and_before_a_fault_goes() -> None:
    worker = suffering()
    assert reports(worker.take(m.Ping(EPOCH)), m.FaultsActed) == []
    book = worker.state.clusters[KEY].cluster.faults
    assert book is not None
    book.befall(Asked("get", "nodes"))
    told = m.FaultsActed("worker-0", "life", KEY, (("u", 1),))
    assert reports(worker.take(m.Ping(EPOCH)), m.FaultsActed) == [told]
    text = scrape(worker)
    assert "capim_faulty_clusters 1.0" in text
    assert 'capim_fault_hits_total{fault="default/f"} 1.0' in text
    book.befall(Asked("get", "nodes"))
    assert reports(worker.take(m.SetFaults(EPOCH, KEY, ())), m.FaultsActed) == [told]


def test_a_cluster_that_goes_is_forgotten_with_its_faults() -> None:
    worker = suffering()
    worker.take(m.RemoveCluster(EPOCH, KEY, "u1"))
    assert reports(worker.take(m.Ping(EPOCH)), m.FaultsActed) == []
