"""Fixtures: one testbed and provider a line of Cluster API, one namespace a test."""

from __future__ import annotations

import re
import shutil
import time
from typing import TYPE_CHECKING, Final

import pytest
import urllib3

from tests.e2e import build, processes
from tests.e2e import provider as providers
from tests.e2e.fleet import Fleet
from tests.e2e.kube import KubeError
from tests.e2e.testbed import Testbed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from tests.e2e.provider import CapimProvider, Provider

_HERE: Final = build.CHECKOUT / "tests" / "e2e"
_TEST_TIMEOUT_S: Final = 900


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the choices of a run."""
    group = parser.getgroup("e2e")
    group.addoption("--provider", choices=("capim", "go"), default="capim")
    group.addoption("--line", choices=tuple(build.CLUSTER_API), action="append")
    group.addoption("--quiet-time", type=float, default=180, help="seconds without remediation")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is here as end-to-end tests, with a time limit of their own."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker("e2e")
            item.add_marker(pytest.mark.timeout(_TEST_TIMEOUT_S))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test on each line of Cluster API; all tests of a line come together."""
    if "line" in metafunc.fixturenames:
        lines = metafunc.config.getoption("--line") or list(build.CLUSTER_API)
        metafunc.parametrize("line", lines, scope="package")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write a failed test's objects beside the logs and say where."""
    report = yield
    found = getattr(item, "funcargs", {})
    if report.failed and "testbed" in found:
        folder: Path = found["testbed"].folder
        if "fleet" in found and report.when == "call":
            _dump(found["fleet"], folder / "failed" / _slug(item.name))
        report.sections.append(("logs and objects", str(folder)))
    return report


def _dump(fleet: Fleet, folder: Path) -> None:
    """Write what can be read; an API server in trouble must not hide the failure itself."""
    try:
        fleet.dump(folder)
    except (KubeError, urllib3.exceptions.HTTPError) as error:
        (folder / "incomplete").write_text(f"{error}\n")


@pytest.fixture(scope="package", autouse=True)
def no_orphans() -> Iterator[None]:
    """Stop everything that was started also when the run is asked to end."""
    with processes.ending_cleanly():
        yield


@pytest.fixture(scope="package")
def testbed(line: str, request: pytest.FixtureRequest) -> Iterator[Testbed]:
    """Run a management cluster with Cluster API of that line; logs stay if a test fails."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = build.CHECKOUT / ".e2e" / "runs" / f"{stamp}-{line}"
    failed_before = request.session.testsfailed
    baseline = request.config.getoption("--provider") == "go"
    running = Testbed.start(line, folder, baseline=baseline)
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder / "etcd", ignore_errors=True)
        if request.session.testsfailed == failed_before:
            shutil.rmtree(folder)


@pytest.fixture(scope="package")
def provider(testbed: Testbed, request: pytest.FixtureRequest) -> Iterator[Provider]:
    """Run the provider under test."""
    running = providers.start(request.config.getoption("--provider"), testbed)
    yield running
    running.stop()


@pytest.fixture
def capim(provider: Provider) -> CapimProvider:
    """Return CAPIM; skips a test that asks for it when another provider is under test."""
    if not isinstance(provider, providers.CapimProvider):
        pytest.skip("about CAPIM alone")
    return provider


@pytest.fixture
def fleet(testbed: Testbed, provider: Provider, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """Return a fleet in a namespace of its own."""
    name = _slug(request.node.originalname)
    with Fleet.in_namespace(testbed.kube, testbed.line, name, provider) as made:
        yield made


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower().removeprefix("test_")).strip("-")[:50]
