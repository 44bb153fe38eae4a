"""What `capim get` does: reads objects, joins what belongs together, and prints it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import typer

from capim.aio.clock import wall_clock
from capim.api import infrastructure as infra
from capim.api.gvk import GVR
from capim.api.meta import JsonObject
from capim.cli import installation, rows
from capim.cli.commandline import CommandError, Output, complain
from capim.cli.management import connected
from capim.cli.tables import Column, document, listed, table
from coordinator.controllers.gates import CLUSTER_API_GROUP
from coordinator.controllers.objects import INFRA_CLUSTERS, INFRA_MACHINES

if TYPE_CHECKING:
    from capim.cli.commandline import Where
    from capim.cli.management import Management

_PROGRAM: Final = "capim get"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which objects are asked for."""

    kind: str  #: `clusters`, `machines` or `shards`
    names: tuple[str, ...] = ()  #: none: all
    namespace: str = ""  #: empty: the context's
    all_namespaces: bool = False
    selector: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is: objects, and how a table of them is made."""

    kind: str  #: as `-o name` writes it
    items: Sequence[JsonObject]
    columns: Sequence[Column]
    row: Callable[[JsonObject], Sequence[str]]
    namespace: str = ""  #: in which was looked; empty: in all, or the kind has none


async def run(scope: Scope, where: Where, output: Output, *, headers: bool) -> int:
    """Print what is asked for; return 1 when something that was named is not there."""
    async with connected(where) as management:
        if scope.kind == "shards":
            found = await _shards(management, where)
        else:
            is_table = output in {Output.TABLE, Output.WIDE}
            found = await _objects(management, scope, joined=is_table)
    by_name = {item["metadata"]["name"]: item for item in found.items}
    items = [by_name[name] for name in scope.names if name in by_name]
    missing = [name for name in scope.names if name not in by_name]
    if items or not missing:
        _print(found, items or found.items, scope, output, headers=headers)
    for name in missing:
        complain(_PROGRAM, f'{found.kind} "{name}" not found')
    return 1 if missing else 0


def _print(
    found: Found, items: Sequence[JsonObject], scope: Scope, output: Output, *, headers: bool
) -> None:
    text = ""
    if output in {Output.JSON, Output.YAML}:
        text = document(listed(items, single=len(scope.names) == 1), output)
    elif output is Output.NAME:
        text = "".join(f"{found.kind}/{item['metadata']['name']}\n" for item in items)
    elif items:
        # the namespace is the first column, shown when there may be several
        first = 1 if found.namespace else 0
        cells = [found.row(item)[first:] for item in items]
        text = table(found.columns[first:], cells, wide=output is Output.WIDE)
        text = text if headers else text.partition("\n")[2]
    else:
        place = f" in {found.namespace} namespace" if found.namespace else ""
        typer.echo(f"No {scope.kind} found{place}.", err=True)
    typer.echo(text, nl=False)


async def _objects(management: Management, scope: Scope, *, joined: bool) -> Found:
    """Read the InMemoryClusters or InMemoryMachines, and for a table what they belong to."""
    is_cluster = scope.kind == "clusters"
    gvr = INFRA_CLUSTERS if is_cluster else INFRA_MACHINES
    namespace = "" if scope.all_namespaces else scope.namespace or management.namespace
    items = (await management.client.list(gvr, namespace, labels=scope.selector)).items
    fleet = await fleet_of(management, namespace) if joined and items else rows.Fleet()
    now, row_of = wall_clock(), rows.cluster_row if is_cluster else rows.machine_row
    return Found(
        f"{gvr.resource.removesuffix('s')}.{infra.GROUP}",
        sorted(items, key=rows.name),
        rows.CLUSTER_COLUMNS if is_cluster else rows.MACHINE_COLUMNS,
        lambda item: row_of(fleet, item, now),
        namespace,
    )


async def fleet_of(management: Management, namespace: str) -> rows.Fleet:
    """Read the Clusters and Machines of a namespace, or of all."""
    version = await management.cluster_api()
    kinds = (GVR(CLUSTER_API_GROUP, version, plural) for plural in ("clusters", "machines"))
    clusters, machines = await asyncio.gather(
        *(management.client.list(gvr, namespace) for gvr in kinds)
    )
    return rows.Fleet.of(clusters.items, machines.items)


async def _shards(management: Management, where: Where) -> Found:
    """Ask the manager for its workers; without one that answers, tell what the clusters say."""
    try:
        views = (await installation.ask(management, where, "/shards"))["workers"]
    except CommandError as error:
        complain(_PROGRAM, f"shown is only what the clusters say of their shards: {error}")
        views = placements((await management.client.list(INFRA_CLUSTERS)).items)
    return Found(
        "shard",
        [_shard(view) for view in views],
        rows.SHARD_COLUMNS,
        lambda item: rows.shard_row(item["status"]),
    )


def _shard(view: dict[str, Any]) -> JsonObject:
    return {"kind": "Shard", "metadata": {"name": view["name"]}, "status": view}


def placements(infra_clusters: Sequence[JsonObject]) -> list[dict[str, Any]]:
    """Return the workers that InMemoryClusters name as theirs, with how many do."""
    names = [name for item in infra_clusters if (name := rows.shard(item))]
    return [{"name": name, "clusters": names.count(name)} for name in sorted(set(names))]
