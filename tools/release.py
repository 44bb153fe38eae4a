"""Renders one release as clusterctl wants it: a folder of manifests, metadata and templates.

`python -m tools.release --version v0.1.0` writes out/infrastructure-in-memory/v0.1.0/, the layout of a local
repository of clusterctl; the same files are what a release page on the Internet holds. Needs kubectl,
which builds the components from deploy/default.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import yaml

_CHECKOUT: Final = Path(__file__).parents[1]
_DEPLOY: Final = _CHECKOUT / "deploy"
PROVIDER: Final = "infrastructure-in-memory"
#: the image that the manifests name while nothing is released; clusterctl takes none without a registry
_DEVELOPMENT_IMAGE: Final = "localhost/capim-manager:dev"
_VERSION: Final = re.compile(r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.\d+(-[0-9A-Za-z.-]+)?")
#: what clusterctl fills in by itself, from its command line; any other variable needs a default
GIVEN: Final = frozenset(
    {
        "CLUSTER_NAME",
        "NAMESPACE",
        "KUBERNETES_VERSION",
        "CONTROL_PLANE_MACHINE_COUNT",
        "WORKER_MACHINE_COUNT",
    }
)
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)([^}]*)\}")
#: Cluster API's own tests know the class by a shorter name: files are made again with that one
_CLASS, _SHORT_CLASS = "in-memory-quick-start", "in-memory"
_ALIASES: Final = {
    "clusterclass-in-memory-quick-start.yaml": "clusterclass-in-memory.yaml",
    "cluster-template-in-memory-development.yaml": "cluster-template-in-memory.yaml",
}


class ReleaseError(RuntimeError):
    """A release cannot be made; the message says what to change."""


def files(version: str, image: str, components: str) -> dict[str, str]:
    """Return a release: name of the file -> text. `components` are the manifests as kustomize builds them.

    Raises:
        ReleaseError: the version is none, or metadata.yaml knows no series of it; a variable has
            neither a default nor a value that clusterctl gives it.
    """
    metadata = (_DEPLOY / "metadata.yaml").read_text("utf-8")
    _check_version(version, metadata)
    if _DEVELOPMENT_IMAGE not in components:
        message = f"the components name no image {_DEVELOPMENT_IMAGE}"
        raise ReleaseError(message)
    found = {path.name: path.read_text("utf-8") for path in (_DEPLOY / "templates").glob("*.yaml")}
    for name, alias in _ALIASES.items():
        found[alias] = found[name].replace(_CLASS, _SHORT_CLASS)
    found["infrastructure-components.yaml"] = components.replace(_DEVELOPMENT_IMAGE, image)
    for name, text in found.items():
        _check_variables(name, text)
    return {**found, "metadata.yaml": metadata}


def _check_version(version: str, metadata: str) -> None:
    match = _VERSION.fullmatch(version)
    if match is None:
        message = f"{version!r} is no version: VERSION=v0.1.0"
        raise ReleaseError(message)
    series = [
        (entry["major"], entry["minor"]) for entry in yaml.safe_load(metadata)["releaseSeries"]
    ]
    if (int(match[1]), int(match[2])) not in series:
        message = f"deploy/metadata.yaml has no release series for {version}: add one"
        raise ReleaseError(message)


def _check_variables(name: str, text: str) -> None:
    """A template may ask for what `clusterctl generate cluster` knows; components for nothing at all."""
    given = frozenset() if name.startswith(PROVIDER.partition("-")[0]) else GIVEN
    for variable, rest in _VARIABLE.findall(text):
        if variable not in given and not rest.startswith((":=", ":-", "=", "-")):
            message = f"{name}: ${{{variable}}} has no default"
            raise ReleaseError(message)


def build(folder: Path) -> str:
    """Return what kustomize makes of a folder.

    Raises:
        ReleaseError: kubectl is missing, or the folder is no kustomization.
    """
    if shutil.which("kubectl") is None:
        message = "a release needs kubectl on PATH: https://kubernetes.io/docs/tasks/tools"
        raise ReleaseError(message)
    command = ["kubectl", "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReleaseError(done.stderr.strip())
    return done.stdout


def write(out: Path, version: str, image: str = "") -> Path:
    """Write a release below `out`, in place of an older one of that version, and return its folder."""
    release = files(
        version, image or f"localhost/capim-manager:{version}", build(_DEPLOY / "default")
    )
    folder = out / PROVIDER / version
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, text in release.items():
        (folder / name).write_text(text, "utf-8")
    return folder


def main() -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", required=True, help="like v0.1.0")
    parser.add_argument("--image", default="", help="default: localhost/capim-manager:VERSION")
    parser.add_argument("--out", type=Path, default=_CHECKOUT / "out")
    options = parser.parse_args()
    try:
        print(write(options.out, options.version, options.image))
    except ReleaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
