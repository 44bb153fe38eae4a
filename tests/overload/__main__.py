"""How long a neighbour waits while another cluster of its worker is attacked: p50, p99 and the worst.

`python -m tests.overload [-k TEXT] [--seconds S] [--warm-up S]`, run by hand. The worker has the first
core, the attacker the second, and so has the client that is timed, at a higher priority where it may.
Each attack is timed between two times of rest, whose p99 the factor is of.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from capim.aio.descriptors import raise_limit
from tests.overload.attacks import ATTACKS
from tests.overload.neighbour import Times, gets
from tests.overload.world import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORKER_CORE: Final = {0}
_CLIENT_CORE: Final = {1}
_START_S: Final = 30.0
#: how long the worker has to get over it
_CALM_S: Final = 1.0


def main() -> None:
    """Run the attacks that are asked for and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.overload", description=__doc__)
    parser.add_argument("-k", default="", help="only attacks whose names have this text")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each is timed")
    parser.add_argument(
        "--warm-up",
        type=float,
        default=30.0,
        help="how long each runs before: who does what takes long is let do it for a while",
    )
    options = parser.parse_args()
    raise_limit()
    with tempfile.TemporaryDirectory() as folder, _world(Path(folder)) as sites:
        _pin(_CLIENT_CORE, -5)
        _print("| attack | p50 ms | p99 ms | worst ms | p99 at rest ms | factor |")
        _print("|---|---|---|---|---|---|")
        rest = gets(sites["neighbour"], options.seconds)
        for name in ATTACKS:
            if options.k in name:
                under = _attacked(name, sites, options.warm_up, options.seconds)
                after = gets(sites["neighbour"], options.seconds)
                _show(name, under, max(rest.at(0.99), after.at(0.99)))
                rest = after


def _show(name: str, under: Times, rest_ms: float) -> None:
    p50, p99, worst = (under.at(share) for share in (0.5, 0.99, 1.0))
    figures = f"{p50:.2f} | {p99:.2f} | {worst:.1f} | {rest_ms:.2f} | {p99 / rest_ms:.1f}"
    _print(f"| {name} | {figures} |")


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _attacked(name: str, sites: dict[str, Site], warm_up: float, seconds: float) -> Times:
    command = [
        sys.executable,
        "-m",
        "tests.overload.attacks",
        name,
        json.dumps(asdict(sites["attacked"])),
    ]
    attacker = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _pin(_CLIENT_CORE, 5, attacker.pid)
    try:
        time.sleep(warm_up)
        under = gets(sites["neighbour"], seconds)
        if attacker.poll() is not None:
            raise RuntimeError(f"the attack ended by itself: {name}")
        return under
    finally:
        attacker.kill()
        attacker.wait()
        time.sleep(_CALM_S)


def _pin(core: set[int], nice: int, process: int = 0) -> None:
    os.sched_setaffinity(process, core)
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, process, nice)


@contextlib.contextmanager
def _world(folder: Path) -> Iterator[dict[str, Site]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.overload.world", str(folder)], stdout=subprocess.DEVNULL
    )
    _pin(_WORKER_CORE, -5, process.pid)
    found = folder / "sites.json"
    until = time.monotonic() + _START_S
    try:
        while not found.exists():
            if time.monotonic() > until or process.poll() is not None:
                raise RuntimeError("the clusters did not come up")
            time.sleep(0.05)
        yield {name: Site(**site) for name, site in json.loads(found.read_text()).items()}
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


if __name__ == "__main__":
    main()
