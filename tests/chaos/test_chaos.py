"""The first schedules of the suite; `make chaos` runs hundreds."""

from __future__ import annotations

import pytest

from tests.chaos.run import run
from tests.chaos.schedules import Fault, Step, draw
from tests.chaos.world import WORKERS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_SEEDS = range(12)


@pytest.mark.parametrize("seed", _SEEDS)
# connections die with the processes at their other end
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_everything_holds(seed: int) -> None:
    assert run(seed) == ""


def test_these_schedules_have_every_fault_and_step() -> None:
    drawn = [draw(seed, workers=WORKERS) for seed in _SEEDS]
    faults = {event.fault for one in drawn for _, events in one.steps for event in events}
    assert faults == set(Fault)
    assert all([step for step, _ in one.steps] == list(Step) for one in drawn)
    assert draw(3, workers=WORKERS) == drawn[3]
