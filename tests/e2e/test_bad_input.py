"""Mistakes are answered with the field at fault and the way out."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.authority import Authority
from tests.e2e.fleet import cluster_document
from tests.e2e.kube import KubeError, conditions, wait_until
from tests.e2e.plain import authority_secret, plain_cluster
from tests.e2e.provider import capim_command

if TYPE_CHECKING:
    from tests.e2e.fleet import Fleet
    from tests.e2e.kube import JsonObject
    from tests.e2e.provider import CapimProvider


def _template(**provisioning: str) -> JsonObject:
    behaviour = {"vm": {"provisioning": {"startupDuration": "1s", **provisioning}}}
    return {
        "apiVersion": "infrastructure.cluster.x-k8s.io/v1alpha1",
        "kind": "InMemoryMachineTemplate",
        "metadata": {"name": "bad"},
        "spec": {"template": {"spec": {"behaviour": behaviour}}},
    }


@pytest.mark.parametrize(
    ("provisioning", "words"),
    [
        pytest.param({"startupDuration": "soon"}, ("Duration", "write for example"), id="duration"),
        pytest.param({"startupDuration": "-1s"}, ("Duration", "not be negative"), id="negative"),
        pytest.param({"startupJitter": "2"}, ("Jitter", "from 0 to 1"), id="jitter"),
        pytest.param({"startupJitter": "some"}, ("Jitter", "write for example"), id="no-number"),
    ],
)
def test_behaviour_is_refused(
    fleet: Fleet, capim: CapimProvider, provisioning: dict[str, str], words: tuple[str, ...]
) -> None:
    """A start-up behaviour that cannot be is refused by the webhook."""
    capim.check_alive()
    with pytest.raises(KubeError) as refused:
        fleet.kube.create(_template(**provisioning), fleet.namespace)
    assert refused.value.code in {400, 403, 422}
    for word in ("vm.provisioning.startup", *words):
        assert word in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(
            ["--port-range=24000-20000"], ("--port-range", "20000-24000"), id="range-backwards"
        ),
        pytest.param(["--port-range=many"], ("--port-range", "such as"), id="no-range"),
        pytest.param(
            ["--kubeconfig=/nowhere/kubeconfig"], ("--kubeconfig", "/nowhere"), id="kubeconfig"
        ),
        pytest.param(["--no-such-flag"], ("--no-such-flag", "--help"), id="unknown-flag"),
        pytest.param(["--sync-period=soon"], ("--sync-period", "1m30s"), id="flag-duration"),
    ],
)
def test_flag_is_explained(
    capim: CapimProvider, line: str, arguments: list[str], words: tuple[str, ...]
) -> None:
    """A manager that cannot run ends at once and says which flag to change."""
    assert line
    _assert_explained(_run([*capim.arguments(), *arguments], POD_IP="127.0.0.1"), words)


def test_missing_address_is_explained(capim: CapimProvider, line: str) -> None:
    """Without an address to advertise the manager names both ways to give one."""
    assert line
    arguments = [word for word in capim.arguments() if not word.startswith("--advertise-host")]
    _assert_explained(_run(arguments), ("--advertise-host", "POD_IP"))


def _run(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "POD_IP"}
    return subprocess.run(
        [*capim_command(), "manager", *arguments],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def _assert_explained(done: subprocess.CompletedProcess[str], words: tuple[str, ...]) -> None:
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert "Traceback" not in said
    for word in words:
        assert word in said


def test_broken_authority_is_named(fleet: Fleet, capim: CapimProvider) -> None:
    """A Secret whose key does not fit is named, with the key at fault."""
    capim.check_alive()
    data = {"tls.crt": Authority("one").certificate_pem, "tls.key": b"not a key"}
    fleet.kube.create(authority_secret("broken", "etcd", data), fleet.namespace)
    fleet.kube.apply(plain_cluster(fleet, "broken"), fleet.namespace)
    wait_until(
        lambda: _unsaid(fleet, "broken", ("broken-etcd", "tls.key")), 120, "the broken key named"
    )


def test_missing_authority_is_named(fleet: Fleet, capim: CapimProvider) -> None:
    """Without a control plane provider there is no authority; the Secret to make is named."""
    capim.check_alive()
    fleet.kube.apply(_without_control_plane("lonely", fleet.version), fleet.namespace)
    wait_until(
        lambda: _unsaid(fleet, "lonely", ("lonely-", "tls.crt")), 120, "the missing Secret named"
    )


def test_occupied_port_is_named(fleet: Fleet, capim: CapimProvider) -> None:
    """When every port belongs to somebody else, the cluster says so; freed, it comes up."""
    with socket.create_server(("127.0.0.1", capim.ports[0])):
        capim.restart(ports=capim.ports[:1])
        fleet.kube.apply(plain_cluster(fleet, "waiting"), fleet.namespace)
        wait_until(lambda: _unsaid(fleet, "waiting", (str(capim.ports[0]),)), 120, "the port named")
    capim.restart()
    fleet.wait_running(["waiting"], fleet.size(1, 1))


def _unsaid(fleet: Fleet, name: str, words: tuple[str, ...]) -> list[str]:
    """Return the conditions' messages while none of them has all `words`."""
    labels = f"cluster.x-k8s.io/cluster-name={name}"
    said = [
        f"{kind} {condition['type']}: {condition.get('message', '')}"
        for kind in ("InMemoryCluster", "InMemoryMachine")
        for item in fleet.kube.list(kind, fleet.namespace, labels=labels)
        for condition in conditions(item).values()
    ]
    if any(all(word in message for word in words) for message in said):
        return []
    return said or [f"no conditions on {name}"]


def _without_control_plane(name: str, version: str) -> list[JsonObject]:
    """Return a cluster and a control plane machine that nobody makes certificates for."""
    infrastructure = {"apiVersion": "infrastructure.cluster.x-k8s.io/v1alpha1"}
    cluster = cluster_document(name)
    cluster["spec"]["infrastructureRef"] = {
        **infrastructure,
        "kind": "InMemoryCluster",
        "name": name,
    }
    labels = {
        "cluster.x-k8s.io/cluster-name": name,
        "cluster.x-k8s.io/control-plane": "",
    }
    machine = {
        "apiVersion": "cluster.x-k8s.io/v1beta1",
        "kind": "Machine",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "clusterName": name,
            "version": version,
            "bootstrap": {"dataSecretName": f"{name}-bootstrap"},
            "infrastructureRef": {**infrastructure, "kind": "InMemoryMachine", "name": name},
        },
    }
    bootstrap = authority_secret(name, "bootstrap", {"value": b"nothing"})
    return [
        cluster,
        {**infrastructure, "kind": "InMemoryCluster", "metadata": {"name": name}, "spec": {}},
        bootstrap,
        {
            **infrastructure,
            "kind": "InMemoryMachine",
            "metadata": {"name": name, "labels": labels},
            "spec": {},
        },
        machine,
    ]
