"""`capim drain`: its options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from capim.cli import commandline as cli

if TYPE_CHECKING:
    from collections.abc import Sequence

app = cli.new_app()


@app.command(
    help="Move all clusters off a worker, with all that is in them, and give it no more. The wish lasts"
    " until `capim uncordon`; an interrupted command can be given again."
)
def drain(
    worker: Annotated[str, typer.Argument(metavar="WORKER", show_default=False)],
    cordon: Annotated[
        bool, typer.Option("--cordon", help="Only give it no more: what it has stays.")
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", help="Seconds to wait until it is empty; 0: do not wait.")
    ] = 600.0,
    kubeconfig: cli.Kubeconfig = "",
    context: cli.Context = "",
    installation_namespace: cli.InstallationNamespace = cli.INSTALLATION_NAMESPACE,
    debug_address: cli.DebugAddress = "",
) -> int:
    """Translate the options and run."""
    from capim.cli.draining import run_drain  # noqa: PLC0415 - `--help` needs none of it

    where = cli.Where(kubeconfig, context, installation_namespace, debug_address)
    return cli.wait_for(run_drain(worker, where, cordon=cordon, timeout_s=timeout))


def main(arguments: Sequence[str]) -> int:
    """Run `capim drain` with these arguments and return the exit code."""
    return cli.run(app, "capim drain", arguments)
