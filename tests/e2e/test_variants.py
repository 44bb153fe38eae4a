"""Clusters other than the quick-start's, and what people do to clusters that run."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.e2e.authority import Authority
from tests.e2e.fleet import Fleet
from tests.e2e.kube import conditions, wait_until
from tests.e2e.plain import authority_secret, pick, plain_cluster
from tests.e2e.ports import free_ports
from tests.e2e.provider import CapimProvider
from tests.e2e.relay import relay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.kube import JsonObject
    from tests.e2e.provider import Provider
    from tests.e2e.testbed import Testbed

_OWN_AUTHORITY = Authority("own")
[_BALANCER_PORT] = free_ports(1)
_PAUSED = "cluster.x-k8s.io/paused"
_ENDPOINT_ANNOTATION = "inmemorycluster.infrastructure.cluster.x-k8s.io/endpoint"


@pytest.fixture(scope="module")
def fleet(testbed: Testbed, provider: Provider) -> Iterator[Fleet]:
    """Create the clusters of all these flows at once: most of a cluster's start is waiting."""
    with Fleet.in_namespace(testbed.kube, testbed.line, "variants", provider) as made:
        made.apply_class()
        if isinstance(provider, CapimProvider):
            # first, or another cluster may be given the port
            _create_with_endpoint(made, "chosen", "127.0.0.1", provider.ports[-1])
            wait_until(lambda: _unleased(made, "chosen"), 60, "the chosen port is leased")
        made.create("drain", made.size(1, 2))
        for name in ("plain", "held", "other"):
            made.kube.apply(plain_cluster(made, name), made.namespace)
        made.kube.apply(_with_paused_worker(made), made.namespace)
        if not isinstance(provider, CapimProvider):
            yield made
            return
        _create_elliptic(made)
        _create_with_endpoint(made, "balanced", "localhost", _BALANCER_PORT)
        with relay(_BALANCER_PORT, lambda: _leased(made, "balanced")):
            yield made


def _with_paused_worker(fleet: Fleet) -> list[JsonObject]:
    documents = plain_cluster(fleet, "paused")
    template = pick(documents, "InMemoryMachineTemplate", "-worker")
    template["spec"]["template"]["metadata"] = {"annotations": {_PAUSED: ""}}
    return documents


def _create_elliptic(fleet: Fleet) -> None:
    data = {"tls.crt": _OWN_AUTHORITY.certificate_pem, "tls.key": _OWN_AUTHORITY.key_pem}
    fleet.kube.create(authority_secret("elliptic", "ca", data), fleet.namespace)
    fleet.kube.apply(plain_cluster(fleet, "elliptic"), fleet.namespace)


def _create_with_endpoint(fleet: Fleet, name: str, host: str, port: int) -> None:
    documents = plain_cluster(fleet, name)
    endpoint = {"controlPlaneEndpoint": {"host": host, "port": port}}
    pick(documents, "InMemoryCluster")["spec"] = endpoint
    fleet.kube.apply(documents, fleet.namespace)


def test_plain_templates(fleet: Fleet) -> None:
    """A cluster needs no ClusterClass."""
    fleet.wait_running(["plain"], fleet.size(1, 1))
    fleet.delete(["plain"])


def test_paused_machine_waits(fleet: Fleet) -> None:
    """A machine that is paused is not made; unpaused, it is."""
    # an unpaused cluster that is whole by then says that there was time for the paused machine too
    fleet.wait_running(["other"], fleet.size(1, 1))
    wait_until(lambda: _not_running(fleet, "paused"), 120, "control plane of the paused cluster")

    [machine] = fleet.machines("paused", control_plane=False)
    name = machine["spec"]["infrastructureRef"]["name"]
    paused = fleet.kube.get("InMemoryMachine", fleet.namespace, name)
    assert "providerID" not in paused.get("spec", {})

    unpause = {"metadata": {"annotations": {_PAUSED: None}}}
    fleet.kube.patch("InMemoryMachine", fleet.namespace, name, unpause)
    # Cluster API 1.7 becomes the owner of an object after its pause only, and so does not see the end
    nudge = {"metadata": {"annotations": {"e2e": "unpaused"}}}
    fleet.kube.patch("Machine", fleet.namespace, machine["metadata"]["name"], nudge)
    fleet.wait_running(["paused"], fleet.size(1, 1))


def _not_running(fleet: Fleet, name: str) -> list[str]:
    machines = fleet.machines(name, control_plane=True)
    phases = [machine.get("status", {}).get("phase", "") for machine in machines]
    return [] if phases == ["Running"] else [f"phases {phases}"]


