"""`capim`: picks the command; each is imported only when it is asked for, so that help comes at once."""

from __future__ import annotations

import importlib
import os
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
    "get": Command("capim.cli.get", "lists clusters, machines or shards"),
    "status": Command("capim.cli.status", "how all of it is, in a few lines"),
    "kubeconfig": Command("capim.cli.kubeconfig", "a way into a workload cluster"),
    "logs": Command("capim.cli.logs", "what the manager and its workers log"),
    "doctor": Command("capim.cli.doctor", "finds what keeps it from working, and says the fix"),
    "completion": Command("capim.cli.completion", "a script that completes words in your shell"),
    "drain": Command("capim.cli.drain", "moves all clusters off a worker, and gives it no more"),
    "uncordon": Command("capim.cli.uncordon", "lets a drained worker take clusters again"),
    "rebalance": Command("capim.cli.rebalance", "spreads clusters evenly over the workers"),
    "keys": Command("capim.cli.keys", "key pairs for a manager and workers on several hosts"),
}


#: What the shell sets when it wants to know how a line may go on.
COMPLETION_VARIABLE: Final = "_CAPIM_COMPLETE"


def usage() -> str:
    """Return what `capim --help` prints."""
    lines = ["Usage: capim COMMAND [flags]", "", "Commands:"]
    width = max(map(len, COMMANDS)) + 2
    lines += [f"  {name:<{width}}{command.summary}" for name, command in COMMANDS.items()]
    return "\n".join([*lines, "", "`capim COMMAND --help` lists a command's flags.", ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; return its exit code, 2 for an unknown one."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if COMPLETION_VARIABLE in os.environ:
        return _complete()
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


def _complete() -> int:
    from capim.cli.completion import complete  # noqa: PLC0415 - only a shell asks for it

    return complete()


if __name__ == "__main__":
    sys.exit(main())
