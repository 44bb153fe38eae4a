"""Runs the chosen tests of Kubernetes' own conformance suite: `python -m tests.conformance.suite FILE`.

`suite.txt` lists the tests that wait for no running container and pass on a real control plane without
nodes' agents. They run in small batches, so that a batch that hangs costs only itself; the report has
a line a test: `passed`, `failed` or `missing` (its batch was over before its turn), the seconds, the name.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET  # our own child's report
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.e2e import build

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LIST: Final = Path(__file__).with_name("suite.txt")
#: those of them that take seconds and pass on the fake: the regular runs' part
QUICK: Final = Path(__file__).with_name("suite_quick.txt")
_BATCH: Final = 10
_AT_ONCE: Final = 2
#: the first line of a failure that tells what went wrong, rather than where
_NOISE: Final = re.compile(r"^\s*(\[FAILED\]|In \[|STEP:|I\d{4}|$)")


@dataclass(frozen=True, slots=True)
class Result:
    """How one test ended; `message` is why it failed."""

    name: str
    state: str
    seconds: float = 0
    message: str = ""

    def line(self) -> str:
        """Return the report's line."""
        return f"{self.state:8}{self.seconds:6.1f}  {self.name}"


def names(listed: Path = LIST, containing: str = "") -> list[str]:
    """Return the tests of a list whose names contain a text."""
    return [name for name in listed.read_text().splitlines() if name and containing in name]


def run(
    kubeconfig: Path,
    tests: Sequence[str],
    *,
    batch_timeout_s: int,
    batch: int = _BATCH,
    done: Callable[[Result], None] | None = None,
) -> list[Result]:
    """Run tests in batches, two at once; `done` hears of each test when its batch has ended."""
    programs = build.ensure(["e2e.test", "kubectl"])
    batches = [tests[start : start + batch] for start in range(0, len(tests), batch)]

    def one(chosen: Sequence[str]) -> list[Result]:
        results = _run_batch(programs, kubeconfig, chosen, batch_timeout_s)
        for result in results:
            if done is not None:
                done(result)
        return results

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [result for results in pool.map(one, batches) for result in results]


def _run_batch(
    programs: Path, kubeconfig: Path, tests: Sequence[str], timeout_s: int
) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="capim-suite-") as folder:
        command = [
            *("nice", "-n", "19", str(programs / "e2e.test")),
            f"--kubeconfig={kubeconfig}",
            f"--kubectl-path={programs / 'kubectl'}",
            "--provider=skeleton",
            "--allowed-not-ready-nodes=-1",
            "--node-os-distro=custom",
            f"--ginkgo.focus= ({'|'.join(re.escape(test) for test in tests)})$",
            "--ginkgo.no-color",
            f"--ginkgo.timeout={timeout_s}s",
            f"--ginkgo.junit-report={folder}/report.xml",
        ]
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        with Path(folder, "log").open("wb") as log:
            subprocess.run(
                command, stdout=log, stderr=log, check=False, env=environment, cwd=folder
            )
        found = _parse(Path(folder, "report.xml"))
        if not found:
            text = Path(folder, "log").read_text(errors="replace")[-2000:]
            return [Result(test, "missing", message=text) for test in tests]
    return [found.get(test) or Result(test, "missing") for test in tests]


def _parse(report: Path) -> dict[str, Result]:
    if not report.exists():
        return {}
    found = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - our own child's report
        name = re.sub(r"^\[It\] ", "", case.get("name", ""))
        name = re.sub(r" \[[A-Za-z-]+(, [A-Za-z:-]+)*\]$", _keep_tag, name)
        state = case.get("status", "")
        if state == "skipped":
            continue
        failure = case.find("failure")
        message = "" if failure is None else _why(failure)
        seconds = float(case.get("time", 0))
        found[name] = Result(name, state if state == "passed" else "failed", seconds, message)
    return found


def _keep_tag(found: re.Match[str]) -> str:
    """The report adds the labels of a test as a list; the tags of its name are single."""
    return "" if "," in found[0] else found[0]


def _why(failure: ET.Element) -> str:
    text = f"{failure.get('message', '')}\n{failure.text or ''}"
    lines = [line.strip() for line in text.splitlines() if not _NOISE.match(line)]
    return "\n".join(lines[:12])[:1500]


def main() -> int:
    """Run from the command line; the exit code is 1 unless all pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kubeconfig", type=Path)
    parser.add_argument("-k", default="", metavar="TEXT", help="only tests with TEXT in their name")
    parser.add_argument("--list", type=Path, default=LIST, help="another list of tests")
    parser.add_argument("--timeout", type=int, default=600, help="seconds a batch")
    parser.add_argument("--batch", type=int, default=_BATCH, help="tests a batch")
    parser.add_argument("--why", action="store_true", help="print why a test failed")
    options = parser.parse_args()

    def done(result: Result) -> None:
        sys.stdout.write(result.line() + "\n")
        if options.why and result.message:
            sys.stdout.write(re.sub(r"^", "    | ", result.message, flags=re.MULTILINE) + "\n")
        sys.stdout.flush()

    results = run(
        options.kubeconfig.absolute(),
        names(options.list, options.k),
        batch_timeout_s=options.timeout,
        batch=options.batch,
        done=done,
    )
    passed = sum(result.state == "passed" for result in results)
    sys.stdout.write(f"\n{passed} of {len(results)} passed\n")
    return 0 if passed == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
