"""`capim`: picks the command; each is imported only when it is asked for, so that help comes at once."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from capim import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Command(NamedTuple):
    """A subcommand: where its `main(arguments) -> exit code` is and what it is for."""

    module: str
    summary: str


COMMANDS: Final = {
    "up": Command("capim.cli.up", "fake clusters on this machine, with nothing else needed"),
    "manager": Command("capim.cli.manager", "the provider's controller manager"),
    "worker": Command("workers.app", "a process that holds clusters; the manager starts it"),
    "fault": Command("capim.cli.fault", "lets clusters suffer, by declaration, and heal"),
    "keys": Command("capim.cli.keys", "key pairs for a manager and workers on several hosts"),
}


def usage() -> str:
    """Return what `capim --help` prints."""
    lines = ["Usage: capim COMMAND [flags]", "", "Commands:"]
    lines += [f"  {name:<10}{command.summary}" for name, command in COMMANDS.items()]
    return "\n".join([*lines, "", "`capim COMMAND --help` lists a command's flags.", ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; return its exit code, 2 for an unknown one."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in {"--help", "-h", "help"}:
        sys.stdout.write(usage())
        return 0
    if words[0] in {"--version", "version"}:
        sys.stdout.write(f"capim {__version__}\n")
        return 0
    command = COMMANDS.get(words[0])
    if command is None:
        sys.stderr.write(f"capim: {words[0]}: unknown command: `capim --help` lists them\n")
        return 2
    run = cast("Callable[[Sequence[str]], int]", importlib.import_module(command.module).main)
    return run(words[1:])


if __name__ == "__main__":
    sys.exit(main())
