"""What `capim status` tells: one look at everything, from the objects and the manager's own words."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

import typer

from capim.cli import installation, rows
from capim.cli.commandline import CommandError, DocumentForm
from capim.cli.listing import fleet_of, placements
from capim.cli.management import connected
from capim.cli.tables import document
from coordinator.controllers import gates
from coordinator.controllers.objects import INFRA_CLUSTERS, INFRA_MACHINES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from capim.api.gvk import NamespacedName
    from capim.api.meta import JsonObject
    from capim.cli.commandline import Where
    from capim.cli.management import Management

#: problems that are spelled out; the rest is counted
_SHOWN: Final = 10


async def run(where: Where, namespace: str, form: DocumentForm) -> int:
    """Print one look; return 1 when something asks for a person."""
    async with connected(where) as management:
        told = await _look(management, where, namespace)
    typer.echo(_lines(told) if form is DocumentForm.TEXT else document(told, form), nl=False)
    return 1 if told["problems"] else 0


async def _look(management: Management, where: Where, namespace: str) -> JsonObject:
    cluster_api = await management.cluster_api()
    version, infra_clusters, infra_machines, fleet, manager = await asyncio.gather(
        management.client.get_path("/version"),
        management.client.list(INFRA_CLUSTERS, namespace),
        management.client.list(INFRA_MACHINES, namespace),
        fleet_of(management, namespace),
        _manager(management, where),
    )
    ours = [*infra_clusters.items, *infra_machines.items]
    shards = manager.get("workers") or placements(infra_clusters.items)
    return {
        "managementCluster": {
            "server": management.url,
            "version": version.get("gitVersion", ""),
            "clusterAPI": cluster_api,
        },
        "manager": manager.get("manager", {"error": manager.get("error", "")}),
        "shards": shards,
        "clusters": _phases(infra_clusters.items, "Cluster", fleet.clusters),
        "machines": _phases(infra_machines.items, "Machine", fleet.machines),
        "problems": [*_silent(shards, manager), *filter(None, map(rows.problem, ours))],
    }


async def _manager(management: Management, where: Where) -> JsonObject:
    try:
        answer: JsonObject = await installation.ask(management, where, "/shards")
    except CommandError as error:
        return {"error": str(error)}
    return answer


def _phases(
    objects: Iterable[JsonObject], kind: str, owners: Mapping[NamespacedName, JsonObject]
) -> dict[str, int]:
    """Count objects of ours by the phase of what owns them; those that nobody owns yet have none."""
    found = Counter(_phase(gates.owner(obj, kind), owners) for obj in objects)
    return dict(sorted(found.items()))


def _phase(owner: NamespacedName | None, owners: Mapping[NamespacedName, JsonObject]) -> str:
    status = (owners.get(owner, {}) if owner else {}).get("status") or {}
    return str(status.get("phase") or "none")


def _silent(shards: Iterable[JsonObject], manager: JsonObject) -> list[str]:
    if "error" in manager:
        return [f"manager: {manager['error']}"]
    return [
        f"shard {shard['name']} is not ready: its clusters wait; `capim logs` says why"
        for shard in shards
        if shard.get("ready") is False
    ]


def _lines(told: JsonObject) -> str:
    management, manager = told["managementCluster"], told["manager"]
    ready = sum(shard.get("ready") is True for shard in told["shards"])
    about = f"version {manager['version']}" if "version" in manager else "does not answer"
    lines = [
        f"Management cluster  {management['server']} {management['version']},"
        f" Cluster API {management['clusterAPI']}",
        f"Manager             {about}",
        f"Shards              {ready} of {len(told['shards'])} ready",
        f"Clusters            {_counts(told['clusters'])}",
        f"Machines            {_counts(told['machines'])}",
    ]
    problems = told["problems"]
    lines.append(f"Problems            {len(problems) or 'none'}")
    lines += [f"  {problem}" for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(
            f"  ... and {len(problems) - _SHOWN} more: `capim status -o yaml` has them all"
        )
    return "\n".join(lines) + "\n"


def _counts(phases: dict[str, int]) -> str:
    total = sum(phases.values())
    parts = ", ".join(f"{count} {phase}" for phase, count in phases.items())
    return f"{total}: {parts}" if total else "0"
