"""Runs the list of kubectl commands on both sides: `python -m tests.conformance.kubectl [-k TEXT]`.

Exit code, standard output and standard error must be equal once ages, generated names, uids, versions
and addresses are masked. Prints a diff for every difference that is not known, names known ones that are
gone, and ends with a summary; the exit code is 1 if there is a difference that is not known.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import difflib
import itertools
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from capim.certs.issue import new_key
from tests.conformance import sides
from tests.conformance.kubectl_commands import Scenario, scenarios
from tests.conformance.kubectl_differences import KUBECTL
from tests.e2e import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_COMMAND_TIMEOUT_S: Final = 60
_SETTLE_S: Final = 8
_THREADS: Final = 3
#: how an address of etcd or a pod's suffix may look: Kubernetes draws names without vowels
_CONSONANTS: Final = "bcdfghjklmnpqrstvwxz2456789"

_MASKS: Final = tuple(
    (re.compile(pattern), mask)
    for pattern, mask in (
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( [+-]\d{4} \w+ m=\S+|Z)?", "<time>"),
        (r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "<time>"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
        (r'(resourceVersion"?: *)"\d+"', r"\1<version>"),
        (r"Resource Version: +\d+", "Resource Version: <version>"),
        (r"/tmp/[^\s\"',:]*", "<file>"),  # noqa: S108 - a text to be masked
        (r"(127\.0\.0\.1|\b\d{1,3}(\.\d{1,3}){3}):\d+", "<server>"),
        (r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b", "<ip>"),
        (r"\b3[0-2]\d{3}/(TCP|UDP)", r"<port>/\1"),
        (r'(nodePort"?: *)\d+', r"\1<port>"),
        (rf"-[{_CONSONANTS}]{{8,10}}\b", "-<hash>"),
        (rf"-[{_CONSONANTS}]{{5}}\b", "-<suffix>"),
        (r"(pod-template-hash=?[\"':]* *)[\"']?\w+[\"']?", r"\1<hash>"),
        (r"v1\.\d+\.\d+", "<release>"),
        (r"\b(\d+[smhdy]){1,3}\b", "<age>"),
        (r"kubernetes-admin|\badmin\b", "<admin>"),
        (r"0x[0-9a-f]+", "<pointer>"),
        # whether a watch that is cut by kubectl's own deadline was one is a race in client-go
        (r"[EWI]\d{4} \S+ +\d+ reflector\.go.*\n", ""),
        (r"[EWI]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ", "<log> "),
        (r" {2,}", "  "),  # a column is as wide as its widest age
        (r" +\n", "\n"),
        (r"-{3,}", "---"),
    )
)


@dataclass(frozen=True, slots=True)
class Said:
    """What a command answered, masked."""

    code: int
    output: str
    errors: str

    def text(self) -> str:
        """Return it as lines to be compared."""
        return f"exit code {self.code}\n{self.output}\n--- errors\n{self.errors}"


@dataclass(frozen=True, slots=True)
class Compared:
    """One command on both sides; no difference is an empty text."""

    label: str
    difference: str

    @property
    def verdict(self) -> str:
        """Return one of equal, known, differs, stale (a known difference that is gone)."""
        known = self.label in KUBECTL
        if self.difference:
            return "known" if known else "differs"
        return "stale" if known else "equal"


class Seat:
    """A scenario's folder and environment on one side."""

    def __init__(self, kubeconfig: Path, home: Path, scenario: Scenario, name: str) -> None:
        self.folder = home / scenario.name
        self.folder.mkdir(parents=True)
        self._namespace, self._name = f"{name}-ns", name
        for file, text in scenario.files.items():
            path = self.folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(re.sub(r"\bNAME\b", name, text).replace("REQUEST", _request()))
        config = _kubeconfig(kubeconfig, self._namespace)
        self.folder.joinpath("config").write_text(yaml.safe_dump(config))
        config["users"] = [{"name": "user", "user": {}}]
        self.folder.joinpath("tokenless").write_text(yaml.safe_dump(config))
        self._environment = {
            "PATH": f"{build.bin_dir()}:{os.environ['PATH']}",
            "HOME": str(home),
            "KUBECONFIG": str(self.folder / "config"),
            "NS": self._namespace,
            "NAME": name,
            "TZ": "UTC",
        }

    def run(self, command: str) -> Said:
        """Run a line in bash and return what it said, masked."""
        done = subprocess.run(
            ["nice", "-n", "19", "bash", "-c", command],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
        )
        return Said(done.returncode, self._mask(done.stdout), self._mask(done.stderr))

    def _mask(self, data: bytes) -> str:
        text = data.decode(errors="backslashreplace").replace(str(self.folder), "<folder>")
        text = text.replace(self._namespace, "<ns>").replace(self._name, "<name>")
        for pattern, mask in _MASKS:
            text = pattern.sub(mask, text)
        return text


