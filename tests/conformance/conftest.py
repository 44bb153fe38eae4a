"""What is here runs with the end-to-end tests: it needs a real control plane."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.e2e import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE: Final = Path(__file__).parent
_TEST_TIMEOUT_S: Final = 900
_CHURN_S: Final = 30


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of the churn test."""
    parser.addoption("--churn-seconds", type=int, default=_CHURN_S, help="how long objects change")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is here as end-to-end tests, with a time limit of their own."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker("e2e")
            item.add_marker(pytest.mark.timeout(_TEST_TIMEOUT_S))


@pytest.fixture(scope="package", autouse=True)
def no_orphans() -> Iterator[None]:
    """Stop everything that was started also when the run is asked to end."""
    with processes.ending_cleanly():
        yield
