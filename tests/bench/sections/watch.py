"""One writer, many watchers: each write is followed by the next when all have seen it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.bench.bench import Plot, Row

if TYPE_CHECKING:
    from tests.bench.bench import Bench
    from tests.bench.subjects import Subject

TITLE: Final = "Watch fan-out"
#: not 1.7: it dies when several clients read
LINES: Final = ("1.14",)
_COUNTS: Final = (1, 10, 100, 1000)
_QUICK_COUNT: Final = 100
_BAR: Final = 0.3


def _name(watchers: int) -> str:
    return f"an event delivered to each of {watchers:,}".replace(",", " ")


ROWS: Final = tuple(
    row
    for watchers in _COUNTS
    for row in (
        Row(_name(watchers), "cpu_us", "us of CPU", _BAR),
        Row(_name(watchers), "p50_ms", "ms until half have it", 1.0),
        Row(_name(watchers), "p99_ms", "ms until 99 % have it", 1.0),
        Row(_name(watchers), "watcher_kib", "KiB a watcher"),
    )
)
PLOTS: Final = (
    Plot(
        "watch-cpu",
        "CPU of the server for an event delivered",
        "watchers",
        "microseconds",
        "cpu_us",
        {watchers: _name(watchers) for watchers in _COUNTS},
    ),
)


def run(bench: Bench, line: str) -> None:
    """Measure with more and more watchers."""
    del line
    with bench.pair() as pair:
        for subject in pair:
            bench.load(subject, "fill", "-count=4")
        for watchers in _COUNTS:
            if bench.effort.quick and watchers != _QUICK_COUNT:
                continue
            _fan_out(bench, pair, watchers)


def _fan_out(bench: Bench, pair: list[Subject], watchers: int) -> None:
    grown: set[str] = (
        set()
    )  # what has once been used is not always given back: the first time counts

    def measure(subject: Subject) -> dict[str, float]:
        found = bench.load(subject, "watch", f"-watchers={watchers}")
        gained = found.pop("memory_bytes", 0.0)
        if subject.name not in grown:
            grown.add(subject.name)
            found["watcher_kib"] = gained / watchers / 1024
        return found

    bench.alternate(_name(watchers), pair, measure)
