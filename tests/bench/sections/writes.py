"""The life of a node: created, its status patched, deleted; three requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.bench.bench import Row

if TYPE_CHECKING:
    from tests.bench.bench import Bench

TITLE: Final = "Create, patch of the status, delete"
LINES: Final = ("1.14", "1.7")
_JSON: Final = "a node's life, JSON"
_PROTOBUF: Final = "a node's life, protobuf"
ROWS: Final = tuple(Row(name, "cpu_us", "us of CPU", 1.0) for name in (_JSON, _PROTOBUF))
PLOTS: Final = ()


def run(bench: Bench, line: str) -> None:
    """Measure it among four nodes; the Go provider of 1.7 takes new objects in protobuf alone."""
    many = f"-connections={bench.connections}"
    with bench.pair() as pair:
        for subject in pair:
            bench.load(subject, "fill", "-count=4")
        if line != "1.7":
            bench.alternate(_JSON, pair, bench.asking("write", many))
        bench.alternate(_PROTOBUF, pair, bench.asking("write", many, "-protobuf"))
