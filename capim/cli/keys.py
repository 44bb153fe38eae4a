"""`capim keys`: makes the key pairs with which coordinator and workers of several hosts know each other."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from capim.messaging.keys import COORDINATOR, make_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

_USAGE: Final = """\
Usage: capim keys FOLDER WORKER...

Makes a CURVE key pair for the coordinator and one for each worker named, where there is none yet.
The coordinator needs coordinator.key_secret and every WORKER.key; a worker needs coordinator.key and its
own WORKER.key_secret. Name the folder in `capim manager --worker-keys` and `capim worker --keys`.
"""


def main(arguments: Sequence[str]) -> int:
    """Make the keys; return the exit code, 2 for what cannot be done."""
    if not arguments or set(arguments) & {"--help", "-h"}:
        sys.stdout.write(_USAGE)
        return 0 if arguments else 2
    folder, names = Path(arguments[0]), [COORDINATOR, *arguments[1:]]
    try:
        made = make_keys(folder, names)
    except OSError as error:
        sys.stderr.write(f"capim keys: {folder}: {error.strerror}: choose a folder you can write\n")
        return 2
    kept = [name for name in names if name not in made]
    sys.stdout.write(
        f"made: {', '.join(made) or 'nothing'}; there already: {', '.join(kept) or 'none'}\n"
    )
    return 0
