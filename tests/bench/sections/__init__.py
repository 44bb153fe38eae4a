"""The sections of the benchmark, in the order in which they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.bench.sections import (
    coldstart,
    connections,
    density,
    etcd,
    fleet,
    journal,
    reads,
    up,
    watch,
    workers,
    writes,
)

if TYPE_CHECKING:
    from tests.bench.bench import Section

SECTIONS: Final[dict[str, Section]] = {
    "reads": reads,
    "connections": connections,
    "watch": watch,
    "etcd": etcd,
    "writes": writes,
    "coldstart": coldstart,
    "workers": workers,
    "density": density,
    "up": up,
    "fleet": fleet,
    "journal": journal,
}

#: those that --quick runs unless others are named: together they take a minute
SMOKE: Final = ("reads", "connections", "watch", "etcd", "writes", "coldstart")
