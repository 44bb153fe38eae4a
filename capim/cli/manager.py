"""`capim manager`: the coordinator, with the flags of the original's manager."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from coordinator.options import HelpRequested, OptionError, help_text, parse

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run the manager until it is told to stop; return the exit code, 2 for what cannot be run."""
    try:
        options = parse(arguments)
    except HelpRequested:
        sys.stdout.write(help_text())
        return 0
    except OptionError as error:
        sys.stderr.write(f"capim manager: {error}\n")
        return 2
    from coordinator.app import main as run  # noqa: PLC0415 - half a second that --help need not wait

    return run(options)
