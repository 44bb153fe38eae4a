"""The life of a node: created, its status patched, deleted; three requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.bench.bench import Row

if TYPE_CHECKING:
    from tests.bench.bench import Bench

TITLE: Final = "Create, patch of the status, delete"
LINES: Final = ("1.14", "1.7")
ROWS: Final = (
    Row("a node's life, JSON", "cpu_us", "us", 1.0),
    Row("a node's life, protobuf", "cpu_us", "us", 1.0),
)
PLOTS: Final = ()


def run(bench: Bench, line: str) -> None:
    """Measure it among four nodes."""
    del line
    many = f"-connections={bench.connections}"
    with bench.pair() as pair:
        for subject in pair:
            bench.load(subject, "fill", "-count=4")
        for row, flags in zip(ROWS, ((), ("-protobuf",)), strict=True):
            bench.alternate(row.name, pair, bench.asking("write", many, *flags))
