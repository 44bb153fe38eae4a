"""`capim get` and `capim status` against the embedded API and a manager's debug endpoint."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from capim.cli import get, status
from capim.cli.commandline import DocumentForm, Output
from capim.cli.listing import Scope
from capim.cli.listing import run as list_
from capim.cli.overview import run as look
from coordinator.options import Options
from tests.support.management import World, condition, world

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from capim.cli.commandline import Where


def fill(made: World) -> None:
    made.cluster("one")
    made.cluster("two", namespace="capim-system")
    made.machine("one-0", "one")
    made.machine("one-1", "one", phase="Provisioning")


def told(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    command: Callable[[Where], Awaitable[int]],
    *,
    manager: bool = True,
    prepare: Callable[[World], None] = fill,
) -> tuple[int, str, str]:
    """Run a command in a world of two clusters; returns code, output and complaints."""

    async def scenario() -> int:
        async with world(folder, manager=manager) as made:
            prepare(made)
            return await command(made.where)

    code = asyncio.run(scenario())
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def listing(
    scope: Scope, output: Output = Output.TABLE, *, headers: bool = True
) -> Callable[[Where], Awaitable[int]]:
    return lambda where: list_(scope, where, output, headers=headers)


def test_clusters_of_the_contexts_namespace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = told(tmp_path, capsys, listing(Scope("clusters")))
    header, line = (text.split() for text in out.splitlines())
    assert (code, header) == (
        0,
        ["NAME", "PHASE", "READY", "ENDPOINT", "SHARD", "MACHINES", "AGE"],
    )
    assert line[:-1] == ["one", "Provisioned", "True", "10.0.0.1:20000", "worker-0", "1/2"]


def test_all_namespaces_have_a_column_and_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scope = Scope("clusters", all_namespaces=True)
    code, out, _ = told(tmp_path, capsys, listing(scope, headers=False))
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["capim-system", "two"],
        ["default", "one"],
    ]


def test_machines_wide(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = told(tmp_path, capsys, listing(Scope("machines"), Output.WIDE))
    cells = out.splitlines()[1].split()
    assert cells[:6] == ["one-0", "one", "control-plane", "Running", "True", "v1.31.0"]
    assert cells[7:10] == ["one-0", "10.1.1.1", "in-memory://one-0"]


def test_labels_choose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scope = Scope("clusters", selector="cluster.x-k8s.io/cluster-name=nobody")
    code, out, err = told(tmp_path, capsys, listing(scope))
    assert (code, out) == (0, "")
    assert err == "No clusters found in default namespace.\n"


def test_json_has_the_objects_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = told(tmp_path, capsys, listing(Scope("clusters", ("one",)), Output.JSON))
    assert json.loads(out)["kind"] == "InMemoryCluster"
    _, out, _ = told(tmp_path, capsys, listing(Scope("machines"), Output.JSON))
    assert [item["metadata"]["name"] for item in json.loads(out)["items"]] == ["one-0", "one-1"]


def test_names_can_be_given_to_kubectl(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = told(tmp_path, capsys, listing(Scope("machines", ("one-1",)), Output.NAME))
    assert out == "inmemorymachine.infrastructure.cluster.x-k8s.io/one-1\n"


def test_what_is_missing_is_said_beside_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scope = Scope("clusters", ("nobody", "one"))
    code, out, err = told(tmp_path, capsys, listing(scope, Output.NAME))
    assert (code, out.count("\n")) == (1, 1)
    name = "inmemorycluster.infrastructure.cluster.x-k8s.io"
    assert err == f'capim get: {name} "nobody" not found\n'


def test_shards_are_the_managers_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(tmp_path, capsys, listing(Scope("shards")))
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [
        ["worker-0", "True"],
        ["worker-1", "True"],
    ]


def test_without_a_manager_shards_are_what_clusters_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = told(tmp_path, capsys, listing(Scope("shards")), manager=False)
    assert code == 0
    assert out.splitlines()[1].split()[:3] == ["worker-0", "Unknown", "2"]
    assert "no manager answers at" in err
    assert len(err.splitlines()) == 1


def test_status_counts_and_ends_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(tmp_path, capsys, lambda where: look(where, "", DocumentForm.TEXT))
    assert code == 0, out
    lines = out.splitlines()
    assert lines[2:] == [
        "Shards              2 of 2 ready",
        "Clusters            2: 2 Provisioned",
        "Machines            2: 1 Provisioning, 1 Running",
        "Problems            none",
    ]


def test_status_names_what_asks_for_a_person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(made: World) -> None:
        grave = condition("Ready", "False", severity="Error", message="widen --port-range")
        made.cluster("bad", conditions=[grave])

    form = DocumentForm.JSON
    code, out, _ = told(tmp_path, capsys, lambda where: look(where, "", form), prepare=broken)
    assert code == 1
    told_ = json.loads(out)
    assert told_["problems"] == ["InMemoryCluster default/bad: Ready: widen --port-range"]
    assert told_["shards"][0]["name"] == "worker-0"


def test_a_manager_of_another_management_cluster_is_not_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def asked(where: Where) -> int:
        # as if the default address were this one
        default = Options(debug_address=where.debug_address)
        monkeypatch.setattr("capim.cli.installation.Options", lambda: default)
        return await look(replace(where, debug_address=""), "", DocumentForm.TEXT)

    def foreign(made: World) -> None:
        made.fleet.installation = "elsewhere"

    code, out, _ = told(tmp_path, capsys, asked, prepare=foreign)
    assert code == 1
    assert "is of another management cluster" in out
    code, out, _ = told(tmp_path, capsys, asked)
    assert code == 0, out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param(["pods"], "write clusters, machines or shards", id="kind"),
        pytest.param(["clusters", "-o", "table"], "--output", id="form"),
        pytest.param(["clusters", "--nonsense"], "--nonsense", id="option"),
        pytest.param([], "Missing argument", id="nothing"),
    ],
)
def test_what_is_not_understood_is_one_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert get.main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("capim get: ")
    assert complaint in err
    assert len(err.splitlines()) == 1


def test_no_kubeconfig_is_one_line_with_the_fix(capsys: pytest.CaptureFixture[str]) -> None:
    assert status.main(["--kubeconfig", "/no/such"]) == 1
    assert capsys.readouterr().err == (
        "capim status: --kubeconfig: no file /no/such: name one, or run in a pod\n"
    )
