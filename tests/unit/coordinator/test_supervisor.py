"""When a worker that ended is started again, by a clock that the test turns."""

from __future__ import annotations

import asyncio

import pytest

from capim.aio.clock import ManualClock
from coordinator.supervisor import run_again


def pauses(lives_s: list[float]) -> list[float]:
    """Return the pauses after workers that ran so long."""
    clock, lives, paused = ManualClock(), iter(lives_s), list[float]()

    async def run() -> bool:
        life_s = next(lives, None)
        clock.advance(life_s or 0.0)
        return life_s is not None

    async def pause(seconds: float) -> None:
        paused.append(seconds)
        clock.advance(seconds)

    asyncio.run(run_again(run, pause, clock))
    return paused


@pytest.mark.parametrize(
    ("lives_s", "expected"),
    [
        pytest.param([0.1], [1], id="the-first-end"),
        pytest.param([0.1] * 9, [1, 2, 4, 8, 16, 32, 60, 60, 60], id="doubling-to-a-minute"),
        pytest.param([0.1, 0.1, 300, 0.1], [1, 2, 1, 2], id="afresh-after-five-minutes-up"),
        pytest.param([0.1, 0.1, 299, 0.1], [1, 2, 4, 8], id="not-before"),
        pytest.param([400, 400], [1, 1], id="steady"),
        pytest.param([], [], id="told-to-stop"),
    ],
)
def test_the_pause_grows_with_each_early_end(lives_s: list[float], expected: list[float]) -> None:
    assert pauses(lives_s) == expected
