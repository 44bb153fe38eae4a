"""What the commands for people have in common: their options, and how they end.

Exit codes: 0 done; 1 it could not be done, or something is wrong with what was looked at; 2 the command
was not understood; 130 interrupted. What went wrong is one line on standard error, with the fix.
"""

from __future__ import annotations

import asyncio
import enum
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from capim.aio import logs
from capim.api.errors import APIError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence


class CommandError(Exception):
    """A command cannot go on; the message says why and what to do, in one line."""


class Output(enum.StrEnum):
    """The forms of `-o`."""

    TABLE = ""
    WIDE = "wide"
    NAME = "name"
    JSON = "json"
    YAML = "yaml"


class DocumentForm(enum.StrEnum):
    """The forms of `-o` where there is no list."""

    TEXT = ""
    JSON = "json"
    YAML = "yaml"


Kubeconfig: TypeAlias = Annotated[
    str,
    typer.Option(
        "--kubeconfig",
        help="Kubeconfig of the management cluster; default: KUBECONFIG, else ~/.kube/config.",
    ),
]
Context: TypeAlias = Annotated[
    str, typer.Option("--context", help="Context in the kubeconfig; default: the current one.")
]
Namespace: TypeAlias = Annotated[
    str,
    typer.Option("--namespace", "-n", help="Namespace to look in; default: the context's."),
]
OnlyNamespace: TypeAlias = Annotated[
    str, typer.Option("--namespace", "-n", help="Only this namespace; default: all.")
]
AllNamespaces: TypeAlias = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="Look in all namespaces.")
]
Selector: TypeAlias = Annotated[
    str, typer.Option("--selector", "-l", help="Only objects with these labels: key=value,...")
]
Form: TypeAlias = Annotated[
    Output,
    typer.Option(
        "--output",
        "-o",
        metavar="wide|name|json|yaml",
        help="The form of the output; default: a table.",
    ),
]
Document: TypeAlias = Annotated[
    DocumentForm,
    typer.Option(
        "--output", "-o", metavar="json|yaml", help="The form of the output; default: text."
    ),
]
InstallationNamespace: TypeAlias = Annotated[
    str,
    typer.Option("--installation-namespace", help="Namespace of the manager's pods."),
]
DebugAddress: TypeAlias = Annotated[
    str,
    typer.Option(
        "--debug-address",
        help="The manager's --debug-address; default: found by a port-forward to its pod.",
    ),
]
INSTALLATION_NAMESPACE = "capim-system"


@dataclass(frozen=True, slots=True)
class Where:
    """Which management cluster is meant, and where in it CAPIM runs."""

    kubeconfig: str = ""
    context: str = ""
    installation_namespace: str = INSTALLATION_NAMESPACE
    debug_address: str = ""


def cluster_names(context: typer.Context, incomplete: str) -> list[str]:
    """Return clusters, as `namespace/name`, for a shell that completes a line; none without a server."""
    from capim.cli.workload import names  # noqa: PLC0415 - half a second

    where = Where(context.params.get("kubeconfig") or "", context.params.get("context") or "")
    try:
        found = asyncio.run(names(where))
    except Exception:  # whatever it is, in the middle of a line nobody wants to read it
        return []
    return [name for name in found if name.startswith(incomplete)]


def new_app() -> typer.Typer:
    """Return an application without what is not ours: tracebacks with locals, options for completion."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def run(app: typer.Typer, program: str, arguments: Sequence[str]) -> int:
    """Run an application with these arguments and return the exit code; complaints are one line."""
    try:
        return int(app(args=list(arguments), prog_name=program, standalone_mode=False) or 0)
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except typer.Exit as done:
        return done.exit_code
    except BrokenPipeError:
        # whoever read our output has enough; nothing may be flushed to it at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (CommandError, APIError, OSError) as error:
        complain(program, str(error))
        return 1
    except Exception as error:
        usage = getattr(error, "format_message", None)
        if usage is None:
            raise
        complain(program, usage())
        return 2


def complain(program: str, message: str) -> None:
    """Say one line on standard error."""
    typer.echo(f"{program}: {' '.join(message.split())}", err=True)


def wait_for(work: Coroutine[Any, Any, int]) -> int:
    """Run a command's work, whose configuration errors are its own, and return the exit code."""
    from coordinator.kube.config import ConfigError  # noqa: PLC0415 - half a second

    logs.configure(verbosity=0)  # standard output is the command's
    try:
        return asyncio.run(work)
    except ConfigError as error:
        raise CommandError(str(error)) from error
