"""Every case answered alike by the fake and by a real API server, but for the known differences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.cases import all_cases
from tests.conformance.differences import KNOWN
from tests.conformance.run import THREADS, both, verdict

if TYPE_CHECKING:
    from tests.conformance.runner import Outcome

_MOST_KNOWN = 0.02


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    """Run all cases once, side by side."""
    with both() as runner:
        found = runner.run_all(all_cases(), threads=THREADS)
    return {outcome.case.name: outcome for outcome in found}


@pytest.mark.parametrize("name", [case.name for case in all_cases()])
def test_case(name: str, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[name]
    found = verdict(outcome)
    assert found != "stale", "no longer differs: remove it from KNOWN"
    assert found in {"equal", "known"}, "\n".join(outcome.differences)


def test_known_differences_are_few() -> None:
    assert len(KNOWN) <= _MOST_KNOWN * len(all_cases())
