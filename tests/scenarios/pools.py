"""`python -m tests.scenarios.pools --line 1.14`: MachinePools under the real Cluster API controllers.

One cluster of a class with a MachinePool: it comes up, grows, is healed by a health check, is told which
machine to give up first, changes its version, and goes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.e2e import build, manifests, processes
from tests.e2e.fleet import CLUSTER_LABEL, Fleet, cluster_document
from tests.e2e.kube import wait_until
from tests.e2e.provider import CapimProvider
from tests.e2e.testbed import Testbed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.e2e.kube import JsonObject

_NAME: Final = "pooled"
_POOL_LABEL: Final = "cluster.x-k8s.io/pool-name"
_INFRASTRUCTURE: Final = "infrastructure.cluster.x-k8s.io/v1alpha1"


def documents(provider: CapimProvider) -> list[JsonObject]:
    """Return the provider's class with a MachinePool beside its MachineDeployment."""
    found = list(manifests.without_delays(provider.class_documents()))
    [of_class] = (it for it in found if it["kind"] == "ClusterClass")
    workers = of_class["spec"]["workers"]
    bootstrap = workers["machineDeployments"][0]["template"]["bootstrap"]
    reference = {
        "apiVersion": _INFRASTRUCTURE,
        "kind": "InMemoryMachinePoolTemplate",
        "name": "in-memory-quick-start-pool",
    }
    template = {"bootstrap": bootstrap, "infrastructure": {"ref": reference}}
    workers["machinePools"] = [{"class": "default-pool", "template": template}]
    pool = {
        "apiVersion": _INFRASTRUCTURE,
        "kind": "InMemoryMachinePoolTemplate",
        "metadata": {"name": reference["name"]},
        "spec": {"template": {"spec": {}}},
    }
    return [pool, *found]


@dataclass
class Pool:
    """The cluster and its pool."""

    fleet: Fleet

    def create(self, replicas: int) -> None:
        """Make a cluster of one control plane machine and a pool."""
        document = cluster_document(_NAME)
        pool = {"class": "default-pool", "name": "mp-0", "replicas": replicas}
        document["spec"]["topology"] = {
            "class": "in-memory-quick-start",
            "version": self.fleet.version,
            "controlPlane": {"replicas": 1},
            "workers": {"machinePools": [pool]},
        }
        self.fleet.kube.create(document, self.fleet.namespace)

    def change(self, *, replicas: int, version: str) -> None:
        """Ask for another size or version."""
        cluster = self.fleet.kube.get("Cluster", self.fleet.namespace, _NAME)
        topology = cluster["spec"]["topology"]
        topology["version"] = version
        topology["workers"]["machinePools"][0]["replicas"] = replicas
        self.fleet.kube.patch("Cluster", self.fleet.namespace, _NAME, {"spec": cluster["spec"]})

    def one(self, kind: str) -> JsonObject:
        """Return the only object of a kind."""
        [found] = self.fleet.kube.list(kind, self.fleet.namespace)
        return found

    def machines(self) -> list[JsonObject]:
        """Return the pool's Machines."""
        labels = f"{CLUSTER_LABEL}={_NAME},{_POOL_LABEL}"
        return self.fleet.kube.list("Machine", self.fleet.namespace, labels=labels)

    def names(self) -> set[str]:
        """Return the names of the pool's InMemoryMachines."""
        return {it["spec"]["infrastructureRef"]["name"] for it in self.machines()}

    def missing(self, replicas: int, version: str) -> list[str]:
        """Name what the pool lacks of so many machines of a version."""
        self.fleet.provider.check_alive()
        pools = self.fleet.kube.list("MachinePool", self.fleet.namespace)
        if not pools:
            return ["no MachinePool"]
        left = _pool_gaps(pools[0], replicas)
        machines = self.machines()
        if len(machines) != replicas:
            left.append(f"{len(machines)} machines, not {replicas}")
        for machine in machines:
            left += _machine_gaps(machine, version)
        nodes = self.fleet.workload(_NAME).list("Node") if not left else []
        if nodes and len(nodes) != replicas + 1:
            left.append(f"{len(nodes)} nodes, not {replicas + 1}")
        return left

    def wait(self, replicas: int, version: str) -> None:
        """Wait until the pool is whole."""
        what = f"a pool of {replicas} at {version}"
        wait_until(lambda: self.missing(replicas, version), 300, what)


def _pool_gaps(pool: JsonObject, replicas: int) -> list[str]:
    status, identities = pool.get("status", {}), pool["spec"].get("providerIDList") or []
    found = {
        "phase": status.get("phase"),
        "replicas": status.get("replicas", 0),
        "identities": len(identities),
        "nodes": len(status.get("nodeRefs") or []),
    }
    wanted = {"phase": "Running", **dict.fromkeys(("replicas", "identities", "nodes"), replicas)}
    return [
        f"{name} {found[name]}, not {wanted[name]}"
        for name in wanted
        if found[name] != wanted[name]
    ]


