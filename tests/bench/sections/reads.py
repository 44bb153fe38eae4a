"""Reads over kept connections: one node, and lists of them, with the memory that the nodes take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.bench.bench import Plot, Row

if TYPE_CHECKING:
    from tests.bench.bench import Bench
    from tests.bench.subjects import Subject

TITLE: Final = "Reads over kept connections"
LINES: Final = ("1.14", "1.7")

_NODE: Final = "-path=/api/v1/nodes/bench-00000"
#: nodes of a list -> the bar of its ratio
_LISTS: Final = {4: 0.3, 100: 0.08, 1000: 0.05, 5000: 0.05}
_QUICK_NODES: Final = 100
_PROTOBUF: Final = "protobuf if offered"
_HTTP2: Final = "HTTP/2 if offered"
_UNPACKED: Final = "client takes no gzip"
#: what is asked differently -> the flags that do it
_LIST_WAYS: Final = {"": (), f", {_PROTOBUF}": ("-protobuf",), f", {_UNPACKED}": ("-no-gzip",)}


def _list_name(nodes: int) -> str:
    return f"LIST {nodes:,} nodes".replace(",", " ")


def _memory_name(nodes: int) -> str:
    return f"memory with {nodes:,} nodes".replace(",", " ")


ROWS: Final = (
    Row("GET one node", "cpu_us", "us of CPU", 0.4),
    Row(f"GET one node, {_PROTOBUF}", "cpu_us", "us of CPU", 0.4),
    Row(f"GET one node, {_HTTP2}", "cpu_us", "us of CPU", 0.4),
    *(
        Row(_list_name(nodes) + more, "cpu_us", "us of CPU", bar)
        for nodes, bar in _LISTS.items()
        for more in _LIST_WAYS
    ),
    *(Row(_memory_name(nodes), "pss_mib", "MiB") for nodes in _LISTS),
)
PLOTS: Final = (
    Plot(
        "list-cpu",
        "CPU of the server for a LIST",
        "nodes",
        "microseconds",
        "cpu_us",
        {nodes: _list_name(nodes) for nodes in _LISTS},
    ),
    Plot(
        "nodes-memory",
        "Memory of a cluster's nodes",
        "nodes",
        "MiB (PSS)",
        "pss_mib",
        {nodes: _memory_name(nodes) for nodes in _LISTS},
    ),
)


def run(bench: Bench, line: str) -> None:
    """Measure GETs among four nodes, then lists of more and more of them."""
    del line
    many = f"-connections={bench.connections}"
    with bench.pair() as pair:
        for nodes in _LISTS:
            if bench.effort.quick and nodes > _QUICK_NODES:
                return
            for subject in pair:
                bench.load(subject, "fill", f"-count={nodes}")
            if nodes == min(_LISTS):
                _gets(bench, pair, many)
            _lists(bench, pair, many, nodes)


def _gets(bench: Bench, pair: list[Subject], many: str) -> None:
    for name, flags in (
        ("GET one node", ()),
        (f"GET one node, {_PROTOBUF}", ("-protobuf",)),
        (f"GET one node, {_HTTP2}", ("-http2",)),
    ):
        bench.alternate(name, pair, bench.asking("read", _NODE, many, *flags))


def _lists(bench: Bench, pair: list[Subject], many: str, nodes: int) -> None:
    bench.alternate(_memory_name(nodes), pair, lambda subject: {"pss_mib": subject.pss_mib()})
    for more, flags in _LIST_WAYS.items():
        bench.alternate(_list_name(nodes) + more, pair, bench.asking("read", many, *flags))
