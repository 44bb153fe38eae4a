"""What a worker's state tells its shell to do. Values alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from capim.api.gvk import NamespacedName
from capim.messaging import envelope as m
from capim.runtime.workload import WorkloadCluster


@dataclass(frozen=True, slots=True)
class Send:
    """Send this report to the coordinator."""

    report: m.Report


@dataclass(frozen=True, slots=True)
class BindListener:
    """Take the cluster's port; answer with `listener_bound` or `listener_failed`."""

    cluster: NamespacedName


@dataclass(frozen=True, slots=True)
class OpenListener:
    """Let connections in."""

    cluster: NamespacedName


@dataclass(frozen=True, slots=True)
class CloseListener:
    """Refuse connections and end those there are, but keep the port."""

    cluster: NamespacedName


@dataclass(frozen=True, slots=True)
class RenewListener:
    """Follow an authority, a key or the advertised host that changed."""

    cluster: NamespacedName


@dataclass(frozen=True, slots=True)
class FollowFaults:
    """Let the listener suffer the cluster's faults as they are now."""

    cluster: NamespacedName


@dataclass(frozen=True, slots=True)
class DropListener:
    """Close and give the port back."""

    cluster: NamespacedName


@dataclass(frozen=True, slots=True)
class LetGo:
    """Free what a cluster held, now that nobody can ask for it, as soon as it is written down."""

    cluster: WorkloadCluster


@dataclass(frozen=True, slots=True)
class GiveState:
    """Send all that a cluster is, now that nobody can change it."""

    cluster: WorkloadCluster


@dataclass(frozen=True, slots=True)
class AnswerQuery:
    """Answer a debug or metrics request."""

    request: int
    subject: str


@dataclass(frozen=True, slots=True)
class TidyJournal:
    """Give away what is written down of other workers' clusters, remove that of clusters that are gone."""

    living: tuple[str, ...]
    complete: bool
    elsewhere: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Breathe:
    """There is more to do of a large command: whoever waits for the loop may have it."""


@dataclass(frozen=True, slots=True)
class End:
    """End the process."""

    why: str


Instruction: TypeAlias = (
    Send
    | BindListener
    | OpenListener
    | CloseListener
    | RenewListener
    | FollowFaults
    | DropListener
    | LetGo
    | GiveState
    | AnswerQuery
    | TidyJournal
    | Breathe
    | End
)
