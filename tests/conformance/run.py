"""Run the cases on a fake and on a real API server: `python -m tests.conformance.run [-k TEXT]`.

Prints a diff for every difference that is not known (see `differences`) and a summary; the exit code
is 1 if there is one, or if a known difference is gone.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.conformance import sides
from tests.conformance.cases import all_cases
from tests.conformance.client import Server
from tests.conformance.differences import KNOWN
from tests.conformance.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conformance.runner import Outcome

THREADS: Final = 8


@contextlib.contextmanager
def both() -> Iterator[Runner]:
    """Give a runner with both sides up."""
    with (
        tempfile.TemporaryDirectory(prefix="capim-conformance-") as folder,
        sides.real_kubeconfig(Path(folder, "real")) as real,
        sides.fake_kubeconfig(Path(folder, "fake")) as fake,
    ):
        yield Runner(Server(fake), Server(real))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def verdict(outcome: Outcome) -> str:
    """Return one of equal, known, differs, stale (a known difference that is gone)."""
    known = outcome.case.name in KNOWN
    if outcome.equal:
        return "stale" if known else "equal"
    return "known" if known else "differs"


def main() -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", default="", metavar="TEXT", help="only cases with TEXT in their name")
    parser.add_argument("--verbose", action="store_true", help="a line for every case as it ends")
    parser.add_argument("--threads", type=int, default=THREADS)
    options = parser.parse_args()
    cases = all_cases(options.k)
    begun = time.monotonic()

    def done(outcome: Outcome) -> None:
        if options.verbose:
            _say(f"{verdict(outcome):8}{outcome.case.name}")

    with both() as runner:
        outcomes = runner.run_all(cases, threads=options.threads, done=done)
    return _report(outcomes, time.monotonic() - begun)


def _report(outcomes: list[Outcome], seconds: float) -> int:
    counts = dict.fromkeys(("equal", "known", "differs", "stale"), 0)
    for outcome in outcomes:
        found = verdict(outcome)
        counts[found] += 1
        if found == "differs":
            _say("\n".join([f"\n=== {outcome.case.name}", *outcome.differences]))
        elif found == "stale":
            _say(f"\n=== {outcome.case.name}\nno longer differs: remove it from KNOWN")
    summary = ", ".join(f"{count} {found}" for found, count in counts.items())
    _say(f"\n{len(outcomes)} cases in {seconds:.0f} s: {summary}")
    return 1 if counts["differs"] or counts["stale"] else 0


if __name__ == "__main__":
    sys.exit(main())
