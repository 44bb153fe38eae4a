"""`capim uncordon`: its options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from capim.cli import commandline as cli

if TYPE_CHECKING:
    from collections.abc import Sequence

app = cli.new_app()


@app.command(
    help="Let a worker that was drained or cordoned take clusters again. None moves back by itself."
)
def uncordon(
    worker: Annotated[str, typer.Argument(metavar="WORKER", show_default=False)],
    kubeconfig: cli.Kubeconfig = "",
    context: cli.Context = "",
    installation_namespace: cli.InstallationNamespace = cli.INSTALLATION_NAMESPACE,
) -> int:
    """Translate the options and run."""
    from capim.cli.draining import run_uncordon  # noqa: PLC0415 - `--help` needs none of it

    where = cli.Where(kubeconfig, context, installation_namespace)
    return cli.wait_for(run_uncordon(worker, where))


def main(arguments: Sequence[str]) -> int:
    """Run `capim uncordon` with these arguments and return the exit code."""
    return cli.run(app, "capim uncordon", arguments)
