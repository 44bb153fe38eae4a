"""CAPIM's processes die and come back; the clusters they serve do not notice."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import urllib3

from tests.e2e import processes
from tests.e2e.fleet import CLUSTER_LABEL
from tests.e2e.kube import Kube, KubeError, wait_until

if TYPE_CHECKING:
    from tests.e2e.fleet import Fleet
    from tests.e2e.kube import JsonObject
    from tests.e2e.provider import CapimProvider

_NAMES = ("one", *(f"other-{number}" for number in range(9)))
_BACK_WITHIN_S = 10
_WORKERS = 3
_NODES = 1 + _WORKERS


@dataclass(frozen=True)
class _Picture:
    """What must be the same after a crash."""

    endpoints: dict[str, tuple[str, int]]
    machines: dict[str, set[str]]
    nodes: dict[str, set[str]]


# urllib3 drops a socket unclosed when its peer dies during the handshake
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_crashes(fleet: Fleet, capim: CapimProvider, request: pytest.FixtureRequest) -> None:
    """Neither a worker's nor the coordinator's crash costs a machine, an endpoint or a Node.

    Without a journal what a worker held is rebuilt, delays are not waited for again, and a health check
    that is quick to judge finds nothing to replace.
    """
    fleet.apply_class()
    for name in _NAMES:
        fleet.create(name, fleet.size(1, _WORKERS))
    fleet.wait_running(_NAMES, fleet.size(1, _WORKERS))
    _watch_health(fleet, "one")
    _make_starts_slow(fleet, "one")
    clients = {name: fleet.workload(name) for name in _NAMES}
    before, events = _picture(fleet, clients), _unhealthy_events(fleet)

    for victim in capim.workers():
        processes.kill(victim)
        _assert_back(clients)
    capim.kill_coordinator()
    _assert_back(clients)
    capim.start()
    _assert_back(clients)

    _assert_quiet(fleet, events, request.config.getoption("--quiet-time"))
    assert _picture(fleet, clients) == before
    fleet.wait_running(_NAMES, fleet.size(1, _WORKERS))
    fleet.kube.delete("MachineHealthCheck", fleet.namespace, "one")
    # what runs can still change
    fleet.resize("one", fleet.size(1, _WORKERS + 1))
    fleet.wait_running(["one"], fleet.size(1, _WORKERS + 1))
    fleet.delete(_NAMES)


# as above
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_journal(fleet: Fleet, capim: CapimProvider) -> None:
    """With a journal all processes may be killed at once, and clients find every object as it was."""
    capim.restart(flags=[capim.journal_flag])
    fleet.apply_class()
    fleet.create("kept", fleet.size(1, 1))
    fleet.wait_running(["kept"], fleet.size(1, 1))
    kube = fleet.workload("kept")
    kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}}, "default")
    machines, before = fleet.uids("kept"), _contents(kube)

    victims = capim.workers()
    capim.kill_coordinator()
    for victim in victims:
        processes.kill(victim)
    capim.start(flags=[capim.journal_flag])
    wait_until(lambda: _unanswered(kube), _BACK_WITHIN_S, "the workload API answers again")
    after = _contents(kube)
    assert after.keys() == before.keys()
    changed = {name for name in before if after[name] != before[name]}
    # what Cluster API may have written meanwhile
    assert not {name for name in changed if not name.startswith("Node/")}
    fleet.wait_running(["kept"], fleet.size(1, 1))
    assert fleet.uids("kept") == machines
    fleet.delete(["kept"])
    capim.restart()


def _watch_health(fleet: Fleet, name: str) -> None:
    """Let Cluster API replace every machine of a cluster that looks unhealthy for a few seconds."""
    unhealthy = [
        {"type": "Ready", "status": status, "timeout": "5s"} for status in ("Unknown", "False")
    ]
    document: JsonObject = {
        "apiVersion": "cluster.x-k8s.io/v1beta1",
        "kind": "MachineHealthCheck",
        "metadata": {"name": name},
        "spec": {
            "clusterName": name,
            "selector": {"matchLabels": {CLUSTER_LABEL: name}},
            "unhealthyConditions": unhealthy,
            "maxUnhealthy": "100%",
            "nodeStartupTimeout": "30s",
        },
    }
    fleet.kube.create(document, fleet.namespace)

    def missing() -> list[str]:
        found = fleet.kube.get("MachineHealthCheck", fleet.namespace, name).get("status", {})
        healthy = found.get("currentHealthy", 0)
        return [] if healthy == _NODES else [f"{healthy} of {_NODES} machines are healthy"]

    wait_until(missing, 60, f"a health check of {name}")


def _make_starts_slow(fleet: Fleet, name: str) -> None:
    """Give machines that run delays which, waited for again, would keep their cluster away for long."""
    slow = {"provisioning": {"startupDuration": "10m"}}
    behaviour = dict.fromkeys(("vm", "node", "apiServer", "etcd"), slow)
    found = fleet.kube.list("InMemoryMachine", fleet.namespace, labels=f"{CLUSTER_LABEL}={name}")
    assert len(found) == _NODES
    for machine in found:
        fleet.kube.patch(
            "InMemoryMachine",
            fleet.namespace,
            machine["metadata"]["name"],
            {"spec": {"behaviour": behaviour}},
        )


def _contents(kube: Kube) -> dict[str, JsonObject]:
    """Return all there is of some kinds, with UIDs and resource versions."""
    kinds = ("Namespace", "Node", "Pod", "ConfigMap", "Secret")
    return {
        f"{kind}/{item['metadata'].get('namespace', '')}/{item['metadata']['name']}": item
        for kind in kinds
        for item in kube.list(kind)
    }


def _unanswered(kube: Kube) -> list[str]:
    try:
        kube.list("Node")
    except (KubeError, urllib3.exceptions.HTTPError) as error:
        return [str(error)]
    return []


def _picture(fleet: Fleet, clients: dict[str, Kube]) -> _Picture:
    return _Picture(
        endpoints={name: fleet.endpoint(name) for name in _NAMES},
        machines={name: fleet.uids(name) for name in _NAMES},
        nodes={
            name: {node["metadata"]["name"] for node in kube.list("Node")}
            for name, kube in clients.items()
        },
    )


def _assert_back(clients: dict[str, Kube]) -> None:
    """Every workload API answers soon, and never with a cluster that is half there."""
    wait_until(lambda: _silent(clients), _BACK_WITHIN_S, "workload APIs answer again")


def _silent(clients: dict[str, Kube]) -> list[str]:
    left = []
    for name, kube in clients.items():
        try:
            nodes = kube.list("Node")
        except (KubeError, urllib3.exceptions.HTTPError) as error:
            left.append(f"{name}: {error}")
        else:
            assert len(nodes) == _NODES, f"{name} shows {len(nodes)} of {_NODES} nodes"
    return left


def _assert_quiet(fleet: Fleet, events: dict[str, int], quiet_s: float) -> None:
    """Cluster API sees nothing to remediate: health checks give a machine minutes, so do we."""
    deadline = time.monotonic() + quiet_s

    def missing() -> list[str]:
        _assert_no_remediation(fleet)
        assert _unhealthy_events(fleet) == events
        left_s = deadline - time.monotonic()
        return [f"{left_s:.0f} s to go"] if left_s > 0 else []

    wait_until(missing, quiet_s + 30, "a quiet time")


def _assert_no_remediation(fleet: Fleet) -> None:
    for machine in fleet.kube.list("Machine", fleet.namespace):
        metadata = machine["metadata"]
        marks = [name for name in metadata.get("annotations", {}) if "remediat" in name.lower()]
        assert not marks, f"{metadata['name']} has {marks}"
        assert "deletionTimestamp" not in metadata, metadata["name"]


def _unhealthy_events(fleet: Fleet) -> dict[str, int]:
    """Return how often each unhealthy or remediated machine was reported.

    Left out: machines that had no Node yet. Each is reported when it is new, and the counts of those
    reports are written long after, as the event recorder gets to them.
    """
    return {
        event["message"]: event.get("count", 1)
        for event in fleet.kube.list("Event", fleet.namespace)
        if any(word in event["reason"].lower() for word in ("remediat", "unhealthy"))
        and not event["message"].endswith("unhealthy node ")
    }
