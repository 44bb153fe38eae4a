"""kubectl's commands say the same on the fake and on a real API server, but for the known differences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance import kubectl, sides
from tests.conformance.kubectl_commands import scenarios

if TYPE_CHECKING:
    from tests.conformance.kubectl import Compared

_FEWEST_COMMANDS = 150


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> list[Compared]:
    """Run all commands once on both sides."""
    folder = tmp_path_factory.mktemp("kubectl")
    with (
        sides.real_kubeconfig(folder / "real") as real,
        sides.fake_kubeconfig(folder / "fake") as fake,
    ):
        return kubectl.run(real, fake)


@pytest.mark.parametrize("name", [scenario.name for scenario in scenarios()])
def test_scenario(name: str, compared: list[Compared]) -> None:
    differing = [
        f"=== {result.label}\n{result.difference}"
        for result in compared
        if result.label.startswith(f"{name}: ") and result.verdict == "differs"
    ]
    assert not differing, "\n\n".join(differing)


def test_list_is_long_enough() -> None:
    assert sum(len(scenario.commands) for scenario in scenarios()) >= _FEWEST_COMMANDS
