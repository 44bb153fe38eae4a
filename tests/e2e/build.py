"""Builds the programs these tests drive from their Go modules, at the versions the modules name.

`python -m tests.e2e.build` builds what one run needs and skips what is current: a program's stamp is
the digest of its go.mod and build arguments. A folder named by `CAPIM_E2E_BIN` is taken as it is;
only what is missing there is built.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

CHECKOUT: Final = Path(__file__).parents[2]
MODULES: Final = Path(__file__).with_name("modules")
KUBERNETES: Final = "1.35.4"
#: Cluster API line -> its exact version; the keys are the values of the `line` fixture
CLUSTER_API: Final = {"1.7": "1.7.0", "1.14": "1.14.2"}
_CAPI: Final = "sigs.k8s.io/cluster-api"


class BuildError(RuntimeError):
    """A program cannot be had; the message says what to install or where to look."""


@dataclass(frozen=True, slots=True)
class Program:
    """One binary: `package` of the module in `modules/<module>`."""

    name: str
    module: str
    package: str
    #: package variables set by the linker, as `import/path.name=value`
    variables: tuple[str, ...] = ()
    #: `build`, or `test -c` for a package whose program is its tests
    verb: str = "build"
    #: more arguments, such as another file than go.mod
    flags: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        """Return what follows `go VERB -o FILE`."""
        flags = " ".join(["-s", "-w", *(f"-X {variable}" for variable in self.variables)])
        return [f"-ldflags={flags}", *self.flags, self.package]

    def stamp(self) -> str:
        """Return a digest that changes when the program would."""
        digest = hashlib.sha256()
        for file in sorted((MODULES / self.module).iterdir()):
            digest.update(file.read_bytes())
        digest.update(json.dumps(self.arguments()).encode())
        return digest.hexdigest()


def _version(package: str, version: str) -> tuple[str, ...]:
    major, minor, _ = version.split(".")
    return (
        f"{package}.gitVersion=v{version}",
        f"{package}.gitMajor={major}",
        f"{package}.gitMinor={minor}",
    )


def _kubernetes(name: str, package: str = "", verb: str = "build") -> Program:
    variables = _version("k8s.io/component-base/version", KUBERNETES)
    package = f"k8s.io/kubernetes/{package or f'cmd/{name}'}"
    return Program(name, "kubernetes", package, variables, verb)


def _cluster_api(line: str) -> list[Program]:
    packages = {
        "core": _CAPI if line == "1.7" else f"{_CAPI}/core",
        "cabpk": f"{_CAPI}/bootstrap/kubeadm",
        "kcp": f"{_CAPI}/controlplane/kubeadm",
        # the Go provider in memory: a folder of its own at first, a backend of CAPD's since
        "infra": f"{_CAPI}/test/infrastructure/{'inmemory' if line == '1.7' else 'docker'}",
    }
    module = f"capi-{line}"
    programs = [Program(f"{module}-{name}", module, path) for name, path in packages.items()]
    variables = (
        *_version(f"{_CAPI}/version", CLUSTER_API[line]),
        f"{_CAPI}/version.gitTreeState=clean",
    )
    return [*programs, Program(f"clusterctl-{line}", module, f"{_CAPI}/cmd/clusterctl", variables)]


PROGRAMS: Final = {
    program.name: program
    for program in (
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kubectl"),
        _kubernetes("e2e.test", "test/e2e", "test -c"),
        Program("etcd", "etcd", "."),
        Program("clients", "clients", "."),
        Program("load", "load", "."),
        # the servers of the Go provider alone, for `tests/bench`
        Program("inmemory-1.7", "inmemory", ".", flags=("-modfile=go-1.7.mod", "-tags=capi1_7")),
        Program("inmemory-1.14", "inmemory", "."),
        *_cluster_api("1.7"),
        *_cluster_api("1.14"),
    )
}


def needed(line: str, *, baseline: bool = False) -> list[str]:
    """Return the programs that a management cluster of `line` runs; `baseline` adds the Go provider."""
    parts = ["core", "cabpk", "kcp", *(["infra"] if baseline else [])]
    return [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        *(f"capi-{line}-{part}" for part in parts),
    ]


def bin_dir() -> Path:
    """Return the folder of the built programs; it may not exist yet."""
    return Path(os.environ.get("CAPIM_E2E_BIN") or CHECKOUT / ".e2e" / "bin")


def ensure(names: Iterable[str]) -> Path:
    """Build those of `names` that are missing or out of date, and return their folder.

    Raises:
        BuildError: Go is missing or a build failed.
    """
    folder = bin_dir()
    stale = [PROGRAMS[name] for name in names if not _current(folder, PROGRAMS[name])]
    if not stale:
        return folder
    if shutil.which("go") is None:
        missing = ", ".join(program.name for program in stale)
        message = (
            f"Go is needed to build {missing}: install it (https://go.dev/dl), put it on PATH, "
            "or name a folder that has these programs in CAPIM_E2E_BIN"
        )
        raise BuildError(message)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        shutil.copytree(MODULES, work, dirs_exist_ok=True)
        for program in stale:
            _build(program, Path(work), folder)
    return folder


def _current(folder: Path, program: Program) -> bool:
    if not (folder / program.name).exists():
        return False
    if os.environ.get("CAPIM_E2E_BIN"):
        return True
    stamp = _stamp_file(folder, program)
    return stamp.exists() and stamp.read_text() == program.stamp()


def _stamp_file(folder: Path, program: Program) -> Path:
    return folder / f".{program.name}.stamp"


def _build(program: Program, work: Path, folder: Path) -> None:
    sys.stderr.write(f"building {program.name}\n")
    command = ["go", *program.verb.split(), "-o", str(folder / program.name), *program.arguments()]
    # go.sum is made here, in the copy: the versions in go.mod are all we promise
    environment = {**os.environ, "GOFLAGS": "-mod=mod -buildvcs=false"}
    done = subprocess.run(
        command,
        cwd=work / program.module,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        message = (
            f"go {program.verb} of {program.name} failed; its output ends:\n{done.stdout[-3000:]}"
        )
        raise BuildError(message)
    _stamp_file(folder, program).write_text(program.stamp())


def module_dir(path: str, version: str) -> Path:
    """Return the folder of a Go module's source in the module cache, downloaded if it is absent."""
    done = subprocess.run(
        ["go", "mod", "download", "-json", f"{path}@{version}"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GOFLAGS": "-mod=mod"},
    )
    if done.returncode != 0:
        message = f"{path}@{version} cannot be downloaded: {done.stderr or done.stdout}"
        raise BuildError(message)
    return Path(json.loads(done.stdout)["Dir"])


def main() -> None:
    """Build from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--line", choices=CLUSTER_API, action="append", help="default: all lines")
    parser.add_argument("--baseline", action="store_true", help="the Go providers as well")
    parser.add_argument("--clusterctl", action="store_true", help="clusterctl as well")
    options = parser.parse_args()
    lines = options.line or list(CLUSTER_API)
    names = [name for line in lines for name in needed(line, baseline=options.baseline)]
    if options.clusterctl:
        names += [f"clusterctl-{line}" for line in lines]
    sys.stderr.write(f"{ensure(dict.fromkeys(names))}\n")


if __name__ == "__main__":
    main()
