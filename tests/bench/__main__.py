"""CAPIM beside the Go in-memory provider: `python -m tests.bench [SECTION...]`, or `make bench`.

Each section measures both in turn, several times, in the same run: the same load program asks servers
that hold the same objects. CPU is that of all processes of a provider by /proc, memory is PSS. Every
measurement is appended to a file as a line of JSON; the table of the last runs goes to standard output,
with --write to docs/performance.md. A machine with nothing else to do is what makes figures worth
keeping: --quick only shows that everything works.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench import report
from tests.bench.bench import Bench, Effort, tell, work_folder
from tests.bench.results import DONE, Results
from tests.bench.sections import SECTIONS, SMOKE
from tests.e2e import build, processes

if TYPE_CHECKING:
    from collections.abc import Iterator

_WHOLE: Final = Effort(rounds=3, cpu_s=2.0, quick=False)
_QUICK: Final = Effort(rounds=1, cpu_s=0.2, quick=True)


def main() -> None:
    """Measure and report from the command line."""
    options = _options()
    # whoever ends this ends what it has started
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    processes.adopt_orphans()
    results = Results(options.results)
    if not options.report:
        commit = _commit()
        for name, line in _chosen(options):
            if options.resume and results.is_done(name, line, commit):
                tell(f"{name} {line} was measured at {commit}")
                continue
            _run(name, line, _effort(options), results, commit)
    samples = results.all()
    sys.stdout.write(report.markdown(samples, quick=options.quick))
    if options.write:
        report.write(samples)


def _options() -> argparse.Namespace:
    names = "\n".join(f"  {name:12} {section.TITLE}" for name, section in SECTIONS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=f"{(__doc__ or '').strip()}\n\nsections:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help="default: all")
    parser.add_argument(
        "--line", choices=build.CLUSTER_API, action="append", help="of Cluster API; default: all"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a minute to see that it works: a short round of the newest line, the small sections",
    )
    parser.add_argument("--rounds", type=int, help="of each measurement; default: 3")
    parser.add_argument(
        "--resume", action="store_true", help="leave out what was measured at this commit"
    )
    parser.add_argument("--report", action="store_true", help="measure nothing, show what was")
    parser.add_argument("--write", action="store_true", help="docs/performance.md and its plots")
    parser.add_argument(
        "--results",
        type=Path,
        default=build.CHECKOUT / "out" / "bench.jsonl",
        help="file of all measurements; default: out/bench.jsonl",
    )
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    return options


def _effort(options: argparse.Namespace) -> Effort:
    base = _QUICK if options.quick else _WHOLE
    return Effort(options.rounds or base.rounds, base.cpu_s, base.quick)


def _chosen(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    for name in options.sections or (SMOKE if options.quick else SECTIONS):
        lines = SECTIONS[name].LINES
        if not lines:
            yield name, ""
            continue
        wanted = options.line or (lines[:1] if options.quick else lines)
        yield from ((name, line) for line in lines if line in wanted)


def _run(name: str, line: str, effort: Effort, results: Results, commit: str) -> None:
    began = time.strftime("%Y-%m-%dT%H:%M:%S")
    with work_folder() as folder:
        bench = Bench(name, line, effort, results, began, commit, folder)
        SECTIONS[name].run(bench, line)
        bench.record(DONE, "", {})


def _commit() -> str:
    """Return the short name of the commit, with a mark where files differ from it."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=build.CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


if __name__ == "__main__":
    main()
