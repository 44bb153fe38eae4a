"""`capim completion`: scripts for shells, and the answers that they ask `capim` for.

Typer has both, and gives them when an environment variable asks; it only has to see all commands as one
application.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from capim.cli import commandline as cli
from capim.cli.main import COMMANDS, COMPLETION_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROGRAM: Final = "capim"

app = cli.new_app()


@app.command(
    help="Print a script that completes commands, options and names in your shell.",
    epilog="bash: source <(capim completion bash) · zsh: source <(capim completion zsh)"
    " · fish: capim completion fish | source",
)
def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(show_default=False)],
) -> int:
    """Print the script."""
    os.environ[COMPLETION_VARIABLE] = f"source_{shell}"
    try:
        return complete()
    finally:
        del os.environ[COMPLETION_VARIABLE]


def main(arguments: Sequence[str]) -> int:
    """Run `capim completion` with these arguments and return the exit code."""
    return cli.run(app, "capim completion", arguments)


def complete() -> int:
    """Print what the shell's environment asks for, such as how a line may go on; return the exit code."""
    try:
        _all_commands()(args=[], prog_name=_PROGRAM)
    except SystemExit as done:
        return int(done.code or 0)
    return 1  # it was not understood, and help was printed


def _all_commands() -> typer.Typer:
    """Put the commands into one application; of those that parse by themselves, the names alone."""
    whole = typer.Typer(pretty_exceptions_enable=False)
    for name, command in COMMANDS.items():
        part = getattr(importlib.import_module(command.module), "app", None)
        if part is not None:
            (own,) = part.registered_commands
            whole.command(name, help=command.summary)(own.callback)
        else:
            whole.command(name, help=command.summary)(_without_options)
    return whole


def _without_options() -> None:
    """Stand for a command whose options are not known here."""
