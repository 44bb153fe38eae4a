"""What `capim drain`, `uncordon` and `rebalance` do: note a wish in the Lease, and watch it come true."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

import typer

from capim.aio.clock import wall_clock
from capim.api.errors import APIError
from capim.api.meta import format_time
from capim.cli import installation
from capim.cli.commandline import CommandError, complain
from capim.cli.management import connected, find
from coordinator.controllers import gates
from coordinator.controllers.objects import INFRA_CLUSTERS
from coordinator.draining import REBALANCE_ANNOTATION, Wish, wish_annotation, wishes_of
from coordinator.kube.leader import LEASE_NAME, LEASES
from coordinator.placement import PLACEMENT_ANNOTATION, Placement

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.cli.commandline import Where
    from capim.cli.management import Management

_PROGRAM: Final = "capim drain"
_LOOK_EVERY_S: Final = 1.0


async def run_drain(worker: str, where: Where, *, cordon: bool, timeout_s: float) -> int:
    """Note that a worker is to be empty, or only given no more, and wait; return 1 when it takes too long."""
    async with connected(where) as management:
        lease = await _lease(management, where)
        await _check_known(management, where, worker, lease)
        wish = Wish.CORDONED if cordon else Wish.DRAINED
        await _note(management, lease, wish_annotation(worker), wish)
        if cordon or not timeout_s:
            typer.echo(f"{worker} {'is given no more clusters' if cordon else 'is to be empty'}")
            return 0
        placement = str(Placement(lease["metadata"]["uid"], worker))
        try:
            async with asyncio.timeout(timeout_s):
                await _until_empty(management, worker, placement)
        except TimeoutError:
            complain(
                _PROGRAM,
                f"{worker} still has clusters after {timeout_s:g} s and goes on being drained:"
                " see `capim get clusters -A -o wide`; those that are paused stay until they are not",
            )
            return 1
    return 0


async def run_uncordon(worker: str, where: Where) -> int:
    """Remove the wish; return 1 where there was none."""
    async with connected(where) as management:
        lease = await _lease(management, where)
        if worker not in wishes_of(lease):
            complain("capim uncordon", f"{worker} was not cordoned")
            return 1
        await _note(management, lease, wish_annotation(worker), None)
        typer.echo(f"{worker} takes clusters again")
    return 0


async def run_rebalance(where: Where, *, timeout_s: float) -> int:
    """Let clusters move until they are spread evenly; return 1 when that takes too long."""
    async with connected(where) as management:
        lease = await _lease(management, where)
        until = format_time(wall_clock() + timeout_s)
        await _note(management, lease, REBALANCE_ANNOTATION, until)
        try:
            async with asyncio.timeout(timeout_s):
                await _until_even(management, where, lease)
        except TimeoutError:
            complain("capim rebalance", f"clusters are not spread evenly after {timeout_s:g} s")
            return 1
        finally:
            await _note(management, lease, REBALANCE_ANNOTATION, None)
    return 0


async def _until_even(management: Management, where: Where, lease: JsonObject) -> None:
    """Look until no worker that is to have clusters has two more than another, and tell of it."""
    cordoned, told = wishes_of(lease), ""
    while True:
        shards = (await installation.ask(management, where, "/shards"))["workers"]
        names = [one["name"] for one in shards if one["ready"] and one["name"] not in cordoned]
        placed = Counter(await _placements(management))
        counts = [placed[str(Placement(lease["metadata"]["uid"], name))] for name in names]
        text = ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))
        if text != told:
            typer.echo(text)
            told = text
        if max(counts, default=0) - min(counts, default=0) <= 1:
            return
        await asyncio.sleep(_LOOK_EVERY_S)


async def _placements(management: Management) -> list[str]:
    clusters = (await management.client.list(INFRA_CLUSTERS)).items
    return [gates.annotation(one, PLACEMENT_ANNOTATION) or "" for one in clusters]


async def _lease(management: Management, where: Where) -> JsonObject:
    """Return the Lease of the installation. Raises CommandError."""
    for namespace in (where.installation_namespace, "default"):
        path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{LEASE_NAME}"
        if lease := await find(management, path):
            return lease
    raise CommandError(
        f"{management.url} has no CAPIM: name the namespace of the manager's Lease by"
        " --installation-namespace"
    )


async def _check_known(
    management: Management, where: Where, worker: str, lease: JsonObject
) -> None:
    """Refuse a name that no worker has, if the manager can be asked."""
    try:
        answer = await installation.ask(management, where, "/shards")
    except (CommandError, APIError):
        return
    if answer["manager"]["installation"] != lease["metadata"]["uid"]:
        return
    names = [one["name"] for one in answer["workers"]]
    if worker not in names:
        raise CommandError(f"there is no worker {worker}: there are {', '.join(names)}")


async def _note(
    management: Management, lease: JsonObject, annotation: str, value: str | None
) -> None:
    patch = {"metadata": {"annotations": {annotation: value}}}
    namespace = lease["metadata"]["namespace"]
    await management.client.patch(LEASES, namespace, LEASE_NAME, patch)


async def _until_empty(management: Management, worker: str, placement: str) -> None:
    """Look until no cluster is on the worker, and tell how many are."""
    last = -1
    while True:
        left = (await _placements(management)).count(placement)
        if left != last:
            typer.echo(f"{worker}: {left} clusters left" if left else f"{worker} is empty")
            last = left
        if not left:
            return
        await asyncio.sleep(_LOOK_EVERY_S)
