"""In scope: `capim up` as a person runs it: processes, exit codes, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from capim.embedded import kinds
from capim.embedded.up import _client
from coordinator.recorder import EVENTS

pytestmark = pytest.mark.slow

SMALL = ("--clusters", "1", "--worker-machines", "1", "--workers", "1", "--instant")


def command(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `capim up` with a temporary folder of its own, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "capim.cli.main", "up", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(folder), "COLUMNS": "500"},
        start_new_session=True,
    )


def processes_of(folder: Path) -> list[str]:
    """Name the processes whose command line mentions the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in words:
            found.append(words)
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: Unix sockets have room for a hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="up-", dir="/tmp") as made:
        yield Path(made)
        assert processes_of(Path(made)) == []
        assert list(Path(made).iterdir()) == []


def test_until_ready_ends_well_with_every_machine_running(folder: Path) -> None:
    with command(folder, *SMALL, "--until-ready", "--kubernetes-version", "1.99.0") as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "--kubernetes-version: Kubernetes v1.99.0 is not known" in output
    assert "1 clusters with 2 machines running" in output


def test_the_clusters_answer_until_ctrl_c(folder: Path) -> None:
    with command(folder, *SMALL) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C ends all of it." in line:
                break
        text = "".join(lines)
        found = re.search(r"kubectl --kubeconfig (\S+/kubeconfig) get", text)
        assert found, text
        phases = asyncio.run(machine_phases(Path(found[1])))
        assert phases == {"in-memory-1-control-plane-0": "Running", "in-memory-1-md-0-0": "Running"}
        assert asyncio.run(told_of(Path(found[1]))) >= {("in-memory-1", "Provisioned")}
        assert "Machines            2: 2 Running" in said(found[1], "status")
        assert said(found[1], "get", "shards").splitlines()[1].split()[:5] == [
            *("worker-0", "True", "1", "1", "2")
        ]
        assert "cluster placed" in said(found[1], "logs", "default/in-memory-1")
        workload = (
            "kubeconfig",
            "in-memory-1",
            "--no-port-forward",
            "--",
            "printenv",
            "KUBECONFIG",
        )
        assert "/kubeconfig" in said(found[1], *workload)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


def said(kubeconfig: str, *words: str) -> str:
    """Run a command for people, and return what it says."""
    command, *rest = words
    whole = [sys.executable, "-m", "capim.cli.main", command, "--kubeconfig", kubeconfig, *rest]
    return subprocess.run(whole, capture_output=True, text=True, timeout=30, check=True).stdout


async def told_of(kubeconfig: Path) -> set[tuple[str, str]]:
    """Return the names and reasons of all Events."""
    async with _client(kubeconfig) as client:
        listed = await client.list(EVENTS, "default")
    return {(it["involvedObject"]["name"], it["reason"]) for it in listed.items}


async def machine_phases(kubeconfig: Path) -> dict[str, str]:
    async with _client(kubeconfig) as client:
        listed = await client.list(kinds.MACHINES, "default")
    return {one["metadata"]["name"]: one["status"]["phase"] for one in listed.items}


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(signal.SIGINT, id="ctrl-c"),
        pytest.param(signal.SIGHUP, id="terminal-closed"),
    ],
)
def test_an_end_while_clusters_come_up_leaves_nothing(folder: Path, end: signal.Signals) -> None:
    with command(folder, "--clusters", "3", "--workers", "1") as process:
        wait_for_worker(folder, process)
        process.send_signal(end)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output


def test_a_cluster_that_gets_no_port_says_so_and_an_end_before_ready_is_a_failure(
    folder: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        arguments = (*SMALL, "--until-ready", "--port-range", f"{port}-{port}")
        with command(folder, *arguments) as process:
            assert process.stdout is not None
            said = next((line for line in process.stdout if "--port-range" in line), "")
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=30)
    assert "InMemoryCluster in-memory-1: " in said, said + rest
    assert process.returncode == 1, rest


def wait_for_worker(folder: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a worker has written its lock: everything runs then."""
    while process.poll() is None:
        if any(path.read_text() for path in folder.glob("capim-*/run/worker-0.lock")):
            return
    raise AssertionError(process.communicate()[0])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param(("--clusters", "0"), "--clusters", id="no-clusters"),
        pytest.param(("--no-such",), "--no-such", id="unknown-option"),
        pytest.param(("--kubernetes-version", "x"), "v1.", id="version"),
        pytest.param(("--control-plane-machines", "2"), "odd number", id="even-control-plane"),
        pytest.param(("--port-range", "9-1"), "--port-range", id="port-range"),
        pytest.param(
            ("--clusters", "3", "--port-range", "8-9"), "2 ports for 3 clusters", id="few-ports"
        ),
    ],
)
def test_a_bad_option_is_named_in_one_line(
    folder: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    with command(folder, *arguments) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert complaint in output
    assert len(output.splitlines()) == 1
