"""In scope: `capim fault` against a small management API. Out: what faults do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from capim.api.gvk import GVR
from capim.cli.fault import main
from capim.cli.faultmanifest import Wanted, manifest
from coordinator.controllers.objects import FAULTS, INFRA_CLUSTERS, INFRA_MACHINES
from tests.support.clusterapi import cluster, infra_cluster, infra_machine, machine
from tests.support.kubeapi import KubeApi, serve

if TYPE_CHECKING:
    from pathlib import Path


def run(folder: Path, api: KubeApi, *commands: tuple[str, ...]) -> list[int]:
    """Run commands one after another against the API; return their exit codes."""

    async def use() -> list[int]:
        async with serve(api):
            path = folder / "kubeconfig"
            named = [{"name": "c", "cluster": {"server": api.url}}]
            contexts = [{"name": "c", "context": {"cluster": "c", "user": "c"}}]
            users = [{"name": "c", "user": {}}]
            document = {"clusters": named, "contexts": contexts, "users": users}
            path.write_text(yaml.safe_dump(document | {"current-context": "c"}))
            return [
                await asyncio.to_thread(main, [*command, "--kubeconfig", str(path)])
                for command in commands
            ]

    return asyncio.run(use())


@pytest.fixture
def api() -> KubeApi:
    made = KubeApi()
    made.create(GVR("cluster.x-k8s.io", "v1beta1", "clusters"), cluster())
    made.create(GVR("cluster.x-k8s.io", "v1beta1", "machines"), machine())
    made.create(INFRA_CLUSTERS, infra_cluster())
    made.create(INFRA_MACHINES, infra_machine())
    return made


SICK = ("start", "nodes/NotReady", "--name", "sick", "--cluster", "c1")


def test_a_dry_run_says_whom_it_would_hit_and_does_nothing(
    tmp_path: Path, api: KubeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, api, (*SICK, "--dry-run")) == [0]
    written = capsys.readouterr().out
    assert "# would befall 1 clusters: c1, 1 machines: m1" in written
    assert yaml.safe_load(written)["spec"]["nodes"] == {"effect": "NotReady"}
    assert api.group.list(api.resource(FAULTS), None).items == []


def test_a_fault_is_started_listed_and_stopped(
    tmp_path: Path, api: KubeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = ("start", "apiServer/Latency", "--set", "latency=1s", "--verb", "get")
    assert run(tmp_path, api, SICK, slow, ("list",), ("stop", "--all")) == [0, 0, 0, 0]
    written = capsys.readouterr().out
    assert "fault sick befalls 1 clusters: c1, 1 machines: m1" in written
    assert "NAME" in written
    assert "fault sick is over" in written
    assert api.group.list(api.resource(FAULTS), None).items == []


@pytest.mark.parametrize(
    ("command", "complaint", "code"),
    [
        (("start", "nodes/Boredom"), "`capim fault effects` lists them", 1),
        (("start", "nodes/Tainted"), "spec.nodes.taint", 1),
        (("start", "nodes/NotReady", "--label", "x"), "'x' is no KEY=VALUE", 1),
        (("stop",), "name faults, or say --all", 1),
        (("stop", "gone"), '"gone" not found', 1),
        (("start",), "Missing argument", 2),
    ],
)
def test_what_cannot_be_done_says_why(
    tmp_path: Path,
    api: KubeApi,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    complaint: str,
    code: int,
) -> None:
    assert run(tmp_path, api, command) == [code]
    assert complaint in capsys.readouterr().err


def test_the_catalogue_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["effects"]) == 0
    assert "nodes/Tainted --set taint=..." in capsys.readouterr().out


def test_only_what_is_asked_for_is_in_the_manifest() -> None:
    schedule: dict[str, Any] = {"duration": "1m", "delay": "", "times": 0}
    wanted = Wanted("etcd/NoLeader", {"names": None}, {}, {}, schedule, {}, "0.5", 0)
    assert manifest(wanted, "n", "ns")["spec"] == {
        "schedule": {"duration": "1m"},
        "probability": "0.5",
        "etcd": {"effect": "NoLeader"},
        "seed": 0,
    }
