"""One workload cluster without machines: its machines' phases, its objects, its etcd.

A pure state machine: it is told what should exist, and `advance()` does what is due; `next_deadline()` says
when that will be. No timer a machine: one queue of deadlines a cluster, and a machine that waits costs
nothing. Order of events: by their times over all machines, so that a rebuild (machines whose phases
had ended before) goes through the past in the order it happened; the first etcd member forms the
cluster, the others join.

Invariants: what comes from a machine's uid (delays, etcd member ID, UIDs, address) is the same in every life
of the cluster; a phase ends once in a life, so a Node deleted by Cluster API does not come back.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from capim.api.faults import Effect
from capim.api.kubernetes_versions import DEFAULT_LINE, lookup
from capim.api.meta import format_time
from capim.api.resources import WORKLOAD_RESOURCES
from capim.api.workload import Phase, Simulation
from capim.runtime.addresses import NodeAddresses, PodRanges
from capim.runtime.afflictions import Afflictions
from capim.runtime.baselayer import Base
from capim.runtime.controllers.manager import ControllerManager
from capim.runtime.cures import Hands
from capim.runtime.etcdmembers import EtcdCluster, EtcdError, identity
from capim.runtime.faults import FaultBook
from capim.runtime.inhabitants import Inhabitants, derived_uid
from capim.runtime.kinds.rules import BuiltinRules
from capim.runtime.machines import SimulatedMachine
from capim.runtime.manifests import bootstrap, pods
from capim.runtime.resourcegroup import ResourceGroup

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from capim.api.faults import Fault
    from capim.api.gvk import NamespacedName
    from capim.api.meta import JsonObject
    from capim.api.workload import ClusterSpec, MachineProgress, MachineSpec
    from capim.runtime.baselayer import Values
    from capim.runtime.etcdmembers import Member


class WorkloadCluster:
    """The contents of one workload cluster in one of its lives. One loop, no lock."""

    def __init__(
        self,
        spec: ClusterSpec,
        *,
        clock: Callable[[], float],
        rng: random.Random,
        first_version: int,
        simulation: Simulation = Simulation.OFF,
    ) -> None:
        self._spec = spec
        self._clock = clock
        self._moment: float | None = None  # the time of the event being applied
        self._base = Base(bootstrap.layer(), spec.uid, self._base_values)
        self.group = ResourceGroup(
            WORKLOAD_RESOURCES,
            clock=self._time,
            new_uid=lambda: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            first_version=first_version,
            rules=BuiltinRules(service_cidr=spec.service_cidr),
            kubelets=simulation is Simulation.PODS,
            base=self._base,
        )
        self.etcd = EtcdCluster(
            identity(spec.uid, "cluster"), revision=lambda: self.group.resource_version
        )
        self._inhabitants = Inhabitants(self.group)
        self.etcd.on_leader = self._etcd_leads
        self.etcd.on_removed = self._etcd_left
        self._addresses = NodeAddresses(spec.pod_cidr)
        self._pod_ranges = PodRanges(spec.pod_cidr)
        self._machines: dict[str, SimulatedMachine] = {}
        self._api_servers: set[str] = set()
        self._changed: dict[str, None] = {}  # names, in the order they changed
        self._queue: list[tuple[float, int, str, str]] = []  # (when, order, name, uid)
        self._order = itertools.count()
        self._authorities_since = -math.inf if _has_authorities(spec) else math.inf
        self._controllers = ControllerManager(self.group, simulation, root_ca=self._root_ca)
        self._controllers.wake = self._wake
        self._advancing = False
        self.faults: FaultBook | None = None  #: None: none is declared
        self._afflictions: Afflictions | None = None  #: None: there is nothing to suffer or to heal
        self._broken: set[str] = set()  #: machines of which something is wrong by their own spec
        self._suffers_at = math.inf  #: when what machines suffer is to be looked at again
        self._api_servers_down: set[str] = set()  #: of those that are up but for a fault
        self._turned = False  #: a fault may have begun or ended since the owner asked
        #: names of machines that have changed, or gone, since whoever writes them down cleared it
        self.unsaved: set[str] = set()
        #: called when `advance` has something to do that `next_deadline` did not say before
        self.on_work: Callable[[], None] = lambda: None

    def let_go(self) -> None:
        """Free what the cluster held: it is gone, and nothing is asked of it any more.

        What is left are a few objects that refer to one another. They wait for the garbage collector,
        which looks at a large worker's heap seldom, and then for long.
        """
        self.group.empty()
        self._machines.clear()
        self.on_work = lambda: None

    # --- what it is --------------------------------------------------------------------------------

    @property
    def spec(self) -> ClusterSpec:
        """What the cluster should be."""
        return self._spec

    @property
    def key(self) -> NamespacedName:
        """Namespace and name of the Cluster."""
        return self._spec.key

    @property
    def machines(self) -> Mapping[str, SimulatedMachine]:
        """The machines by name."""
        return self._machines

    @property
    def serving(self) -> bool:
        """Whether an API server is up."""
        return len(self._api_servers) > len(self._api_servers_down)

    @property
    def reachable(self) -> bool:
        """Whether the listener should be open: an API server is up, and no fault keeps clients out."""
        if not self.serving:
            return False
        return self.faults is None or self.faults.of_cluster(Effect.LISTENER_DOWN) is None

    @property
    def kubernetes_version(self) -> str:
        """The version of the newest control plane machine that is up, or of any there is, or a default."""
        candidates = [self._machines[name] for name in self._api_servers] or [
            machine for machine in self._machines.values() if machine.spec.control_plane
        ]
        candidates = [machine for machine in candidates if Phase.NODE not in machine.failed]
        if not candidates:
            return DEFAULT_LINE.version
        newest = max(candidates, key=lambda machine: (machine.created_at, machine.spec.name))
        return lookup(newest.spec.version).version

    def progress(self, name: str) -> MachineProgress | None:
        """Return how far a machine has come, None for one that is not here."""
        machine = self._machines.get(name)
        return machine.progress() if machine else None

    def cloud_machines(self) -> list[JsonObject]:
        """Return the cloud's own records of the machines; no client of the cluster sees them."""
        return [
            {
                "apiVersion": "virtual.cluster.x-k8s.io/v1alpha1",
                "kind": "CloudMachine",
                "metadata": {
                    "name": machine.spec.name,
                    "uid": derived_uid(machine.spec.uid, "CloudMachine"),
                    "creationTimestamp": format_time(machine.created_at),
                },
            }
            for machine in self._machines.values()
        ]

    def debug(self) -> JsonObject:
        """Return the whole as a debug page shows it; IDs of etcd in hexadecimal, as etcdctl has them."""
        deadline = self.next_deadline()
        return {
            "cluster": str(self.key),
            "uid": self._spec.uid,
            "endpoint": self._spec.endpoint,
            "serving": self.serving,
            "kubernetesVersion": self.kubernetes_version,
            "resourceVersion": str(self.group.resource_version),
            "nextDeadline": deadline,
            "etcd": {
                "clusterID": f"{self.etcd.cluster_id:x}",
                "leader": f"{self.etcd.leader_id:x}",
                "term": self.etcd.raft_term,
                "members": [
                    {"id": f"{member.id:x}", "name": member.name, "version": member.version}
                    for member in self.etcd.members()
                ],
            },
            "machines": [machine.debug() for machine in self._machines.values()],
            "cloudMachines": self.cloud_machines(),
        }

    # --- what it is told ---------------------------------------------------------------------------

    def update_spec(self, spec: ClusterSpec) -> None:
        """Take what the cluster should be now; certificates that came let waiting machines go on.

        Raises:
            ValueError: it is another life's spec.
        """
        if spec.uid != self._spec.uid:
            raise ValueError(f"cluster {self.key} has uid {self._spec.uid}, not {spec.uid}")
        before, self._spec = self._spec, spec
        self._base.forget_values()
        if before.ca and spec.ca and before.ca.certificate != spec.ca.certificate:
            self._controllers.publish_root_ca()
        if self._authorities_since == math.inf and _has_authorities(spec):
            self._authorities_since = self._clock()
            for machine in self._machines.values():
                self._schedule(machine)

    def set_faults(self, faults: tuple[Fault, ...]) -> None:
        """Suffer these faults, each by its schedule, and no others; what goes heals with `advance()`."""
        if not faults:
            self.faults = None
        else:
            self.faults = self.faults or FaultBook(self.key, self._clock)
            self.faults.set(faults)
        self._look_at_faults()

    def _look_at_faults(self) -> None:
        """Look at the next `advance()` at what machines suffer, if there is anything to look at."""
        if self._afflictions is None:
            if self.faults is None and not self._broken:
                return
            self._begin_to_suffer()
        self._suffers_at = -math.inf

    def _begin_to_suffer(self) -> None:
        hands = Hands(
            self._inhabitants, self._controllers, self.etcd, self._api_servers_down, self._clock
        )
        self._afflictions = Afflictions(hands)

    def take_turned(self) -> bool:
        """Tell whether a fault may have begun or ended since this was asked last."""
        turned, self._turned = self._turned, False
        return turned

    def ensure_machine(self, spec: MachineSpec) -> None:
        """Let a machine exist; what is due of it happens at the next `advance()`.

        A machine of the same name and another uid goes first. Telling the same again changes nothing,
        but what the teller does not know yet is reported again.
        """
        now = self._clock()
        spec = replace(spec, done={phase: min(at, now) for phase, at in spec.done.items()})
        known = self._machines.get(spec.name)
        if known is not None and known.spec.uid != spec.uid:
            self.remove_machine(spec.name, known.spec.uid)
            known = None
        if known is not None:
            self._update_machine(known, spec)
            return
        spec = replace(spec, version=spec.version or self.kubernetes_version)
        created_at = now if spec.created_at is None else min(spec.created_at, now)
        machine = SimulatedMachine(spec, created_at=created_at)
        machine.address = self._addresses.take(spec.uid)
        self._machines[spec.name] = machine
        if spec.failures:
            self._broken.add(spec.name)
        self._note_change(spec.name)
        self._look_at_faults()
        self._schedule(machine)

    def restore_machine(self, machine: SimulatedMachine) -> None:
        """Let a machine of an earlier life be here again; the objects it made come by themselves."""
        name = machine.spec.name
        self._addresses.keep(machine.address)
        self._pod_ranges.keep(machine.pod_cidr)
        self._machines[name] = machine
        if machine.spec.failures:
            self._broken.add(name)
        if Phase.API_SERVER in machine.done:
            self._api_servers.add(name)
        self._changed[name] = None
        if machine.afflicted and self._afflictions is None:
            self._begin_to_suffer()  # or to heal, if what it suffered from is no more
        self._look_at_faults()
        self._schedule(machine)

    def _note_change(self, name: str) -> None:
        self._changed[name] = None
        self.unsaved.add(name)

    def _update_machine(self, machine: SimulatedMachine, spec: MachineSpec) -> None:
        if set(machine.done) - set(spec.done):
            self._changed[spec.name] = None
        if not spec.version or spec.version == machine.spec.version:
            return
        machine.spec = replace(machine.spec, version=spec.version)
        machine.check_version()
        self._note_change(spec.name)
        if Phase.NODE in machine.done and Phase.NODE not in machine.failed:
            self._inhabitants.change_version(machine)
        self._schedule(machine)

    def remove_machine(self, name: str, uid: str) -> bool:
        """Remove a machine and what is of it in the cluster; true: it is gone, or never was.

        In the order the original removes things: Node, etcd, API server, scheduler, controller manager,
        cloud machine. Members or Nodes that Cluster API has removed already are no error.
        """
        machine = self._machines.get(name)
        if machine is None or machine.spec.uid != uid:
            return True
        if Phase.NODE in machine.done:
            self._inhabitants.remove_node(name)
        if machine.spec.control_plane:
            self._remove_control_plane(machine)
        if self._afflictions is not None:
            self._afflictions.forget(name)
            self._suffers_at = -math.inf
        self._broken.discard(name)
        self._pod_ranges.give_back(machine.pod_cidr)
        self._addresses.give_back(machine.address)
        self._changed.pop(name, None)
        self.unsaved.add(name)
        del self._machines[name]
        return True

    def _remove_control_plane(self, machine: SimulatedMachine) -> None:
        name = machine.spec.name
        self._inhabitants.remove_pod(pods.ETCD, name)
        with contextlib.suppress(
            EtcdError
        ):  # KubeadmControlPlane removes a member before its machine
            self.etcd.remove(identity(machine.spec.uid, "member"))
        self._api_servers.discard(name)
        for component in (pods.API_SERVER, pods.SCHEDULER, pods.CONTROLLER_MANAGER):
            self._inhabitants.remove_pod(component, name)

    # --- what it does ------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when `advance()` has something to do (may be in the past), None for never."""
        while self._queue and not self._is_current(self._queue[0]):
            heapq.heappop(self._queue)
        due = [self._queue[0][0]] if self._queue else []
        if self._suffers_at < math.inf:
            due.append(self._suffers_at)
        if self._changed:
            due.append(self._clock())
        if self.serving and (controllers_due := self._controllers.next_deadline()) is not None:
            due.append(controllers_due)
        return min(due, default=None)

    def clock_set_back(self) -> None:
        """Plan anew: what happened while the clock was ahead happened now, or it would be waited for."""
        for name, machine in self._machines.items():
            machine.begin_by(self._clock())
            self._note_change(name)
            self._schedule(machine)
        self._look_at_faults()
        self._controllers.clock_set_back()

    def advance(self) -> list[MachineProgress]:
        """Do all that is due now, in the order of its times; returns the machines that changed.

        Controllers do a part of what they have to do; `next_deadline` tells whether there is more.
        """
        self._advancing = True
        try:
            self._suffer()
            self._end_phases(self._clock())
            self._suffer()
            if self.serving:
                self._controllers.run()
        finally:
            self._advancing = False
        changed, self._changed = self._changed, {}
        return [self._machines[name].progress() for name in changed]

    def _suffer(self) -> None:
        """Let machines suffer what is declared, and heal from what is not, when it is time to."""
        if self._afflictions is None or self._clock() < self._suffers_at:
            return
        self._turned = True
        for machine in self._machines.values():
            if self._afflictions.follow(self.faults, machine):
                self._note_change(machine.spec.name)
                self._schedule(machine)
        self._afflictions.follow_cluster(self.faults)
        self._suffers_at = self.faults.next_change() if self.faults is not None else math.inf
        if self.faults is None and not self._broken:
            self._afflictions = None

    def _end_phases(self, now: float) -> None:
        while self._queue and self._queue[0][0] <= now:
            entry = heapq.heappop(self._queue)
            if not self._is_current(entry):
                continue
            machine = self._machines[entry[2]]
            due, phase = machine.next_phase(self._authorities_since)
            if phase is not None:
                self._end_phase(machine, phase, due)
            self._schedule(machine)

    def _wake(self) -> None:
        if self.serving and not self._advancing:
            self.on_work()

    def _base_values(self) -> Values:
        control_planes = (it for it in self._machines.values() if it.spec.control_plane)
        address = next((it.address for it in control_planes), "")
        return bootstrap.values(self._spec, self._inhabitants.begun() or self._clock(), address)

    def _root_ca(self) -> str:
        return self._spec.ca.certificate.decode("ascii") if self._spec.ca else ""

    def _is_current(self, entry: tuple[float, int, str, str]) -> bool:
        when, _, name, uid = entry
        machine = self._machines.get(name)
        return machine is not None and machine.spec.uid == uid and machine.wake_at == when

    def _schedule(self, machine: SimulatedMachine) -> None:
        machine.wake_at, phase = machine.next_phase(self._authorities_since)
        if phase is not None:
            entry = (machine.wake_at, next(self._order), machine.spec.name, machine.spec.uid)
            heapq.heappush(self._queue, entry)

    def _time(self) -> float:
        return self._clock() if self._moment is None else self._moment

    def _end_phase(self, machine: SimulatedMachine, phase: Phase, at: float) -> None:
        """Note that a phase has ended and make what it makes, dated `at`."""
        machine.done[phase] = at
        self._look_at_faults()
        self._note_change(machine.spec.name)
        self._moment = at
        try:
            if phase is Phase.NODE:
                machine.pod_cidr = self._pod_ranges.take()
                self._inhabitants.add_node(self._spec, machine, at)
            elif phase is Phase.ETCD:
                self._start_etcd(machine, at)
            elif phase is Phase.API_SERVER:
                self._start_api_server(machine, at)
        finally:
            self._moment = None

    def _start_etcd(self, machine: SimulatedMachine, at: float) -> None:
        member = self.etcd.add(
            machine.spec.name,
            identity(machine.spec.uid, "member"),
            version=lookup(machine.spec.version).line.etcd_version,
            address=machine.address,
        )
        leads = member.id == self.etcd.leader_id
        marks = pods.etcd_marks(self.etcd.cluster_id, member.id, at if leads else None)
        self._inhabitants.add_pod(pods.ETCD, self._spec, machine, at, annotations=marks)

    def _etcd_leads(self, member: Member) -> None:
        marks = pods.leader_mark(self._time())
        self._inhabitants.annotate_pod(pods.ETCD, member.name, marks)

    def _etcd_left(self, member: Member) -> None:
        self._inhabitants.annotate_pod(pods.ETCD, member.name, pods.REMOVED_MARK)

    def _start_api_server(self, machine: SimulatedMachine, at: float) -> None:
        """Bring up an API server and what runs beside it; the first one initialises the cluster."""
        for component in (pods.API_SERVER, pods.SCHEDULER, pods.CONTROLLER_MANAGER):
            self._inhabitants.add_pod(component, self._spec, machine, at)
        self._inhabitants.init_cluster(self._spec, machine.spec.version)
        self._base.forget_values()
        self._api_servers.add(machine.spec.name)


def _has_authorities(spec: ClusterSpec) -> bool:
    return spec.ca is not None and spec.etcd_ca is not None
