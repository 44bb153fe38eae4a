"""Starts the two API servers that are compared, or finds them where the environment says."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.conformance import real
from tests.e2e import build
from tests.e2e.processes import Process, stop_all

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_TIMEOUT_S: Final = 120


@contextlib.contextmanager
def real_kubeconfig(folder: Path) -> Iterator[Path]:
    """Give the kubeconfig named by CAPIM_REAL_KUBECONFIG, else of a control plane run in `folder`."""
    if given := os.environ.get("CAPIM_REAL_KUBECONFIG"):
        yield Path(given)
        return
    with real.running(folder) as control_plane:
        yield control_plane.kubeconfig


@contextlib.contextmanager
def fake_kubeconfig(folder: Path) -> Iterator[Path]:
    """Give the kubeconfig named by CAPIM_FAKE_KUBECONFIG, else of a fake cluster run in `folder`."""
    if given := os.environ.get("CAPIM_FAKE_KUBECONFIG"):
        yield Path(given)
        return
    folder.mkdir(parents=True, exist_ok=True)
    kubeconfig = folder / "kubeconfig"
    process = Process.start(
        "fake",
        [sys.executable, "-m", "tests.conformance.fake", str(folder)],
        folder=folder,
        environment={"PYTHONPATH": str(build.CHECKOUT)},
    )
    try:
        _await(kubeconfig, process)
        yield kubeconfig
    finally:
        stop_all([process])


def _await(kubeconfig: Path, process: Process) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not kubeconfig.exists():
        if not process.alive() or time.monotonic() > deadline:
            raise RuntimeError(f"the fake did not start:\n{process.log.read_text()}")
        time.sleep(0.05)
