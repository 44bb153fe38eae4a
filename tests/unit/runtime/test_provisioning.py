"""Delays: drawn once, from the machine alone, within their bounds."""

from __future__ import annotations

import pytest

from capim.api.workload import Phase, Startup
from capim.runtime.provisioning import draw_delay_s


def test_same_machine_and_phase_have_the_same_delay() -> None:
    startup = Startup(10.0, 0.2)
    # golden: another value would make machines of a running installation start anew
    assert draw_delay_s(startup, "uid", Phase.VM) == pytest.approx(10.220046, abs=1e-6)
    assert draw_delay_s(startup, "uid", Phase.VM) == draw_delay_s(startup, "uid", Phase.VM)
    assert draw_delay_s(startup, "uid", Phase.VM) != draw_delay_s(startup, "uid", Phase.NODE)
    assert draw_delay_s(startup, "uid", Phase.VM) != draw_delay_s(startup, "other", Phase.VM)


def test_delays_fill_the_range_that_jitter_opens() -> None:
    drawn = [draw_delay_s(Startup(10.0, 0.5), f"uid-{index}", Phase.VM) for index in range(500)]
    assert 10.0 <= min(drawn) < 10.2
    assert 14.8 < max(drawn) < 15.0
    assert sum(drawn) / len(drawn) == pytest.approx(12.5, abs=0.2)


@pytest.mark.parametrize(
    ("startup", "delay_s"),
    [
        pytest.param(Startup(), 0.0, id="none"),
        pytest.param(Startup(-5.0, 1.0), 0.0, id="negative"),
        pytest.param(Startup(7.0), 7.0, id="no-jitter"),
        pytest.param(Startup(7.0, -0.5), 7.0, id="negative-jitter"),
    ],
)
def test_delays_without_chance(startup: Startup, delay_s: float) -> None:
    assert draw_delay_s(startup, "uid", Phase.VM) == delay_s
