"""The first schedules of the suite; `make chaos` runs hundreds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from tests.chaos.run import main
from tests.chaos.schedules import Fault, Step, draw
from tests.chaos.world import WORKERS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

_SEEDS: Final = 24
_AT_ONCE: Final = 3  #: most of a schedule is waiting


def test_everything_holds(tmp_path: Path) -> None:
    results = tmp_path / "chaos.jsonl"
    main(["--seeds", f"0:{_SEEDS}", "--at-once", str(_AT_ONCE), "--results", str(results)])
    told = [json.loads(line) for line in results.read_text().splitlines()]
    assert sorted(one["seed"] for one in told) == list(range(_SEEDS))
    assert "\n".join(one["broken"] for one in told).strip() == ""


def test_these_schedules_have_every_fault_and_step() -> None:
    drawn = [draw(seed, workers=WORKERS) for seed in range(_SEEDS)]
    faults = {event.fault for one in drawn for _, events in one.steps for event in events}
    assert faults == set(Fault)
    assert all([step for step, _ in one.steps] == list(Step) for one in drawn)
    assert draw(3, workers=WORKERS) == drawn[3]
