"""A served cluster for each row, so that rows can change it as they like: it costs 20 ms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.catalogue.site import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.catalogue.site import Site


@pytest.fixture
def site() -> Iterator[Site]:
    """Serve a cluster of one control plane machine and one worker."""
    with serve() as served:
        yield served
