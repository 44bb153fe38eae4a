"""`capim logs`: its options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from capim.api.meta import parse_duration
from capim.cli import commandline as cli

if TYPE_CHECKING:
    from collections.abc import Sequence

app = cli.new_app()


def _since(value: str) -> str:
    try:
        good = not value or parse_duration(value) > 0
    except ValueError:
        good = False
    if not good:
        raise typer.BadParameter(f"{value!r}: write a duration such as 10m or 1h30m")
    return value


@app.command(
    help="Print what the manager and its workers log: of all, or of one workload cluster and its machines."
)
def logs(
    cluster: Annotated[
        str,
        typer.Argument(
            metavar="[[NAMESPACE/]NAME]",
            help="Only lines about this workload cluster.",
            autocompletion=cli.cluster_names,
            show_default=False,
        ),
    ] = "",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is logged from now on.")
    ] = False,
    tail: Annotated[
        int, typer.Option("--tail", min=-1, help="Lines of each log's past; -1: all.")
    ] = -1,
    since: Annotated[
        str, typer.Option("--since", callback=_since, help="Only the last 10m, 2h and so on.")
    ] = "",
    previous: Annotated[
        bool,
        typer.Option("--previous", "-p", help="Logs of the containers' lives before this one."),
    ] = False,
    kubeconfig: cli.Kubeconfig = "",
    context: cli.Context = "",
    installation_namespace: cli.InstallationNamespace = cli.INSTALLATION_NAMESPACE,
) -> int:
    """Translate the options and run."""
    from capim.cli.logreading import Wish, run  # noqa: PLC0415 - `--help` needs none of it

    since_s = parse_duration(since) if since else 0.0
    wish = Wish(cluster, follow, tail, since_s, previous)
    return cli.wait_for(run(cli.Where(kubeconfig, context, installation_namespace), wish))


def main(arguments: Sequence[str]) -> int:
    """Run `capim logs` with these arguments and return the exit code."""
    return cli.run(app, "capim logs", arguments)
