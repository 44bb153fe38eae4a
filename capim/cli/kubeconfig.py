"""`capim kubeconfig`: its options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from capim.cli import commandline as cli

if TYPE_CHECKING:
    from collections.abc import Sequence

app = cli.new_app()


@app.command(
    help="Merge a workload cluster's kubeconfig into a file and make it the current context, or run a"
    " command in the cluster. Where its endpoint cannot be reached from here, its pod's port is forwarded,"
    " for as long as the command runs or until Ctrl-C.",
    epilog="Examples: capim kubeconfig default/in-memory-1 · capim kubeconfig in-memory-1 -- kubectl get"
    " nodes · capim kubeconfig default/in-memory-1 --file - > /tmp/kubeconfig",
)
def kubeconfig(
    cluster: Annotated[
        str,
        typer.Argument(
            metavar="[NAMESPACE/]NAME", autocompletion=cli.cluster_names, show_default=False
        ),
    ],
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- COMMAND...]", help="Run this with KUBECONFIG set.", show_default=False
        ),
    ] = None,
    file: Annotated[
        str,
        typer.Option("--file", "-f", help="The file to merge into; -: standard output."),
    ] = "",
    keep_context: Annotated[
        bool, typer.Option("--keep-context", help="Leave the file's current context as it is.")
    ] = False,
    port_forward: Annotated[
        bool | None,
        typer.Option(
            "--port-forward/--no-port-forward",
            help="Forward the port in any case, or never; default: where it is needed.",
            show_default=False,
        ),
    ] = None,
    kubeconfig_: cli.Kubeconfig = "",
    context: cli.Context = "",
    installation_namespace: cli.InstallationNamespace = cli.INSTALLATION_NAMESPACE,
) -> int:
    """Translate the options and run."""
    from capim.cli.workload import Wish, run  # noqa: PLC0415 - `--help` needs none of it

    wish = Wish(cluster, tuple(command or ()), file, not keep_context, port_forward)
    return cli.wait_for(run(cli.Where(kubeconfig_, context, installation_namespace), wish))


def main(arguments: Sequence[str]) -> int:
    """Run `capim kubeconfig` with these arguments and return the exit code."""
    return cli.run(app, "capim kubeconfig", arguments)