def _machine_gaps(machine: JsonObject, version: str) -> list[str]:
    name, status, spec = machine["metadata"]["name"], machine.get("status", {}), machine["spec"]
    left = [] if status.get("phase") == "Running" else [f"{name}: phase {status.get('phase')}"]
    kubelet = (status.get("nodeInfo") or {}).get("kubeletVersion")
    if version not in {spec.get("version"), kubelet}:
        left.append(f"{name}: version {spec.get('version')}, kubelet {kubelet}, not {version}")
    return left


# --- the steps ---


def come_up(pool: Pool) -> None:
    """Two machines, each with its Machine and Node."""
    pool.create(2)
    pool.wait(2, pool.fleet.version)


def grow(pool: Pool) -> None:
    """A third machine; the two remain."""
    before = pool.names()
    pool.change(replicas=3, version=pool.fleet.version)
    pool.wait(3, pool.fleet.version)
    assert before < pool.names(), (before, pool.names())


def heal(pool: Pool) -> None:
    """A machine whose Node is not ready is replaced when a health check says so."""
    before = pool.names()
    sick = min(before)
    _create(pool, _health_check())
    _create(pool, _fault(sick))
    wait_until(lambda: [sick] if sick in pool.names() else [], 300, f"{sick} replaced")
    pool.fleet.kube.delete("InMemoryFault", pool.fleet.namespace, _NAME)
    pool.fleet.kube.delete("MachineHealthCheck", pool.fleet.namespace, _NAME)
    pool.wait(3, pool.fleet.version)


def shrink(pool: Pool) -> None:
    """Of three machines the one that is marked goes."""
    [marked, *_] = pool.machines()
    change: JsonObject = {"metadata": {"annotations": {"cluster.x-k8s.io/delete-machine": ""}}}
    name = marked["metadata"]["name"]
    pool.fleet.kube.patch("Machine", pool.fleet.namespace, name, change)
    pool.change(replicas=2, version=pool.fleet.version)
    pool.wait(2, pool.fleet.version)
    assert name not in {it["metadata"]["name"] for it in pool.machines()}, name


def upgrade(pool: Pool) -> None:
    """Another version: all machines are replaced."""
    before = pool.names()
    pool.change(replicas=2, version=pool.fleet.next_version)
    pool.wait(2, pool.fleet.next_version)
    assert not before & pool.names(), (before, pool.names())


def vanish(pool: Pool) -> None:
    """Nothing is left of the pool."""
    pool.change(replicas=0, version=pool.fleet.next_version)
    pool.wait(0, pool.fleet.next_version)
    pool.fleet.delete([_NAME], timeout_s=240)
    assert pool.fleet.kube.list("InMemoryMachinePool", pool.fleet.namespace) == []


_STEPS: Final[tuple[Callable[[Pool], None], ...]] = (come_up, grow, heal, shrink, upgrade, vanish)


def _create(pool: Pool, document: dict[str, Any]) -> None:
    pool.fleet.kube.create(document, pool.fleet.namespace)


def _health_check() -> JsonObject:
    return {
        "apiVersion": "cluster.x-k8s.io/v1beta1",
        "kind": "MachineHealthCheck",
        "metadata": {"name": _NAME},
        "spec": {
            "clusterName": _NAME,
            "selector": {"matchExpressions": [{"key": _POOL_LABEL, "operator": "Exists"}]},
            "unhealthyConditions": [{"type": "Ready", "status": "False", "timeout": "10s"}],
        },
    }


def _fault(machine: str) -> JsonObject:
    return {
        "apiVersion": _INFRASTRUCTURE,
        "kind": "InMemoryFault",
        "metadata": {"name": _NAME},
        "spec": {"machines": {"names": [machine]}, "nodes": {"effect": "NotReady"}, "seed": 1},
    }


def play_line(line: str) -> bool:
    """Take all steps on a testbed of its own; return whether all went well."""
    with tempfile.TemporaryDirectory(prefix="capim-pools-") as folder:
        testbed = Testbed.start(line, Path(folder) / line)
        try:
            provider = CapimProvider(testbed, port_count=3)
            with Fleet.in_namespace(testbed.kube, line, "pools", provider) as fleet:
                fleet.kube.apply(documents(provider), fleet.namespace)
                well = all(_taken(line, step, Pool(fleet)) for step in _STEPS)
            provider.stop()
        finally:
            testbed.stop()
    return well


def _taken(line: str, step: Callable[[Pool], None], pool: Pool) -> bool:
    began, wrong = time.monotonic(), ""
    try:
        step(pool)
    except AssertionError as error:
        wrong = f"NOT: {error}"
    seconds = time.monotonic() - began
    sys.stdout.write(f"{line}  {step.__name__}: {wrong or 'as expected'} ({seconds:.0f} s)\n")
    sys.stdout.flush()
    return not wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Play and print; return 1 when something was not as expected."""
    parser = argparse.ArgumentParser(prog="python -m tests.scenarios.pools", description=__doc__)
    parser.add_argument("--line", choices=tuple(build.CLUSTER_API), action="append")
    lines = parser.parse_args(arguments).line or list(build.CLUSTER_API)
    with processes.ending_cleanly():
        return 0 if all(tuple(play_line(line) for line in lines)) else 1


if __name__ == "__main__":
    sys.exit(main())
