"""`capim get`: its options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from capim.cli import commandline as cli

if TYPE_CHECKING:
    from collections.abc import Sequence

app = cli.new_app()

_KINDS: Final = {
    **dict.fromkeys(("clusters", "cluster", "inmemoryclusters", "inmemorycluster"), "clusters"),
    **dict.fromkeys(("machines", "machine", "inmemorymachines", "inmemorymachine"), "machines"),
    **dict.fromkeys(("shards", "shard", "workers", "worker"), "shards"),
}


def _kind(value: str) -> str:
    if value.lower() not in _KINDS:
        raise typer.BadParameter(f"{value!r}: write clusters, machines or shards")
    return _KINDS[value.lower()]


@app.command(help="List CAPIM's clusters, machines or shards (its worker processes).")
def get(
    kind: Annotated[
        str,
        typer.Argument(
            callback=_kind,
            metavar="clusters|machines|shards",
            autocompletion=lambda: ["clusters", "machines", "shards"],
            show_default=False,
        ),
    ],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", show_default=False)
    ] = None,
    output: cli.Form = cli.Output.TABLE,
    namespace: cli.Namespace = "",
    all_namespaces: cli.AllNamespaces = False,
    selector: cli.Selector = "",
    no_headers: Annotated[
        bool, typer.Option("--no-headers", help="Print no line of headers.")
    ] = False,
    kubeconfig: cli.Kubeconfig = "",
    context: cli.Context = "",
    installation_namespace: cli.InstallationNamespace = cli.INSTALLATION_NAMESPACE,
    debug_address: cli.DebugAddress = "",
) -> int:
    """Translate the options and run."""
    from capim.cli.listing import Scope, run  # noqa: PLC0415 - `--help` needs none of it

    scope = Scope(kind, tuple(names or ()), namespace, all_namespaces, selector)
    where = cli.Where(kubeconfig, context, installation_namespace, debug_address)
    return cli.wait_for(run(scope, where, output, headers=not no_headers))


def main(arguments: Sequence[str]) -> int:
    """Run `capim get` with these arguments and return the exit code."""
    return cli.run(app, "capim get", arguments)
