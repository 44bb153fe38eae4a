"""A new TLS connection for each GET.

CAPIM verifies the client's certificate, the Go provider asks for none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.bench.bench import Row

if TYPE_CHECKING:
    from tests.bench.bench import Bench

TITLE: Final = "A new TLS connection with a client certificate, and a GET"
LINES: Final = ("1.14", "1.7")
ROWS: Final = (Row("new connection and GET one node", "cpu_us", "us of CPU", 0.7),)
PLOTS: Final = ()


def run(bench: Bench, line: str) -> None:
    """Measure it among four nodes."""
    del line
    flags = ("-path=/api/v1/nodes/bench-00000", "-fresh", f"-connections={bench.connections}")
    with bench.pair() as pair:
        for subject in pair:
            bench.load(subject, "fill", "-count=4")
        bench.alternate(ROWS[0].name, pair, bench.asking("read", *flags))