def test_paused_cluster_keeps_its_machines(fleet: Fleet) -> None:
    """What is deleted in a paused cluster stays until the cluster is unpaused."""
    fleet.wait_running(["held", "other"], fleet.size(1, 1))
    fleet.kube.patch("Cluster", fleet.namespace, "held", {"spec": {"paused": True}})
    [machine] = fleet.machines("held", control_plane=False)
    name = machine["spec"]["infrastructureRef"]["name"]
    if fleet.provider.name == "capim":
        # a watch on Machines may be ahead of the one on Clusters: wait until the pause has arrived
        wait_until(lambda: _unpaused(fleet, name), 30, "the machine says that it is paused")
    fleet.kube.delete("Machine", fleet.namespace, machine["metadata"]["name"])
    fleet.kube.delete("InMemoryMachine", fleet.namespace, name)
    # there was time to delete if another cluster got a machine meanwhile
    fleet.kube.patch(
        "MachineDeployment", fleet.namespace, "other-worker", {"spec": {"replicas": 2}}
    )
    fleet.wait_running(["other"], fleet.size(1, 2))
    node = machine["status"]["nodeRef"]["name"]
    workload = fleet.workload("held")
    assert fleet.kube.find("InMemoryMachine", fleet.namespace, name)
    assert workload.find("Node", "", node)

    fleet.kube.patch("Cluster", fleet.namespace, "held", {"spec": {"paused": False}})
    fleet.wait_running(["held"], fleet.size(1, 1))
    assert machine["metadata"]["uid"] not in fleet.uids("held")
    assert workload.find("Node", "", node) is None


def _unpaused(fleet: Fleet, name: str) -> list[str]:
    machine = fleet.kube.get("InMemoryMachine", fleet.namespace, name)
    paused = conditions(machine).get("Paused", {})
    return [] if paused.get("status") == "True" else [f"InMemoryMachine/{name}: {paused}"]


def test_drain_and_delete_a_machine(fleet: Fleet, tmp_path: Path) -> None:
    """A node is drained and its Machine deleted; another takes its place, the rest stay."""
    fleet.wait_running(["drain"], fleet.size(1, 2))
    before = fleet.uids("drain")
    victim = fleet.machines("drain", control_plane=False)[0]
    node = victim["status"]["nodeRef"]["name"]
    if fleet.provider.name == "capim":
        _drain(fleet, "drain", node, tmp_path)

    fleet.kube.delete("Machine", fleet.namespace, victim["metadata"]["name"])
    wait_until(
        lambda: sorted({victim["metadata"]["uid"]} & fleet.uids("drain")), 120, "Machine deleted"
    )
    fleet.wait_running(["drain"], fleet.size(1, 2))
    assert before - fleet.uids("drain") == {victim["metadata"]["uid"]}
    nodes = {item["metadata"]["name"] for item in fleet.workload("drain").list("Node")}
    assert node not in nodes
    assert len(nodes) == 3


def _drain(fleet: Fleet, name: str, node: str, folder: Path) -> None:
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(fleet.kubeconfig(name)))
    command = ["kubectl", f"--kubeconfig={kubeconfig}", "drain", node, "--ignore-daemonsets"]
    done = subprocess.run(
        [*command, "--timeout=60s"], capture_output=True, text=True, check=False, timeout=90
    )
    assert done.returncode == 0, done.stderr
    drained = fleet.workload(name).get("Node", "", node)
    assert drained["spec"]["unschedulable"]


def test_port_of_the_users_choice(fleet: Fleet, capim: CapimProvider) -> None:
    """An endpoint of ours in the spec is the one that is served."""
    fleet.wait_running(["chosen"], fleet.size(1, 1))
    assert fleet.endpoint("chosen") == ("127.0.0.1", capim.ports[-1])


def test_endpoint_of_a_load_balancer(fleet: Fleet, capim: CapimProvider) -> None:
    """A foreign endpoint is kept; CAPIM says where it should lead."""
    capim.check_alive()
    fleet.wait_running(["balanced"], fleet.size(1, 1))
    assert fleet.endpoint("balanced") == ("localhost", _BALANCER_PORT)
    assert len(fleet.workload("balanced").list("Node")) == 2
    fleet.delete(["balanced"])


def _unleased(fleet: Fleet, name: str) -> list[str]:
    return [] if _leased(fleet, name) else [f"InMemoryCluster/{name}: no port noted"]


def _leased(fleet: Fleet, name: str) -> tuple[str, int] | None:
    """Return where CAPIM serves a cluster, as it notes on the InMemoryCluster."""
    cluster = fleet.kube.get("InMemoryCluster", fleet.namespace, name)
    noted = cluster["metadata"].get("annotations", {}).get(_ENDPOINT_ANNOTATION, "")
    host, _, port = noted.rpartition(":")
    return (host, int(port)) if host else None


def test_elliptic_authority(fleet: Fleet, capim: CapimProvider) -> None:
    """A cluster lives with an authority of the user's own, with a P-256 key."""
    capim.check_alive()
    fleet.wait_running(["elliptic"], fleet.size(1, 1))
    [cluster] = fleet.kubeconfig("elliptic")["clusters"]
    assert cluster["cluster"]["certificate-authority-data"] == _OWN_AUTHORITY.bundle
    assert len(fleet.workload("elliptic").list("Node")) == 2
