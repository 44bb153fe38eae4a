"""The image's RUN steps in a clean virtual environment: no container engine, only an index of packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.e2e import build
from tests.support.dockerfile import instructions

if TYPE_CHECKING:
    from collections.abc import Iterator

_VENV: Final = "/opt/capim"
_CONSTRAINTS: Final = "/tmp/constraints.txt"  # noqa: S108 (the image's)


def test_the_run_steps_make_a_manager(tmp_path: Path) -> None:
    """What the image's build stage runs installs CAPIM alone, whose manager then starts."""
    source, target = tmp_path / "src", tmp_path / "capim"
    source.mkdir()
    _copy(source)
    places = {_VENV: str(target), _CONSTRAINTS: str(tmp_path / "constraints.txt")}
    commands = [
        re.sub("|".join(places), lambda match: places[match[0]], command)
        for command in _commands("build")
    ]
    # an interpreter as the image has it: nothing of this environment
    base = Path(sys.base_prefix, "bin")
    clean = {**os.environ, "PATH": f"{base}:{os.environ['PATH']}"}
    for name in ("PYTHONPATH", "VIRTUAL_ENV"):
        clean.pop(name, None)
    for command in commands:
        done = subprocess.run(
            ["sh", "-ec", command],
            cwd=source,
            env=clean,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    clean["PATH"] = f"{target / 'bin'}:{clean['PATH']}"
    entry = ["sh", str(build.CHECKOUT / "deploy" / "image" / "manager"), "--help"]
    said = subprocess.run(entry, env=clean, capture_output=True, text=True, cwd="/", check=True)
    assert "--advertise-host" in said.stdout
    installed = subprocess.run(
        [str(target / "bin" / "pip"), "list"], env=clean, capture_output=True, text=True, check=True
    ).stdout
    assert "pytest" not in installed
    assert not list(target.rglob("tests/unit"))


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
