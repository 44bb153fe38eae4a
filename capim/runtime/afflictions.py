"""Makes machines suffer what is declared, and heals them, by the `cures`. Pure.

Levels, not edges: what a machine suffers is kept with it (`SimulatedMachine.afflicted`, with what is
needed to undo it) and compared with what it should suffer. It survives in the journal, so that a worker
that was killed meanwhile heals what it finds; what lives in this process alone is done again there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from capim.api.faults import Effect, Fault, Schedule, Window
from capim.runtime.cures import CURES, Hands, trouble_of
from capim.runtime.etcdmembers import EtcdTrouble
from capim.runtime.faults import Affliction, draw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.runtime.faults import FaultBook
    from capim.runtime.machines import SimulatedMachine


#: of what a machine's own spec says is wrong with it
_ALWAYS: Final = Schedule(-math.inf, math.inf)
_WINDOW: Final = Window(0, -math.inf, math.inf)

#: what befalls all of a cluster's connections, done by its listener
AT_THE_PORT: Final = (
    Effect.WATCHES_CUT,
    Effect.WATCHES_STALLED,
    Effect.LISTENER_DOWN,
    Effect.UNREACHABLE,
    Effect.HANDSHAKE_FAILURE,
    Effect.CERTIFICATE_EXPIRED,
)


class Afflictions:
    """What the machines of one cluster suffer. One loop, no lock."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        #: what was done in this process; a machine of a journal has suffered before
        self._done: set[tuple[str, Effect]] = set()
        self._noted: dict[
            Effect, int
        ] = {}  #: of what befalls the cluster: the window it was noted in

    def follow(self, faults: FaultBook | None, machine: SimulatedMachine) -> bool:
        """Let a machine suffer what it should and no more; tell whether that changed anything."""
        wanted = dict(_of_its_own(machine))
        if faults is not None:
            wanted |= faults.of_machine(machine.spec.name)
        possible = {
            effect: one
            for effect, one in wanted.items()
            if CURES[effect].after is None or CURES[effect].after in machine.done
        }
        before = dict(machine.afflicted)
        for effect in machine.afflicted.keys() - possible.keys():
            self._end(machine, effect)
        for effect, one in possible.items():
            self._begin(machine, effect, one, faults)
        return machine.afflicted != before

    def follow_cluster(self, faults: FaultBook | None) -> None:
        """Let the cluster's etcd as a whole suffer what it should."""
        etcd = self._hands.etcd
        for effect in (*AT_THE_PORT, Effect.NO_LEADER):
            self._note(faults, effect)
        lost = faults is not None and faults.of_cluster(Effect.NO_LEADER) is not None
        if etcd.trouble is not None or lost:
            trouble_of(etcd).no_leader = lost
        if self._note(faults, Effect.LEADER_CHANGES):
            leader = next((it for it in etcd.members() if it.id == etcd.leader_id), None)
            if leader is not None:
                etcd.step_down(leader.name)
        if etcd.trouble == EtcdTrouble():
            etcd.trouble = None

    def forget(self, name: str) -> None:
        """A machine has gone, with all it suffered."""
        self._done = {one for one in self._done if one[0] != name}
        self._hands.api_servers_down.discard(name)
        self._hands.inhabitants.allow_evictions(name)
        trouble = self._hands.etcd.trouble
        if trouble is not None:
            for names in (trouble.down, trouble.other_cluster, trouble.missing, trouble.learners):
                names.discard(name)
            trouble.alarms.pop(name, None)
            trouble.slow.pop(name, None)

    def _note(self, faults: FaultBook | None, effect: Effect) -> bool:
        """Count what befalls the cluster, once each time; tell whether this is a new time."""
        one = faults.of_cluster(effect) if faults is not None else None
        if one is None or faults is None or self._noted.get(effect) == one.window.index:
            return False
        self._noted[effect] = one.window.index
        faults.count(one.fault)
        return True

    def _begin(
        self,
        machine: SimulatedMachine,
        effect: Effect,
        one: Affliction,
        faults: FaultBook | None,
    ) -> None:
        cure, key = CURES[effect], (machine.spec.name, effect)
        mark = f"{one.fault.uid}/{one.window.index}" if cure.repeats else ""
        suffers = effect in machine.afflicted
        if suffers and key in self._done and (not mark or machine.afflicted[effect] == mark):
            return
        if suffers and mark and machine.afflicted[effect] == mark:
            return  # done before this process began, and not to be done twice
        detail = cure.begin(self._hands, machine, one.fault)
        self._done.add(key)
        if not suffers or mark:
            machine.afflicted[effect] = mark or detail
            if faults is not None and one.fault.uid:
                faults.count(one.fault)

    def _end(self, machine: SimulatedMachine, effect: Effect) -> None:
        detail = machine.afflicted.pop(effect)
        self._done.discard((machine.spec.name, effect))
        CURES[effect].end(self._hands, machine, detail)


def _of_its_own(machine: SimulatedMachine) -> Iterator[tuple[Effect, Affliction]]:
    """Yield what is wrong with a machine for all its life, drawn from its uid."""
    for failure in machine.spec.failures:
        if draw(f"{machine.spec.uid}/{failure.effect}") < failure.probability:
            fault = Fault("", "spec.behaviour", failure.effect, _ALWAYS, "", detail=failure.detail)
            yield failure.effect, Affliction(fault, _WINDOW)
