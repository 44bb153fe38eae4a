"""What `capim logs` does: reads the logs of the installation's pods, or of the manager beside us."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import typer

from capim.api.gvk import NamespacedName
from capim.cli import installation
from capim.cli.commandline import CommandError
from capim.cli.management import connected
from coordinator.kube.client import object_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from capim.cli.commandline import Where
    from capim.cli.management import Management

#: How often a file that is followed is looked at.
_LOOK_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for."""

    cluster: str = ""  #: `namespace/name`, or a name in the context's namespace; empty: everything
    follow: bool = False
    tail: int = -1  #: lines of the past, of those that are wanted unless it is followed; -1: all
    since_s: float = 0.0  #: 0: from the beginning
    previous: bool = False


async def run(where: Where, wish: Wish) -> int:
    """Print the lines."""
    async with connected(where) as management:
        wanted = _about(wish.cluster, management.namespace)
        last = wish.tail if wish.cluster and not wish.follow else -1
        source = replace(wish, tail=-1) if last >= 0 else wish
        if log := management.local.get("log"):
            await _print(_file(str(log), source), wanted, "", last)
            return 0
        found = (await installation.pods(management, where)).all()
        if not found:
            raise CommandError(
                f"no pod of CAPIM runs in namespace {where.installation_namespace}: name its"
                " --installation-namespace; a manager that runs outside of pods logs to its terminal"
            )
        names = [pod["metadata"]["name"] for pod in found]
        async with asyncio.TaskGroup() as group:
            for name in names:
                lines = _pod(management, where.installation_namespace, name, source)
                label = f"[{name}] " if len(names) > 1 else ""
                group.create_task(_print(lines, wanted, label, last))
    return 0


def _about(cluster: str, namespace: str) -> Callable[[str], object]:
    """Return what picks the lines about a cluster: those with its name, or a name that goes on from it.

    Machines, their Secrets and templates are called after their cluster, with a hyphen behind.
    """
    if not cluster:
        return lambda line: True
    key = NamespacedName.parse(cluster)
    text = re.escape(f"{key.namespace or namespace}/{key.name}")
    return re.compile(rf"(?<![\w.-]){text}(?![a-z0-9.])").search


async def _print(
    lines: AsyncIterator[str], wanted: Callable[[str], object], label: str, last: int
) -> None:
    """Print the lines that are wanted, or the last so many of them; -1: all."""
    kept: deque[str] = deque(maxlen=last if last >= 0 else None)
    async for line in lines:
        if not wanted(line):
            continue
        if last >= 0:
            kept.append(line)
        else:
            typer.echo(f"{label}{line}")
    for line in kept:
        typer.echo(f"{label}{line}")


async def _pod(management: Management, namespace: str, name: str, wish: Wish) -> AsyncIterator[str]:
    query = {
        "follow": "true" if wish.follow else "",
        "tailLines": str(wish.tail) if wish.tail >= 0 else "",
        "sinceSeconds": str(round(wish.since_s)) if wish.since_s else "",
        "previous": "true" if wish.previous else "",
    }
    path = object_path(installation.PODS, namespace, name, "log")
    given = {key: value for key, value in query.items() if value}
    async for line in management.client.lines(path, given):
        yield line.decode(errors="replace")


async def _file(path: str, wish: Wish) -> AsyncIterator[str]:
    """Yield the lines of a file; the past is all of it, a file does not know when a line was written."""
    with open(path, encoding="utf-8", errors="replace") as file:  # noqa: ASYNC230 - a local file
        past = deque(file, maxlen=wish.tail if wish.tail >= 0 else None)
        for line in past:
            yield line.rstrip("\n")
        rest = ""
        while wish.follow:
            if not (text := file.readline()):
                await asyncio.sleep(_LOOK_S)
            elif (rest := rest + text).endswith("\n"):
                yield rest.rstrip("\n")
                rest = ""
