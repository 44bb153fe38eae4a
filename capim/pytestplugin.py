"""pytest's door to `capim.testing`: fixtures, and nothing imported before one is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.testing.fleet import Cluster, Fleet


@pytest.fixture(scope="session")
def capim_fleet() -> Iterator[Fleet]:
    """A worker for the whole session; `capim_fleet.cluster(name)` makes a cluster in some 20 ms."""
    from capim.testing.fleet import fleet  # noqa: PLC0415 - half a second, for who needs it alone

    with fleet() as started:
        yield started


@pytest.fixture
def capim_cluster(capim_fleet: Fleet, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster of this test alone: a control plane machine and a worker, gone when the test ends."""
    number = request.session.stash.setdefault(_MADE, 0)
    request.session.stash[_MADE] = number + 1
    cluster = capim_fleet.cluster(f"test-{number}")
    yield cluster
    cluster.delete()


_MADE: pytest.StashKey[int] = pytest.StashKey()
