"""Say which pinned dependencies have known vulnerabilities: `make audit`, a few seconds.

Asks the package index for its advisories of each pin in requirements.lock, and for whether the release was
taken back. The exit code is 1 for a finding that `--accept ID` does not name. An index that cannot be
reached, or is a mirror without advisories, is no finding: what was not audited is said.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pip._internal.models.index import PyPI  # where pip itself goes by default

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOCK: Final = Path(__file__).resolve().parent.parent / "requirements.lock"
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", re.MULTILINE)
_TIMEOUT_S: Final = 10.0
_AT_ONCE: Final = 8


class Pin(NamedTuple):
    """A dependency as it is installed."""

    name: str
    version: str


class Finding(NamedTuple):
    """What is wrong with a pin."""

    identity: str  #: an advisory's, or `yanked`
    text: str


def pins(lock: str) -> list[Pin]:
    """Read the pins of a lock file."""
    return [Pin(*found) for found in _PIN.findall(lock)]


def findings(pin: Pin, known: dict[str, Any]) -> list[Finding]:
    """Return what the index has against a release."""
    shown = f"{pin.name} {pin.version}"
    found = []
    for advisory in known["vulnerabilities"]:
        if advisory.get("withdrawn"):
            continue
        fixed = ", ".join(advisory.get("fixed_in") or ()) or "no release yet"
        summary = advisory.get("summary") or advisory.get("link") or ""
        text = f"{shown}: {advisory['id']}, fixed in {fixed}: {summary}"
        found.append(Finding(advisory["id"], text))
    release = known.get("info") or {}
    if release.get("yanked"):
        why = release.get("yanked_reason") or "no reason given"
        found.append(Finding("yanked", f"{shown}: taken back by its authors: {why}"))
    return found


def ask_index(pin: Pin) -> dict[str, Any] | None:
    """Return what the package index knows of a release; None: not to be had, or without advisories."""
    url = f"{PyPI.pypi_url}/{pin.name}/{pin.version}/json"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - https
            known: dict[str, Any] = json.load(answer)
    except (urllib.error.URLError, TimeoutError, ValueError):
        return None
    return known if "vulnerabilities" in known else None


def audit(
    wanted: Sequence[Pin], ask: Callable[[Pin], dict[str, Any] | None], accepted: frozenset[str]
) -> tuple[list[str], int]:
    """Return what was found, and how many pins could not be asked about."""
    # one first: where there is no advisory source, nobody waits for a time limit again and again
    if not wanted or (first := ask(wanted[0])) is None:
        return [], len(wanted)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        answers = [first, *threads.map(ask, wanted[1:])]
    found = [
        finding.text
        for pin, known in zip(wanted, answers, strict=True)
        if known is not None
        for finding in findings(pin, known)
        if finding.identity not in accepted
    ]
    return found, answers.count(None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accept", action="append", default=[], metavar="ID")
    options = parser.parse_args(arguments)
    wanted = pins(LOCK.read_text(encoding="utf-8"))
    found, unasked = audit(wanted, ask_index, frozenset(options.accept))
    for line in found:
        sys.stdout.write(f"{line}\n")
    audited = len(wanted) - unasked
    sys.stdout.write(f"audit: {audited} of {len(wanted)} pins audited, {len(found)} findings")
    sys.stdout.write("; no advisories to be had here\n" if not audited else "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
