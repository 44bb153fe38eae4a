"""`capim doctor`: its options, and how findings are shown."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

import typer

from capim.cli import commandline as cli
from capim.cli.findings import COLOURS, Level, as_document, summary
from capim.cli.tables import document

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from capim.cli.findings import Finding

    _Examine: TypeAlias = Callable[[cli.Where], Awaitable[Sequence[Finding]]]

app = cli.new_app()


@app.command(
    help="Look for what keeps CAPIM from working, here and in the management cluster: versions,"
    " definitions, contracts, webhooks, rights, clocks, ports and limits. Each warning and error says what"
    " to do. Ends with code 1 when there is an error."
)
def doctor(
    output: cli.Document = cli.DocumentForm.TEXT,
    kubeconfig: cli.Kubeconfig = "",
    context: cli.Context = "",
    installation_namespace: cli.InstallationNamespace = cli.INSTALLATION_NAMESPACE,
    debug_address: cli.DebugAddress = "",
) -> int:
    """Translate the options and run."""
    from capim.cli.examination import examine  # noqa: PLC0415 - `--help` needs none of it

    where = cli.Where(kubeconfig, context, installation_namespace, debug_address)
    return cli.wait_for(_run(where, output, examine))


async def _run(where: cli.Where, output: cli.DocumentForm, examine: _Examine) -> int:
    findings = await examine(where)
    if output is cli.DocumentForm.TEXT:
        _show(findings)
    else:
        typer.echo(document(as_document(findings), output), nl=False)
    return int(any(finding.level is Level.ERROR for finding in findings))


def _show(findings: Sequence[Finding]) -> None:
    # None: where there is a terminal
    colour = False if os.environ.get("NO_COLOR") else None
    for finding in findings:
        level = typer.style(f"{finding.level:<8}", fg=COLOURS[finding.level])
        typer.echo(f"{level} {finding.area:<12} {finding.message}", color=colour)
        if finding.fix:
            typer.echo(f"{'':21} -> {finding.fix}")
    typer.echo(summary(findings))


def main(arguments: Sequence[str]) -> int:
    """Run `capim doctor` with these arguments and return the exit code."""
    return cli.run(app, "capim doctor", arguments)
