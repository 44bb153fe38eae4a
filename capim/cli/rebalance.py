"""`capim rebalance`: its options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from capim.cli import commandline as cli

if TYPE_CHECKING:
    from collections.abc import Sequence

app = cli.new_app()


@app.command(
    help="Spread the clusters evenly over the workers, with all that is in them. Workers that are cordoned"
    " or lost are left out."
)
def rebalance(
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, help="Seconds in which clusters may move.")
    ] = 600.0,
    kubeconfig: cli.Kubeconfig = "",
    context: cli.Context = "",
    installation_namespace: cli.InstallationNamespace = cli.INSTALLATION_NAMESPACE,
    debug_address: cli.DebugAddress = "",
) -> int:
    """Translate the options and run."""
    from capim.cli.draining import run_rebalance  # noqa: PLC0415 - `--help` needs none of it

    where = cli.Where(kubeconfig, context, installation_namespace, debug_address)
    return cli.wait_for(run_rebalance(where, timeout_s=timeout))


def main(arguments: Sequence[str]) -> int:
    """Run `capim rebalance` with these arguments and return the exit code."""
    return cli.run(app, "capim rebalance", arguments)
