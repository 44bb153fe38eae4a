"""What `capim doctor` looks at on this machine, for a manager that runs here."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Final

from capim import __version__
from capim.cli.findings import Finding, Level
from coordinator.options import DEFAULT_PORTS

if TYPE_CHECKING:
    from capim.aio.descriptors import Capacity

_EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_RESERVED: Final = Path("/proc/sys/net/ipv4/ip_local_reserved_ports")
#: fewer than a small scale experiment has
_FEW_CLUSTERS: Final = 100


def machine_findings(capacity: Capacity) -> list[Finding]:
    """Judge this machine."""
    python = platform.python_version()
    about = f"capim {__version__}, Python {python}, {platform.system()} {platform.machine()}"
    return [
        Finding("machine", Level.OK, about),
        files_finding(capacity),
        ports_finding(_read(_EPHEMERAL), _read(_RESERVED)),
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:  # no Linux
        return ""


def files_finding(capacity: Capacity) -> Finding:
    """Judge how many clusters the limit of open files allows a worker."""
    if capacity.clusters >= _FEW_CLUSTERS:
        return Finding("limits", Level.OK, str(capacity))
    fix = "raise it (ulimit -Hn, LimitNOFILE of a service), or run more workers"
    return Finding("limits", Level.WARNING, str(capacity), fix)


def ports_finding(ephemeral: str, reserved: str) -> Finding:
    """Judge whether outgoing connections may take the ports of listeners.

    Args:
        ephemeral: two ports, as Linux writes them; empty: not known.
        reserved: ports and ranges that are left out of them, with commas.
    """
    ours = f"{DEFAULT_PORTS.first}-{DEFAULT_PORTS.last}"
    if not ephemeral.split():
        return Finding("ports", Level.NOTE, "this system does not say which ports it gives away")
    first, last = map(int, ephemeral.split())
    overlap = first <= DEFAULT_PORTS.last and last >= DEFAULT_PORTS.first
    if not overlap or ours in reserved.strip().split(","):
        return Finding("ports", Level.OK, f"{ours} are nobody else's")
    message = (
        f"the system gives {first}-{last} to outgoing connections: some of {ours} may be taken"
    )
    fix = f"sysctl -w net.ipv4.ip_local_reserved_ports={ours}, or choose another --port-range"
    return Finding("ports", Level.WARNING, message, fix)
