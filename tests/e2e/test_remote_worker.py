"""A worker that the coordinator does not start: it comes by TCP, as one on another host would."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import pytest
import urllib3

from tests.e2e import ports
from tests.e2e.kube import wait_until
from tests.e2e.processes import Process
from tests.e2e.provider import capim_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.fleet import Fleet
    from tests.e2e.kube import Kube
    from tests.e2e.provider import CapimProvider

_NAME: Final = "far"
_BACK_WITHIN_S: Final = 10
_PLACEMENT: Final = "inmemorycluster.infrastructure.cluster.x-k8s.io/placement"


# urllib3 drops a socket unclosed when its peer dies during the handshake
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_worker_by_tcp(fleet: Fleet, capim: CapimProvider, tmp_path: Path) -> None:
    """Clusters are spread over local and remote workers; a remote one that dies comes back whole."""
    address = f"tcp://127.0.0.1:{ports.free_ports(1)[0]}"
    keys = tmp_path / "keys"
    Process.start(
        "keys", [*capim_command(), "keys", str(keys), _NAME], folder=tmp_path
    ).popen.wait()
    command = [*capim_command(), "worker", "--name", _NAME, "--connect", address]
    command += ["--keys", str(keys), "--runtime-dir", str(tmp_path / "run")]
    with _running(command, tmp_path) as worker:
        flags = [f"--remote-workers={_NAME}=127.0.0.1", f"--worker-listen={address}"]
        capim.restart(flags=["--workers=1", *flags, f"--worker-keys={keys}"])
        try:
            fleet.apply_class()
            size = fleet.size(1, 1)
            for name in ("one", "two"):
                fleet.create(name, size)
            fleet.wait_running(["one", "two"], size)
            [far] = [name for name in ("one", "two") if _placed(fleet, name) == _NAME]
            client = fleet.workload(far)
            before = _nodes(client)
            assert len(before) == 2
            worker.kill()
            with _running(command, tmp_path):
                wait_until(lambda: _changed(client, before), _BACK_WITHIN_S, "the nodes are back")
                fleet.resize(far, fleet.size(1, 2))
                fleet.wait_running([far], fleet.size(1, 2))
                fleet.delete(["one", "two"])
        finally:
            capim.restart()


@contextlib.contextmanager
def _running(command: list[str], folder: Path) -> Iterator[Process]:
    process = Process.start(_NAME, command, folder=folder)
    try:
        yield process
    finally:
        process.stop()


def _nodes(client: Kube) -> dict[str, str]:
    return {node["metadata"]["name"]: node["metadata"]["uid"] for node in client.list("Node")}


def _changed(client: Kube, before: dict[str, str]) -> list[str]:
    try:
        after = _nodes(client)
    except urllib3.exceptions.HTTPError as error:
        return [str(error)]
    assert after == before
    return []


def _placed(fleet: Fleet, name: str) -> str:
    [cluster] = [
        item
        for item in fleet.kube.list("InMemoryCluster", fleet.namespace)
        if item["metadata"]["labels"]["cluster.x-k8s.io/cluster-name"] == name
    ]
    noted: str = cluster["metadata"]["annotations"][_PLACEMENT]
    return noted.rpartition("/")[2]
