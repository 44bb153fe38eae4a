"""What tests of commands need: a standard output that is the command's alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from capim.aio import logs


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Let only warnings be logged, to standard error, as commands do."""
    logs.configure(verbosity=0)
    yield
    structlog.reset_defaults()
