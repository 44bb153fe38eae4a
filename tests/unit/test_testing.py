"""In scope: `capim.testing` and its fixtures as another project's tests use them."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

import pytest

import capim.testing

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["pytester"]


@pytest.fixture(scope="module")
def fleet() -> Iterator[capim.testing.Fleet]:
    with capim.testing.fleet() as started:
        yield started


def ready(cluster: capim.testing.Cluster, node: str) -> str:
    found = cluster.request("GET", f"/api/v1/nodes/{node}").json()["status"]["conditions"]
    return str(next(one["status"] for one in found if one["type"] == "Ready"))


def test_a_cluster_is_whole_when_it_is_there(fleet: capim.testing.Fleet) -> None:
    cluster = fleet.cluster("whole", control_planes=3, workers=2, version="v1.31.0")
    nodes = cluster.request("GET", "/api/v1/nodes").json()["items"]
    assert sorted(one["metadata"]["name"] for one in nodes) == sorted(cluster.machines)
    assert {one["status"]["nodeInfo"]["kubeletVersion"] for one in nodes} == {"v1.31.0"}
    assert cluster.server in cluster.kubeconfig.read_text()
    cluster.delete()
    with pytest.raises(ConnectionRefusedError):
        cluster.request("GET", "/api/v1/nodes")


def test_requests_fail_for_the_time_of_a_fault(fleet: capim.testing.Fleet) -> None:
    cluster = fleet.cluster("failing")
    with cluster.fault(apiServer={"effect": "ServiceUnavailable"}) as fault:
        assert cluster.request("GET", "/api/v1/nodes").status == 503
        fault.wait_for_hits(1)
    assert cluster.request("GET", "/api/v1/nodes").status == 200
    assert fault.hits == 1


def test_machines_come_suffer_and_go(fleet: capim.testing.Fleet) -> None:
    cluster = fleet.cluster("suffering")
    sick = {"nodes": {"effect": "NotReady"}, "machines": {"failureDomains": ["east"]}}
    with cluster.fault(**sick) as fault:
        cluster.add_machine("new", failure_domain="east")
        cluster.wait_until_ready()
        fault.wait_for_hits(1)
        assert (ready(cluster, "new"), ready(cluster, "suffering-md-0")) == ("False", "True")
    cluster.remove_machine("new")
    names = {"spec": {"unschedulable": True}}
    assert cluster.request("PATCH", "/api/v1/nodes/suffering-md-0", names).status == 200
    assert cluster.request("GET", "/api/v1/nodes/new").status == 404


def test_a_machine_that_is_held_up_is_waited_for_in_vain(fleet: capim.testing.Fleet) -> None:
    cluster = fleet.cluster("held")
    with cluster.fault(cloud={"effect": "NoCapacity"}):
        cluster.add_machine("late")
        with pytest.raises(TimeoutError, match="cluster held ready"):
            cluster.wait_until_ready(timeout_s=0.05)
    cluster.wait_until_ready()


def test_a_fault_that_is_none_names_the_field(fleet: capim.testing.Fleet) -> None:
    cluster = fleet.cluster("careful")
    with pytest.raises(ValueError, match=r"spec\.apiServer\.effect"):
        cluster.fault(apiServer={"effect": "Boredom"})


def test_the_fixtures_serve_other_projects(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project of three tests; the plugin is named by hand, since it may or may not be installed."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        textwrap.dedent(
            """
            def test_one(capim_cluster):
                assert capim_cluster.request("GET", "/readyz").status == 200

            def test_each_has_its_own(capim_cluster, capim_fleet):
                other = capim_fleet.cluster("other")
                assert other.server != capim_cluster.server

            def test_a_controller_sees_the_error(capim_cluster):
                with capim_cluster.fault(apiServer={"effect": "InternalError"}):
                    assert capim_cluster.request("GET", "/api/v1/pods").status == 500
            """
        )
    )
    result = pytester.runpytest_inprocess("-p", "capim.pytestplugin", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3)


def test_the_plugin_costs_nothing_until_it_is_used(pytester: pytest.Pytester) -> None:
    script = "import sys, json, capim.pytestplugin; print(json.dumps(sorted(sys.modules)))"
    result = pytester.runpython_c(script)
    loaded = json.loads(result.stdout.lines[-1])
    assert not {"zmq", "uvloop", "capim.testing.fleet"} & set(loaded)


def test_the_same_seed_fails_the_same_requests_and_machines_in_another_fleet() -> None:
    def played(seed: int) -> tuple[list[int], list[str]]:
        with capim.testing.fleet() as started:
            cluster = started.cluster("repeated", workers=5)
            chance = {"probability": "0.5", "seed": seed}
            with cluster.fault(nodes={"effect": "NotReady"}, **chance) as sick:
                sick.wait_for_hits(1)
                states = [ready(cluster, name) for name in sorted(cluster.machines)]
            with cluster.fault(apiServer={"effect": "InternalError"}, **chance):
                codes = [cluster.request("GET", "/api/v1/nodes").status for _ in range(24)]
        return codes, states

    first = played(7)
    assert first == played(7)
    assert set(first[0]) == {200, 500}
    assert set(first[1]) == {"True", "False"}
