"""Ten clusters at once: the size of Cluster API's own scale test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.provider import PORT_COUNT

if TYPE_CHECKING:
    from tests.e2e.fleet import Fleet

_COUNT = 10


def test_ten_clusters(fleet: Fleet) -> None:
    """Forty machines come up and go; the ports they used are used again."""
    names = [f"scale-{number}" for number in range(_COUNT)]
    fleet.apply_class()
    for name in names:
        fleet.create(name, fleet.size(1, 3))
    fleet.wait_running(names, fleet.size(1, 3), timeout_s=300)

    endpoints = {fleet.endpoint(name) for name in names}
    assert len(endpoints) == _COUNT
    fleet.delete(names, timeout_s=180)
    if fleet.provider.name == "capim":
        _assert_ports_return(fleet, {port for _, port in endpoints})


def _assert_ports_return(fleet: Fleet, used: set[int]) -> None:
    """Create more clusters than there are unused ports; one must get a port that was freed."""
    names = [f"again-{number}" for number in range(PORT_COUNT - len(used) + 1)]
    for name in names:
        fleet.create(name, fleet.size(1, 0))
    fleet.wait_running(names, fleet.size(1, 0))
    assert used & {fleet.endpoint(name)[1] for name in names}
    fleet.delete(names)
