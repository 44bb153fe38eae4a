"""`capim fault`: lets clusters suffer and heal from the command line, by InMemoryFault resources."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from capim.aio.clock import steady_clock
from capim.api.errors import APIError
from capim.api.faults import EFFECTS
from capim.cli import faultmanifest
from capim.cli.faultmanifest import Wanted, manifest
from coordinator.controllers.objects import FAULTS
from coordinator.kube import config
from coordinator.kube.client import KubeClient
from coordinator.kube.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from capim.api.meta import JsonObject

_app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Let clusters suffer and heal; docs/faults.md says what there is.",
)

#: a person does not need to be slowed down
_QPS: Final = 50.0

_Kubeconfig = Annotated[str, typer.Option(help="Of the management cluster.", envvar="KUBECONFIG")]
_Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Of the clusters.")]
_Texts = list[str] | None


class FaultError(Exception):
    """The command cannot be done; the message says why and what to do."""


@_app.command(help="List what can go wrong, with the parameters for --set.")
def effects() -> None:
    """Print the catalogue."""
    for effect, info in EFFECTS.items():
        parameters = "".join(f" --set {name}=..." for name in info.parameters)
        typer.echo(f"{info.target}/{effect}{parameters}\n    {info.doc}")


@_app.command(help="Let clusters suffer: for example `capim fault start nodes/NotReady`.")
def start(
    what: Annotated[str, typer.Argument(help="Target and effect: `capim fault effects`.")],
    name: Annotated[str, typer.Option(help="Of the fault.", show_default="made up")] = "",
    namespace: _Namespace = "default",
    cluster: Annotated[_Texts, typer.Option(help="Name; again for more. None: all.")] = None,
    label: Annotated[_Texts, typer.Option(help="KEY=VALUE that a Cluster has.")] = None,
    machine: Annotated[_Texts, typer.Option(help="Name of an InMemoryMachine.")] = None,
    machine_label: Annotated[_Texts, typer.Option(help="KEY=VALUE that one has.")] = None,
    failure_domain: Annotated[_Texts, typer.Option(help="That a machine is in.")] = None,
    verb: Annotated[_Texts, typer.Option(help="Of requests.")] = None,
    resource: Annotated[_Texts, typer.Option(help="pods, deployments.apps, pods/*.")] = None,
    user_agent: Annotated[_Texts, typer.Option(help="Pattern, as kubectl/*.")] = None,
    duration: Annotated[str, typer.Option(help="Then it heals.")] = "10m",
    delay: Annotated[str, typer.Option(help="Before it begins.")] = "",
    period: Annotated[str, typer.Option(help="It acts in the first half of each.")] = "",
    every: Annotated[str, typer.Option(help="It comes again so often.")] = "",
    times: Annotated[int, typer.Option(help="How often, with --every.")] = 0,
    probability: Annotated[str, typer.Option(help="From 0 to 1.")] = "",
    seed: Annotated[int | None, typer.Option(help="The same, the same faults.")] = None,
    parameter: Annotated[_Texts, typer.Option("--set", help="As latency=200ms.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Say what would be hit; do nothing.")] = False,
    kubeconfig: _Kubeconfig = "",
) -> None:
    """Declare a fault, or tell what it would do."""
    wanted = Wanted(
        what=what,
        clusters={"names": cluster, "matchLabels": _pairs(label)},
        machines={
            "names": machine,
            "matchLabels": _pairs(machine_label),
            "failureDomains": failure_domain,
        },
        requests={"verbs": verb, "resources": resource, "userAgents": user_agent},
        schedule={
            "delay": delay,
            "duration": duration,
            "period": period,
            "every": every,
            "times": times,
        },
        parameters=_pairs(parameter),
        probability=probability,
        seed=seed,
    )
    suffix = secrets.token_hex(3)
    try:
        body = manifest(wanted, name or f"{what.rpartition('/')[2].lower()}-{suffix}", namespace)
    except ValueError as error:
        raise FaultError(str(error)) from error
    asyncio.run(_with_client(kubeconfig, lambda client: _start(client, body, dry_run=dry_run)))


@_app.command("list", help="List the faults of a namespace.")
def list_faults(namespace: _Namespace = "default", kubeconfig: _Kubeconfig = "") -> None:
    """Print the faults there are."""
    asyncio.run(_with_client(kubeconfig, lambda client: _list(client, namespace)))


@_app.command(help="Heal: delete faults by name, or all of a namespace.")
def stop(
    names: Annotated[list[str] | None, typer.Argument(help="Of faults.")] = None,
    namespace: _Namespace = "default",
    every: Annotated[bool, typer.Option("--all", help="All of the namespace.")] = False,
    kubeconfig: _Kubeconfig = "",
) -> None:
    """Delete faults."""
    if bool(names) is every:
        raise FaultError("name faults, or say --all: `capim fault list` shows them")
    asyncio.run(_with_client(kubeconfig, lambda client: _stop(client, namespace, names or [])))


def _pairs(texts: Sequence[str] | None) -> dict[str, str]:
    texts = texts or ()
    pairs = [text.partition("=") for text in texts]
    if wrong := [
        text for text, (key, sign, _) in zip(texts, pairs, strict=True) if not key or not sign
    ]:
        raise FaultError(f"{wrong[0]!r} is no KEY=VALUE")
    return {key: value for key, _, value in pairs}


async def _with_client(kubeconfig: str, use: Callable[[KubeClient], Awaitable[None]]) -> None:
    try:
        async with _client(kubeconfig) as client:
            await use(client)
    except (APIError, ConfigError) as error:
        raise FaultError(str(error)) from error


@contextlib.asynccontextmanager
async def _client(kubeconfig: str) -> AsyncIterator[KubeClient]:
    access = await config.load(kubeconfig)
    client = KubeClient(
        access.configuration,
        user_agent="capim-fault",
        qps=_QPS,
        burst=int(_QPS),
        clock=steady_clock,
        rng=random.Random(),  # noqa: S311 - backoff, no secrets
    )
    config.remove_key_files()
    try:
        yield client
    finally:
        await client.close()


async def _start(client: KubeClient, body: JsonObject, *, dry_run: bool) -> None:
    namespace = body["metadata"]["namespace"]
    who = await faultmanifest.look(client, body)
    if dry_run:
        typer.echo(faultmanifest.text(body))
        typer.echo(f"# would befall {who}")
        return
    made = await client.create(FAULTS, namespace, body)
    typer.echo(f"fault {made['metadata']['name']} befalls {who}")


async def _list(client: KubeClient, namespace: str) -> None:
    rows = [("NAME", "EFFECT", "PHASE", "CLUSTERS", "HITS", "UNTIL")]
    listed = (await client.list(FAULTS, namespace)).items
    rows += [(one["metadata"]["name"], *_cells(one.get("status") or {})) for one in listed]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("   ".join(cells).rstrip())


def _cells(status: dict[str, Any]) -> tuple[str, ...]:
    names = ("effect", "phase", "matchedClusters", "hits", "activeUntil")
    return tuple(str(status.get(name) if status.get(name) is not None else "-") for name in names)


async def _stop(client: KubeClient, namespace: str, names: Sequence[str]) -> None:
    if not names:
        listed = await client.list(FAULTS, namespace)
        names = [one["metadata"]["name"] for one in listed.items]
    for name in names:
        await client.delete(FAULTS, namespace, name)
        typer.echo(f"fault {name} is over")


def main(arguments: Sequence[str]) -> int:
    """Run `capim fault` with its arguments; return the exit code."""
    try:
        _app(args=list(arguments), prog_name="capim fault", standalone_mode=False)
    except typer.Exit as ended:
        return ended.exit_code
    except FaultError as error:
        sys.stderr.write(f"capim fault: {error}\n")
        return 1
    except Exception as error:
        show = getattr(error, "show", None)  # what the command line itself is wrong about
        if show is None:
            raise
        show()
        return 2
    return 0
