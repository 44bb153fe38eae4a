"""Many readers of one object while controllers and clients write: nobody gets an error."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.fleet import Fleet
    from tests.e2e.kube import Kube

_READERS = 16
_WRITES = 200


def test_parallel_reads(fleet: Fleet) -> None:
    """Sixteen connections read one Node while it is written and its cluster grows."""
    fleet.apply_class()
    fleet.create("busy", fleet.size(1, 1))
    fleet.wait_running(["busy"], fleet.size(1, 1))
    writer = fleet.workload("busy")
    node = writer.list("Node")[0]["metadata"]["name"]
    readers = [fleet.workload("busy") for _ in range(_READERS)]
    done = threading.Event()
    with ThreadPoolExecutor(_READERS) as pool:
        reads = [pool.submit(_read, reader, node, done) for reader in readers]
        try:
            fleet.resize("busy", fleet.size(1, 3))
            for number in range(_WRITES):
                labels = {"metadata": {"labels": {"written": str(number)}}}
                writer.patch("Node", "", node, labels)
            fleet.wait_running(["busy"], fleet.size(1, 3))
        finally:
            done.set()
        versions = [read.result() for read in reads]
    assert all(seen == sorted(seen) for seen in versions), "a reader saw a version go back"
    assert all(len(set(seen)) > 1 for seen in versions)
    assert writer.get("Node", "", node)["metadata"]["labels"]["written"] == str(_WRITES - 1)
    fleet.delete(["busy"])


def _read(kube: Kube, node: str, done: threading.Event) -> list[int]:
    """Read until told to stop; return the versions seen, in order."""
    seen = []
    while not done.is_set():
        seen.append(int(kube.get("Node", "", node)["metadata"]["resourceVersion"]))
    return seen