def _kubeconfig(source: Path, namespace: str) -> dict[str, object]:
    """Return a kubeconfig with the names that both sides have."""
    config = yaml.safe_load(source.read_text())
    context = {"cluster": "cluster", "user": "user", "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": config["clusters"][0]["cluster"]}],
        "users": [{"name": "user", "user": config["users"][0]["user"]}],
        "contexts": [{"name": "context", "context": context}],
        "current-context": "context",
    }


def _request() -> str:
    """Return a certificate signing request of user jane, as the API takes it."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jane")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    signed = builder.sign(new_key(), hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


def _compare(scenario: Scenario, seats: Sequence[Seat], pool: ThreadPoolExecutor) -> list[Compared]:
    """Run a scenario in step on both sides."""
    with _namespaces(seats):
        return [_compare_command(scenario, line, seats, pool) for line in scenario.commands]


def _compare_command(
    scenario: Scenario, line: str, seats: Sequence[Seat], pool: ThreadPoolExecutor
) -> Compared:
    command = line.removeprefix("~")
    settled = time.monotonic() + (_SETTLE_S if line.startswith("~") else 0)
    while True:
        real, fake = pool.map(lambda seat: seat.run(command), seats)
        difference = "" if real == fake else _diff(real.text(), fake.text())
        if not difference or time.monotonic() > settled:
            return Compared(f"{scenario.name}: {command}", difference)
        time.sleep(0.5)


def _diff(real: str, fake: str) -> str:
    lines = difflib.unified_diff(real.splitlines(), fake.splitlines(), n=2, lineterm="")
    return "\n".join(itertools.islice(lines, 2, 80))


@contextlib.contextmanager
def _namespaces(seats: Sequence[Seat]) -> Iterator[None]:
    wait = "kubectl wait --for=create sa/default cm/kube-root-ca.crt --timeout=20s"
    for seat in seats:
        seat.run(f"kubectl create ns $NS; {wait}")
    try:
        yield
    finally:
        for seat in seats:
            seat.run("kubectl delete ns $NS --wait=false")


def run(
    real: Path,
    fake: Path,
    *,
    containing: str = "",
    done: Callable[[Compared], None] | None = None,
) -> list[Compared]:
    """Run the scenarios whose names contain a text; `done` hears of each command's comparison."""
    build.ensure(["kubectl"])
    chosen = scenarios(containing)
    prefix = f"cf-{secrets.token_hex(2)}"

    def one(numbered: tuple[int, Scenario]) -> list[Compared]:
        number, scenario = numbered
        # letters: a name that ends in digits could be taken for an age
        name = f"{prefix}-{chr(ord('a') + number)}"
        with ThreadPoolExecutor(2) as pool:
            homes = zip((real, fake), (folder / "real", folder / "fake"), strict=True)
            seats = [Seat(config, home, scenario, name) for config, home in homes]
            compared = _compare(scenario, seats, pool)
        for result in compared:
            if done is not None:
                done(result)
        return compared

    with tempfile.TemporaryDirectory(prefix="capim-kubectl-") as made:
        folder = Path(made)
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(itertools.chain.from_iterable(pool.map(one, enumerate(chosen))))


def main() -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", default="", metavar="TEXT", help="only scenarios with TEXT in them")
    options = parser.parse_args()

    def done(result: Compared) -> None:
        if result.verdict in {"differs", "stale"}:
            sys.stdout.write(f"\n=== {result.label}\n{result.difference or 'no longer differs'}\n")
            sys.stdout.flush()

    with (
        tempfile.TemporaryDirectory(prefix="capim-conformance-") as folder,
        sides.real_kubeconfig(Path(folder, "real")) as real,
        sides.fake_kubeconfig(Path(folder, "fake")) as fake,
    ):
        compared = run(real, fake, containing=options.k, done=done)
    verdicts = [result.verdict for result in compared]
    counts = {name: verdicts.count(name) for name in ("equal", "known", "differs", "stale")}
    summary = ", ".join(f"{count} {name}" for name, count in counts.items())
    sys.stdout.write(f"\n{len(compared)} commands: {summary}\n")
    return 1 if counts["differs"] else 0


if __name__ == "__main__":
    sys.exit(main())
