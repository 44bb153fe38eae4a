"""What the fleet's state tells its shell to do. Values alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from capim.api.gvk import NamespacedName
from capim.messaging import envelope as m


@dataclass(frozen=True, slots=True)
class Send:
    """Send this command to this worker."""

    worker: str
    command: m.Command


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell the controllers that something about this cluster, or this machine of it, was reported."""

    cluster: NamespacedName
    machine: str | None = None


@dataclass(frozen=True, slots=True)
class Replace:
    """Kill this worker's process: it hangs, or is of another version; the supervisor starts another."""

    worker: str
    why: str


@dataclass(frozen=True, slots=True)
class NotifyAll:
    """Tell the controllers that a worker confirmed its whole shard: what was not in it is gone."""


@dataclass(frozen=True, slots=True)
class TellHits:
    """Tell the controllers how often faults, by uid, have acted in a cluster since they were told."""

    cluster: NamespacedName
    hits: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class TellWorker:
    """Tell that this worker, which held its shard, is lost, or that it is back and holds it again."""

    worker: str
    back: bool


@dataclass(frozen=True, slots=True)
class RaiseEpoch:
    """Let this reign have this number, if it is still ours to number; `raised` tells that it has."""

    epoch: int


Instruction: TypeAlias = Send | Notify | NotifyAll | TellHits | Replace | TellWorker | RaiseEpoch
