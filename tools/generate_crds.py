"""Writes crds/*.yaml from the description of our kinds; --check says whether they are current."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

from capim.api.infrastructure import GROUP, crds

_HEAD = "# Generated from capim/api/infrastructure/kinds.py by tools/generate_crds.py; change it there.\n"


class _Dumper(yaml.SafeDumper):
    """Writes every value out, where YAML would refer back to one that was seen before."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def manifests() -> dict[str, str]:
    """Return the files that should be in the folder: name -> text."""
    return {
        f"{GROUP}_{crd['spec']['names']['plural']}.yaml": _HEAD
        + yaml.dump(crd, Dumper=_Dumper, allow_unicode=True, width=100)
        for crd in crds()
    }


def stale(folder: Path) -> list[str]:
    """Return the names of files that are missing, differ, or should not be there."""
    wanted = manifests()
    found = {path.name: path.read_text("utf-8") for path in folder.glob(f"{GROUP}_*.yaml")}
    return sorted(name for name in wanted | found if wanted.get(name) != found.get(name))


def write(folder: Path) -> None:
    """Make the folder current."""
    wanted = manifests()
    for name in stale(folder):
        path = folder / name
        if name in wanted:
            path.write_text(wanted[name], "utf-8")
        else:
            path.unlink()


def main() -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if not current")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parents[1] / "crds")
    arguments = parser.parse_args()
    if not arguments.check:
        write(arguments.folder)
        return 0
    names = stale(arguments.folder)
    for name in names:
        print(f"{name} is not current: run tools/generate_crds.py", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
