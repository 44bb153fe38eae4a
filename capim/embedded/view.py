"""The live view of `capim up`: progress to something `rich` draws, and the summary at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress_bar import ProgressBar
from rich.table import Table

from capim.embedded.progress import MACHINE_PHASES

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from capim.embedded.fleet import FleetSpec
    from capim.embedded.progress import Progress


def render(progress: Progress, rate: float, left_s: float | None, elapsed_s: float) -> Table:
    """Draw one look at the fleet."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column(justify="right", min_width=12)
    table.add_column()
    for label, done, total in (
        ("clusters with endpoint", progress.clusters_provisioned, progress.clusters),
        ("control planes ready", progress.control_planes_ready, progress.clusters),
        ("machines running", progress.running, progress.machines),
    ):
        table.add_row(label, f"{done}/{total}", _bar(done, total))
    phases = "  ".join(f"{phase} {progress.phases[phase]}" for phase in MACHINE_PHASES)
    table.add_row("machines by phase", "", phases)
    left = "-" if left_s is None else f"{left_s:.0f} s"
    table.add_row("", "", f"{elapsed_s:.0f} s so far, {rate:.1f} machines/s, {left} left")
    return table


def _bar(done: int, total: int) -> RenderableType:
    return ProgressBar(total=max(total, 1), completed=done, width=40)


def came_up(progress: Progress, elapsed_s: float) -> str:
    """Say what came up."""
    return (
        f"{progress.clusters_provisioned} clusters with {progress.running} machines running "
        f"after {elapsed_s:.0f} s."
    )


def how_to_look(fleet: FleetSpec, cluster: str, kubeconfig: Path) -> str:
    """Say how to look at the clusters; the commands can be copied as they are."""
    own = f"/tmp/{cluster}.kubeconfig"  # noqa: S108 - in a command the person runs, in her own name
    manage = f"kubectl --kubeconfig {kubeconfig}"
    return "\n".join(
        [
            "",
            "The management cluster:",
            f"  {manage} get clusters,machines -n {fleet.namespace}",
            f"  capim status --kubeconfig {kubeconfig}",
            "",
            f"A workload cluster, for example {cluster}:",
            f"  {manage} get secret {cluster}-kubeconfig -n {fleet.namespace} "
            f"-o jsonpath='{{.data.value}}' | base64 -d > {own}",
            f"  kubectl --kubeconfig {own} get nodes",
            "",
            "Ctrl-C ends all of it.",
        ]
    )
