"""One simulated machine: which phases have ended, and when the next one can end. Pure arithmetic.

A phase can end once its start is known (the VM's is the cloud machine's creation, the Node's the VM's end,
etcd's and the API server's the Node's end) and its delay, drawn once, is over.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from capim.api.kubernetes_versions import lookup
from capim.api.workload import MachineProgress, Phase, Startup
from capim.runtime.provisioning import draw_delay_s

if TYPE_CHECKING:
    from capim.api.faults import Effect
    from capim.api.meta import JsonObject
    from capim.api.workload import MachineSpec

#: phase -> the phase it waits for
_AFTER: Final = {Phase.NODE: Phase.VM, Phase.ETCD: Phase.NODE, Phase.API_SERVER: Phase.NODE}
_WORKER_PHASES: Final = (Phase.VM, Phase.NODE)
_NEEDS_AUTHORITIES: Final = frozenset({Phase.ETCD, Phase.API_SERVER})
_NO_DELAY: Final = Startup()


class SimulatedMachine:
    """What a workload cluster knows of one machine."""

    __slots__ = (
        "_delays",
        "address",
        "afflicted",
        "created_at",
        "done",
        "failed",
        "held",
        "pod_cidr",
        "spec",
        "terminal",
        "wake_at",
    )

    def __init__(self, spec: MachineSpec, *, created_at: float) -> None:
        self.spec = spec
        self.created_at = created_at
        self.done: dict[Phase, float] = {}
        self.failed: dict[Phase, str] = {}  #: phase -> why it cannot go on, for a person
        #: what faults have done to it, with what is needed to undo it
        self.afflicted: dict[Effect, str] = {}
        self.terminal = False  #: what failed did so for good
        #: phases that do not end before a time; infinity: it is not known when they may
        self.held: dict[Phase, float] = {}
        self.address = ""
        self.pod_cidr = ""
        #: when it is in the queue to be looked at; later or earlier entries are stale
        self.wake_at = math.inf
        self.check_version()
        self._delays = {
            phase: draw_delay_s(spec.startup.get(phase, _NO_DELAY), spec.uid, phase)
            for phase in self.phases
        }

    def begin_by(self, now: float) -> None:
        """Let nothing of its past be later than now."""
        self.created_at = min(self.created_at, now)
        self.done = {phase: min(at, now) for phase, at in self.done.items()}

    def check_version(self) -> None:
        """Note that the machine cannot become a Node of a version that is none."""
        self.failed.pop(Phase.NODE, None)
        try:
            lookup(self.spec.version)
        except ValueError as error:
            self.failed[Phase.NODE] = str(error)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases this machine goes through, in the order they may end."""
        return tuple(Phase) if self.spec.control_plane else _WORKER_PHASES

    def due(self, phase: Phase, authorities_since: float) -> float:
        """Return when `phase` ends, infinity while that is not known.

        Args:
            phase: one of `phases`.
            authorities_since: when the cluster's certificate authorities came; infinity before.
        """
        after = _AFTER.get(phase)
        start = self.created_at if after is None else self.done.get(after, math.inf)
        if phase in self.failed or start == math.inf:
            return math.inf
        if phase in _NEEDS_AUTHORITIES and authorities_since == math.inf:
            return math.inf
        if (replayed := self.spec.done.get(phase)) is not None:
            return max(start, replayed)
        end = max(start + self._delays[phase], self.held.get(phase, -math.inf))
        return max(end, authorities_since) if phase in _NEEDS_AUTHORITIES else end

    def next_phase(self, authorities_since: float) -> tuple[float, Phase | None]:
        """Return the phase that ends next and when; (infinity, None) when there is nothing to wait for."""
        pending = [phase for phase in self.phases if phase not in self.done]
        if not pending:
            return math.inf, None
        due, phase = min(
            ((self.due(phase, authorities_since), phase) for phase in pending),
            key=lambda pair: pair[0],
        )
        return (due, phase) if due < math.inf else (math.inf, None)

    def progress(self) -> MachineProgress:
        """Return how far the machine has come, as it is reported."""
        addresses = (("InternalIP", self.address), ("Hostname", self.spec.name))
        return MachineProgress(
            self.spec.cluster,
            self.spec.name,
            self.spec.uid,
            self.created_at,
            done=dict(self.done),
            failed=dict(self.failed),
            addresses=addresses if Phase.VM in self.done else (),
            terminal=self.terminal,
        )

    def debug(self) -> JsonObject:
        """Return the machine as a debug page shows it; times in seconds since the epoch."""
        return {
            "name": self.spec.name,
            "uid": self.spec.uid,
            "controlPlane": self.spec.control_plane,
            "version": self.spec.version,
            "createdAt": self.created_at,
            "done": {str(phase): at for phase, at in self.done.items()},
            "failed": {str(phase): why for phase, why in self.failed.items()},
            "address": self.address,
        }
