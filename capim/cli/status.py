"""`capim status`: its options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capim.cli import commandline as cli

if TYPE_CHECKING:
    from collections.abc import Sequence

app = cli.new_app()


@app.command(
    help="Show in a few lines how the management cluster, the manager, its shards, clusters and machines"
    " are. Ends with code 1 when something asks for a person."
)
def status(
    output: cli.Document = cli.DocumentForm.TEXT,
    namespace: cli.OnlyNamespace = "",
    kubeconfig: cli.Kubeconfig = "",
    context: cli.Context = "",
    installation_namespace: cli.InstallationNamespace = cli.INSTALLATION_NAMESPACE,
    debug_address: cli.DebugAddress = "",
) -> int:
    """Translate the options and run."""
    from capim.cli.overview import run  # noqa: PLC0415 - `--help` needs none of it

    where = cli.Where(kubeconfig, context, installation_namespace, debug_address)
    return cli.wait_for(run(where, namespace, output))


def main(arguments: Sequence[str]) -> int:
    """Run `capim status` with these arguments and return the exit code."""
    return cli.run(app, "capim status", arguments)
