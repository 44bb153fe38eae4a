"""`capim kubeconfig`: the way in, the file, and commands; with a workload cluster that answers for real."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from capim.cli import kubeconfig as command
from capim.cli.commandline import CommandError, Where
from capim.cli.workload import Wish, names, run
from coordinator.placement import ENDPOINT_ANNOTATION, PLACEMENT_ANNOTATION
from tests.conformance.fake import kubeconfig as admin_kubeconfig
from tests.support.kubeapi import until
from tests.support.kubelet import relay
from tests.support.portforward import UpgradeServer
from tests.support.served import Running, running
from tests.unit.catalogue.site import CONTROL_PLANE, make_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


_INFRA = "/apis/infrastructure.cluster.x-k8s.io/v1alpha1/namespaces/default/inmemoryclusters"
#: what asks a cluster for its namespaces with the kubeconfig of its environment
_CLIENT = """
import asyncio, os, sys
from kubernetes.aio import client, config
async def main():
    await config.load_kube_config(config_file=os.environ["KUBECONFIG"])
    async with client.ApiClient() as api:
        found = await client.CoreV1Api(api).list_namespace()
        print(sorted(it.metadata.name for it in found.items)[0])
    sys.exit(7)
asyncio.run(main())
"""


@dataclass
class Site:
    """A workload cluster, and a management cluster that answers by path."""

    cluster: Running
    objects: dict[str, Any]
    where: Where
    folder: Path

    def move_away(self) -> None:
        """Let the endpoint that is told be one that nobody reaches, as a pod's is from outside."""
        self._tell(self.config.replace(f"127.0.0.1:{self.cluster.listener.port}", "127.0.0.1:1"))

    def _tell(self, text: str) -> None:
        secret = {"data": {"value": base64.b64encode(text.encode()).decode()}}
        self.objects["/api/v1/namespaces/default/secrets/one-kubeconfig"] = secret

    def tell(self) -> None:
        """Let the Secret say what is true."""
        self.config = admin_kubeconfig(self.cluster)
        self._tell(self.config)

    def file(self) -> dict[str, Any]:
        """Return the kubeconfig that was merged into."""
        config: dict[str, Any] = yaml.safe_load((self.folder / "config").read_text())
        return config


def pod(name: str, role: str) -> dict[str, Any]:
    labels = {"control-plane": role}
    return {"metadata": {"name": name, "labels": labels}, "status": {"phase": "Running"}}


@contextlib.asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    """Serve both; the management cluster has the manager's pod, whose ports are this machine's."""
    _, served = make_cluster(CONTROL_PLANE)
    objects: dict[str, Any] = {}

    def answer(path: str) -> object:
        return objects.get(path.partition("?")[0])

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: UpgradeServer(relay, answer), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    management = {
        "clusters": [{"name": "m", "cluster": {"server": url}}],
        "contexts": [{"name": "m", "context": {"cluster": "m", "user": "m"}}],
        "users": [{"name": "m", "user": {}}],
        "current-context": "m",
    }
    (folder / "management").write_text(yaml.safe_dump(management))
    async with running(served) as cluster:
        owner = {"apiVersion": "cluster.x-k8s.io/v1beta1", "kind": "Cluster", "name": "one"}
        annotations = {
            ENDPOINT_ANNOTATION: f"10.0.0.1:{cluster.listener.port}",
            PLACEMENT_ANNOTATION: "here/worker-0",
        }
        metadata = {
            "name": "one",
            "namespace": "default",
            "ownerReferences": [owner],
            "annotations": annotations,
        }
        objects[_INFRA] = {"items": [{"metadata": metadata}]}
        objects["/api/v1/namespaces/capim-system/pods"] = {
            "items": [pod("manager-1", "controller-manager")]
        }
        made = Site(cluster, objects, Where(str(folder / "management")), folder)
        made.tell()
        try:
            yield made
        finally:
            server.close()


