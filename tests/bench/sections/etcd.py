"""Looks at an etcd member as the controller of kubeadm's control planes takes them, all the time.

Each is a port-forward to the member's pod, a handshake inside it with a client certificate of the etcd
authority, then Status, MemberList and AlarmList.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.bench.bench import Row

if TYPE_CHECKING:
    from tests.bench.bench import Bench
    from tests.bench.subjects import Subject

TITLE: Final = "etcd sessions as KubeadmControlPlane has them"
LINES: Final = ("1.14", "1.7")
ROWS: Final = (
    Row("etcd session over SPDY", "cpu_us", "us of CPU", 0.5),
    Row("etcd session, WebSocket first", "cpu_us", "us of CPU", 0.5),
)
PLOTS: Final = ()


def run(bench: Bench, line: str) -> None:
    """Measure by SPDY, which 1.7 speaks, and as 1.14 does: through a WebSocket where there is one."""
    many = f"-connections={bench.connections}"
    with bench.pair() as pair:

        def measure(subject: Subject, *flags: str) -> dict[str, float]:
            return bench.load(subject, "etcd", f"-pod={subject.etcd_pod}", many, *flags)

        bench.alternate(ROWS[0].name, pair, measure)
        if line != "1.7":
            bench.alternate(ROWS[1].name, pair, lambda subject: measure(subject, "-tunnel"))
