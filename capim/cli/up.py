"""`capim up`: its options."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from capim.api.kubernetes_versions import DEFAULT_LINE, lookup
from capim.api.workload import Simulation
from capim.cli import commandline as cli

if TYPE_CHECKING:
    from collections.abc import Sequence

app = cli.new_app()


def _version(value: str) -> str:
    try:
        found = lookup(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if found.warning:
        typer.echo(f"capim up: --kubernetes-version: {found.warning}", err=True)
    return found.version


def _port_range(value: str) -> str:
    from coordinator.options import A_PORT_RANGE, parse_port_range  # noqa: PLC0415

    try:
        parse_port_range(value)
    except ValueError as error:
        raise typer.BadParameter(f"{value!r}: write {A_PORT_RANGE}") from error
    return value


def _check_ports(port_range: str, clusters: int) -> None:
    """Refuse what could never come up: each cluster needs a port."""
    from coordinator.options import parse_port_range  # noqa: PLC0415

    ports = len(parse_port_range(port_range))
    if ports < clusters:
        raise typer.BadParameter(
            f"{port_range} has {ports} ports for {clusters} clusters: widen it, or ask for fewer --clusters",
            param_hint="--port-range",
        )


def _behaviour(*, instant: bool) -> tuple[tuple[str, str, str], ...]:
    from capim.embedded.fleet import FleetSpec  # noqa: PLC0415 - `--help` needs none of it

    return () if instant else FleetSpec().behaviour


@app.command(help="Run fake clusters on an embedded management API, with nothing else installed.")
def up(
    clusters: Annotated[int, typer.Option(min=1, help="How many workload clusters.")] = 10,
    control_plane_machines: Annotated[
        int, typer.Option(min=1, help="Control plane machines of each cluster; an odd number.")
    ] = 1,
    worker_machines: Annotated[
        int, typer.Option(min=0, help="Worker machines of each cluster.")
    ] = 3,
    workers: Annotated[
        int, typer.Option(min=1, help="Worker processes.", show_default="one a processor")
    ] = os.cpu_count() or 1,
    kubernetes_version: Annotated[
        str, typer.Option(callback=_version, help="Version of every machine.")
    ] = DEFAULT_LINE.version,
    instant: Annotated[
        bool, typer.Option("--instant", help="Machines start without any delay.")
    ] = False,
    until_ready: Annotated[
        bool,
        typer.Option(
            "--until-ready",
            help="End with code 0 once every machine runs; with 1 if stopped before.",
        ),
    ] = False,
    port_range: Annotated[
        str, typer.Option(callback=_port_range, help="Ports of the clusters' API servers.")
    ] = "20000-24000",
    verbosity: Annotated[int, typer.Option("--v", help="Verbosity of the coordinator's log.")] = 1,
    workload_simulation: Annotated[
        Simulation,
        typer.Option(help="What becomes of workloads: pods, statuses alone, or nothing."),
    ] = Simulation.PODS,
) -> int:
    """Translate the options and run."""
    from capim.embedded.fleet import FleetSpec  # noqa: PLC0415 - `--help` needs none of it
    from capim.embedded.up import UpOptions, run  # noqa: PLC0415

    if control_plane_machines % 2 == 0:
        raise typer.BadParameter(
            f"{control_plane_machines} members have no etcd majority to spare: use an odd number",
            param_hint="--control-plane-machines",
        )
    _check_ports(port_range, clusters)
    fleet = FleetSpec(
        clusters=clusters,
        control_plane_machines=control_plane_machines,
        worker_machines=worker_machines,
        kubernetes_version=kubernetes_version,
        behaviour=_behaviour(instant=instant),
    )
    return run(UpOptions(fleet, workers, until_ready, verbosity, port_range, workload_simulation))


def main(arguments: Sequence[str]) -> int:
    """Run `capim up` with these arguments and return the exit code."""
    return cli.run(app, "capim up", arguments)