def told(folder: Path, scenario: Callable[[Site], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        async with site(folder) as made:
            return await scenario(made)

    return asyncio.run(whole())


async def heard(capsys: pytest.CaptureFixture[str], text: str) -> str:
    """Wait for words on standard error, and return all that was said until then."""
    said: list[str] = []

    def is_said() -> bool:
        said.append(capsys.readouterr().err)
        return text in "".join(said)

    await until(is_said)
    return "".join(said)


def to_file(folder: Path, **fields: Any) -> Wish:
    return Wish("one", file=str(folder / "config"), **fields)


def test_an_endpoint_in_reach_is_merged_and_made_current(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario(made: Site) -> dict[str, Any]:
        assert await run(made.where, to_file(tmp_path)) == 0
        assert made.file()["clusters"][0]["cluster"]["server"] == made.cluster.url
        return made.file()

    assert told(tmp_path, scenario)["current-context"] == "default/one"
    assert capsys.readouterr().out == f'Context "default/one" is in {tmp_path}/config.\n'


def test_another_context_stays_current_if_wanted_and_else_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config").write_bytes(b"current-context: mine\n")

    async def scenario(made: Site) -> None:
        await run(made.where, to_file(tmp_path, switch=False))
        assert made.file()["current-context"] == "mine"
        await run(made.where, to_file(tmp_path))
        assert made.file()["current-context"] == "default/one"

    told(tmp_path, scenario)
    said = capsys.readouterr().out
    assert "To use it: kubectl --context default/one get nodes" in said
    assert "Back: kubectl config use-context mine" in said


def test_a_command_runs_in_the_cluster_by_a_forward_and_its_code_is_ours(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def scenario(made: Site) -> int:
        made.move_away()
        wish = Wish("default/one", command=(sys.executable, "-W", "ignore", "-c", _CLIENT))
        return await run(made.where, wish)

    assert told(tmp_path, scenario) == 7
    assert capfd.readouterr().out == "default\n"


def test_a_forward_lasts_until_it_is_interrupted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario(made: Site) -> str:
        made.move_away()
        task = asyncio.get_running_loop().create_task(run(made.where, to_file(tmp_path)))
        said = await heard(capsys, "until Ctrl-C")
        server: str = made.file()["clusters"][0]["cluster"]["server"]
        # the port's own number is taken by the cluster itself here, so it is another
        _, writer = await asyncio.open_connection("127.0.0.1", int(server.rpartition(":")[2]))
        writer.close()
        os.kill(os.getpid(), signal.SIGINT)
        assert await task == 0
        assert f"Forwarding {server} to capim-system/manager-1:{made.cluster.listener.port}" in said
        return server

    assert told(tmp_path, scenario).startswith("https://127.0.0.1:")


def test_a_worker_in_a_pod_of_its_own_is_where_the_forward_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario(made: Site) -> None:
        made.objects["/api/v1/namespaces/capim-system/pods"]["items"] += [
            pod("worker-0", "worker"),
            pod("worker-1", "worker"),
        ]
        task = asyncio.get_running_loop().create_task(
            run(made.where, to_file(tmp_path, port_forward=True))
        )
        await heard(capsys, "capim-system/worker-0:")
        os.kill(os.getpid(), signal.SIGINT)
        assert await task == 0

    told(tmp_path, scenario)


def test_standard_output_has_the_kubeconfig_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(tmp_path, lambda made: run(made.where, Wish("one", file="-")))
    assert yaml.safe_load(capsys.readouterr().out)["current-context"] == "default/one"


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        pytest.param(lambda made: made.objects.clear(), "no Secret default/one-kube", id="secret"),
        pytest.param(
            lambda made: made.objects[_INFRA]["items"].clear(), "has no port yet", id="port"
        ),
        pytest.param(
            lambda made: made.objects.pop("/api/v1/namespaces/capim-system/pods"),
            "no pod in namespace capim-system serves it",
            id="pod",
        ),
    ],
)
def test_what_is_missing_is_said_with_the_fix(
    tmp_path: Path, prepare: Callable[[Site], object], message: str
) -> None:
    async def scenario(made: Site) -> None:
        made.move_away()
        prepare(made)
        with pytest.raises(CommandError, match=message):
            await run(made.where, to_file(tmp_path))
        assert not (tmp_path / "config").exists()

    told(tmp_path, scenario)


def test_a_command_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    async def scenario(made: Site) -> None:
        with pytest.raises(CommandError, match="no-such-program cannot be run"):
            await run(made.where, Wish("one", command=("no-such-program",)))

    told(tmp_path, scenario)


def test_clusters_can_be_completed(tmp_path: Path) -> None:
    async def scenario(made: Site) -> list[str]:
        made.objects["/apis/infrastructure.cluster.x-k8s.io/v1alpha1/inmemoryclusters"] = (
            made.objects[_INFRA]
        )
        return await names(made.where)

    assert told(tmp_path, scenario) == ["default/one"]


def test_the_words_of_a_command_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    wishes: list[Wish] = []

    async def taken(where: Where, wish: Wish) -> int:
        del where
        wishes.append(wish)
        return 3

    monkeypatch.setattr("capim.cli.workload.run", taken)
    assert command.main(["a/b", "--", "kubectl", "get", "-o", "json"]) == 3
    assert wishes[0].command == ("kubectl", "get", "-o", "json")
    assert json.dumps(wishes[0].port_forward) == "null"
