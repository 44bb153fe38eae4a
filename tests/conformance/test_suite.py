"""A few minutes of Kubernetes' own conformance suite: tests that are quick and must pass on the fake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance import sides, suite

if TYPE_CHECKING:
    from tests.conformance.suite import Result

_TIMEOUT_S = 600


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """Run the quick tests once."""
    with sides.fake_kubeconfig(tmp_path_factory.mktemp("suite") / "fake") as fake:
        found = suite.run(fake, suite.names(suite.QUICK), batch_timeout_s=_TIMEOUT_S, batch=25)
    return {result.name: result for result in found}


@pytest.mark.parametrize("name", suite.names(suite.QUICK))
def test_passes_on_the_fake(name: str, results: dict[str, Result]) -> None:
    result = results[name]
    assert result.state == "passed", result.message
