"""Say whether generated files are what their generators made: `--check` needs neither Go nor network.

`seals.txt` has a line for each generated file: the hash of what it is made from (the generator and what
that reads of this repository) and its own. Who changes a generator or a file by hand breaks a seal, which
a unit test notices. Without arguments the generators run once more (they need Go's modules), and the seals
are written anew if every file is what they make.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SEALS = Path(__file__).with_name("seals.txt")
VECTORS = "tests/unit/wire/vectors"


class Made(NamedTuple):
    """A generated file and what it is made from."""

    path: str
    sources: tuple[str, ...]  #: patterns below the root


_TYPES = "capim/api/builtin_types.txt"
_GO = ("tools/vectors/*.go", "tools/vectors/go.mod")
MADE = (
    Made(_TYPES, ("tools/generate_builtin_types.py",)),
    Made("capim/api/builtin_schemas.txt", ("tools/generate_builtin_schemas.py", _TYPES)),
    *(
        Made(f"{VECTORS}/{name}.json", _GO)
        for name in ("jsonpatch", "protobuf", "selectors", "strategic")
    ),
)


def seals() -> str:
    """Return what the file of seals should be."""
    lines = (f"{made.path} {_hash(_sources(made))} {_hash([ROOT / made.path])}" for made in MADE)
    return "\n".join(lines) + "\n"


def broken() -> list[str]:
    """Return the generated files whose seal is broken."""
    kept = set(SEALS.read_text("ascii").splitlines())
    return [line.partition(" ")[0] for line in seals().splitlines() if line not in kept]


def _sources(made: Made) -> list[Path]:
    found = [path for pattern in made.sources for path in sorted(ROOT.glob(pattern))]
    if len(found) < len(made.sources):
        raise FileNotFoundError(f"{made.path}: a source is not there")
    return found


def _hash(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def _regenerated() -> list[str]:
    """Run the generators and return what they make otherwise."""
    wrong = []
    for name in ("builtin_types", "builtin_schemas"):
        command = [sys.executable, f"tools/generate_{name}.py", "--check"]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            wrong.append(name)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["go", "run", ".", folder], cwd=ROOT / "tools/vectors", check=True)
        wrong += [
            path.name
            for path in Path(folder).iterdir()
            if path.read_bytes() != (ROOT / VECTORS / path.name).read_bytes()
        ]
    return wrong


def main(arguments: list[str]) -> int:
    """Write the seals, or with --check compare them."""
    wrong = broken() if arguments == ["--check"] else _regenerated()
    for name in wrong:
        print(f"{name} is not what its generator made: run the generator, then tools/seal.py")
    if not wrong and arguments != ["--check"]:
        SEALS.write_text(seals(), "ascii")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
