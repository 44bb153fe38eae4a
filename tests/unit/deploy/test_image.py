"""The image's files: the instructions hold together, its scripts start what they should.

Not in scope: building it (needs a container engine); the end-to-end tests run its RUN steps in a clean
virtual environment.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from coordinator.options import parse
from tests.support.dockerfile import instructions

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECKOUT = Path(__file__).parents[3]
IMAGE = CHECKOUT / "deploy" / "image"
STEPS = instructions(CHECKOUT / "Dockerfile")


def called(tmp_path: Path, script: str, arguments: Sequence[str]) -> list[str]:
    """Run a script with a `capim` and a `python3` that print what they are called with."""
    for name in ("capim", "python3"):
        (tmp_path / name).write_text(f'#!/bin/sh\nfor it in {name} "$@"; do echo "$it"; done\n')
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["sh", str(IMAGE / script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_the_entry_runs_the_manager_with_its_flags(tmp_path: Path) -> None:
    assert called(tmp_path, "manager", ["--v=2", "--namespace=a b"]) == [
        "capim",
        "manager",
        "--v=2",
        "--namespace=a b",
    ]


def test_tilt_starts_it_through_a_script(tmp_path: Path) -> None:
    found = called(tmp_path, "start.sh", ["sh", str(IMAGE / "manager"), "--v=2"])
    assert found == ["capim", "manager", "--v=2"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(
            ["exec", "--listen=:30000", "--continue"], ["--listen", "0.0.0.0:30000"], id="continue"
        ),
        pytest.param(
            ["exec", "--listen=127.0.0.1:5678"],
            ["--listen", "127.0.0.1:5678", "--wait-for-client"],
            id="wait",
        ),
    ],
)
def test_the_debugger_listens_where_tilt_says(
    tmp_path: Path, words: list[str], expected: list[str]
) -> None:
    head = ["--accept-multiclient", "--api-version=2", "--headless=true"]
    arguments = [*head, *words, "--", "/manager", "--v=2", "--leader-elect=false"]
    assert called(tmp_path, "dlv", arguments) == [
        "python3",
        "-Xfrozen_modules=off",
        "-m",
        "debugpy",
        *expected,
        "-m",
        "capim.cli.main",
        "manager",
        "--v=2",
        "--leader-elect=false",
    ]


def test_the_debugger_starts_nothing_but_the_manager(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        called(tmp_path, "dlv", ["exec", "--", "/other"])
    assert failed.value.returncode == 2


def test_the_last_stage_is_the_manager_without_rights_of_root() -> None:
    stages = [step.text for step in STEPS if step.name == "FROM"]
    assert stages[-1] == "runtime AS manager"
    assert all("-slim" in stage for stage in stages if "python:" in stage)
    assert [step.text for step in STEPS if step.name == "USER"] == ["65532:65532"]
    assert [step.text for step in STEPS if step.name == "ENTRYPOINT"] == ['["/manager"]']


def test_what_is_copied_exists_and_is_sent_to_the_engine() -> None:
    sent = {
        line.removeprefix("!")
        for line in (CHECKOUT / ".dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    }
    for step in STEPS:
        words = step.text.split()
        if step.name == "COPY" and not words[0].startswith("--from"):
            sources = [word for word in words[:-1] if not word.startswith("--")]
            assert [name for name in sources if not (CHECKOUT / name).exists()] == []
            assert {name.split("/")[0] for name in sources} <= sent


def test_every_script_can_be_executed() -> None:
    assert [path.name for path in IMAGE.iterdir() if not os.access(path, os.X_OK)] == []


def test_tilt_finds_the_kustomization_and_builds_no_go_program() -> None:
    provider = yaml.safe_load((CHECKOUT / "tilt-provider.yaml").read_text("utf-8"))
    config = provider["config"]
    assert provider["name"] == "in-memory"
    # what Cluster API's Tiltfile and its tilt-prepare know, but `image`: that means a Go build
    assert set(config) <= {
        "context",
        "version",
        "label",
        "live_reload_deps",
        "apply_provider_yaml",
        "kustomize_folder",
        "kustomize_options",
        "additional_resources",
        "resource_deps",
    }
    assert (CHECKOUT / config["kustomize_folder"] / "kustomization.yaml").is_file()


def test_the_manager_takes_what_tilt_adds() -> None:
    added = ["--v=2", "--logging-format=json", "--leader-elect=false", "--profiler-address=:6060"]
    options = parse(["--advertise-host=h", "--leader-elect", *added], {})
    assert (options.leader_elect, options.profiler_address) == (False, ":6060")
