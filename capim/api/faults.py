"""Faults by declaration: which there are, when they act and on whom. Pure values and arithmetic.

A `Fault` travels from the coordinator to the worker of each cluster it is meant for, with its whole
schedule: the worker needs nobody to begin or to end it. To add a fault: a member of `Effect`, a row of
`EFFECTS`, and the code where it acts.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Target(enum.StrEnum):
    """What of a cluster a fault befalls; the names of sections of an InMemoryFault's spec."""

    API_SERVER = "apiServer"
    ETCD = "etcd"
    NODES = "nodes"
    CLOUD = "cloud"


class Effect(enum.StrEnum):
    """What goes wrong; the values of `effect` in a section."""

    LATENCY = "Latency"
    TOO_MANY_REQUESTS = "TooManyRequests"
    INTERNAL_ERROR = "InternalError"
    SERVICE_UNAVAILABLE = "ServiceUnavailable"
    CONFLICT = "Conflict"
    TIMEOUT = "Timeout"
    EXPIRED = "Expired"
    CONNECTION_RESET = "ConnectionReset"
    HANGING = "Hanging"
    SLOW_BODY = "SlowBody"
    STALE_READS = "StaleReads"
    WATCHES_CUT = "WatchesCut"
    WATCHES_STALLED = "WatchesStalled"
    LISTENER_DOWN = "ListenerDown"
    UNREACHABLE = "Unreachable"
    HANDSHAKE_FAILURE = "HandshakeFailure"
    CERTIFICATE_EXPIRED = "CertificateExpired"
    REPLICA_DOWN = "ReplicaDown"
    MEMBER_DOWN = "MemberDown"
    NO_LEADER = "NoLeader"
    LEADER_CHANGES = "LeaderChanges"
    NO_SPACE = "NoSpace"
    CORRUPT = "Corrupt"
    SLOW = "Slow"
    CLUSTER_ID_MISMATCH = "ClusterIDMismatch"
    MEMBER_MISSING = "MemberMissing"
    LEARNER = "Learner"
    NEVER_JOINS = "NeverJoins"
    WITHOUT_PROVIDER_ID = "WithoutProviderID"
    NOT_READY = "NotReady"
    SILENT = "Silent"
    MEMORY_PRESSURE = "MemoryPressure"
    DISK_PRESSURE = "DiskPressure"
    PID_PRESSURE = "PIDPressure"
    NETWORK_UNAVAILABLE = "NetworkUnavailable"
    DELETED = "Deleted"
    TAINTED = "Tainted"
    VERSION_SKEW = "VersionSkew"
    PODS_STUCK = "PodsStuck"
    VOLUMES_STUCK = "VolumesStuck"
    EVICTIONS_BLOCKED = "EvictionsBlocked"
    VM_STOPPED = "VMStopped"
    VM_DELETED = "VMDeleted"
    VM_FAILED = "VMFailed"
    NO_CAPACITY = "NoCapacity"
    RATE_LIMITED = "RateLimited"
    OUTAGE = "Outage"


class Unit(enum.StrEnum):
    """What a fault's probability is the share of."""

    REQUEST = "request"
    MACHINE = "machine"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class EffectInfo:
    """What there is to know of an effect."""

    target: Target
    unit: Unit
    doc: str  #: what a client of the cluster sees
    parameters: tuple[str, ...] = ()  #: fields of the section that it reads
    required: tuple[str, ...] = ()  #: those of them that must be given, any one of them
    verbs: frozenset[str] = frozenset()  #: of requests it can befall; empty: all


_WRITES: Final = frozenset({"update", "patch", "delete"})


def _request(doc: str, *parameters: str, verbs: frozenset[str] = frozenset()) -> EffectInfo:
    return EffectInfo(Target.API_SERVER, Unit.REQUEST, doc, parameters, verbs=verbs)


def _cluster(target: Target, doc: str) -> EffectInfo:
    return EffectInfo(target, Unit.CLUSTER, doc)


def _machine(target: Target, doc: str, *parameters: str) -> EffectInfo:
    return EffectInfo(target, Unit.MACHINE, doc, parameters, required=parameters)


EFFECTS: Final[Mapping[Effect, EffectInfo]] = MappingProxyType(
    {
        Effect.LATENCY: EffectInfo(
            Target.API_SERVER,
            Unit.REQUEST,
            "The request is looked at later: by `latency`, up to `jitter` more, and what `curve` says.",
            parameters=("latency", "jitter", "curve"),
            required=("latency", "jitter", "curve"),
        ),
        Effect.TOO_MANY_REQUESTS: _request(
            "429 with Retry-After: 1, as API priority and fairness answers."
        ),
        Effect.INTERNAL_ERROR: _request("500, a Status of reason InternalError."),
        Effect.SERVICE_UNAVAILABLE: _request("503, a Status of reason ServiceUnavailable."),
        Effect.CONFLICT: _request(
            "409, a Status of reason Conflict, for updates, patches and deletions.", verbs=_WRITES
        ),
        Effect.TIMEOUT: _request(
            "504, a Status of reason Timeout, after `latency` (without one at once).", "latency"
        ),
        Effect.EXPIRED: _request(
            "410, a Status of reason Expired, for lists; for watches an event ERROR that says it."
            " Informers list again.",
            verbs=frozenset({"list", "watch"}),
        ),
        Effect.CONNECTION_RESET: _request("The connection is reset in place of an answer."),
        Effect.HANGING: _request(
            "There is no answer; when the fault ends the connection is reset."
        ),
        Effect.SLOW_BODY: EffectInfo(
            Target.API_SERVER,
            Unit.REQUEST,
            "The answer's head comes at once and its body in pieces, over `latency`.",
            parameters=("latency",),
            required=("latency",),
        ),
        Effect.STALE_READS: _request(
            "Gets and lists show what was there when the fault began, as a cache that has fallen behind;"
            " watches go on.",
            verbs=frozenset({"get", "list"}),
        ),
        Effect.WATCHES_CUT: _cluster(
            Target.API_SERVER,
            "All watches are cut off in the middle, each time that the fault begins anew"
            " (`schedule.period`).",
        ),
        Effect.WATCHES_STALLED: _cluster(
            Target.API_SERVER,
            "Watches stay open and tell nothing; when the fault ends they tell what was missed.",
        ),
        Effect.LISTENER_DOWN: _cluster(
            Target.API_SERVER,
            "The port refuses connections, and those there are end; etcd and port-forwards too.",
        ),
        Effect.UNREACHABLE: _cluster(
            Target.API_SERVER,
            "The port takes connections and never answers; those there are stall.",
        ),
        Effect.HANDSHAKE_FAILURE: _cluster(
            Target.API_SERVER, "TLS handshakes fail: the connection ends in the middle of one."
        ),
        Effect.CERTIFICATE_EXPIRED: _cluster(
            Target.API_SERVER,
            "The serving certificates have expired: new connections of those who look are refused.",
        ),
        Effect.REPLICA_DOWN: _machine(
            Target.API_SERVER,
            "The machine's kube-apiserver does not run: its pod is not ready. With the last of them"
            " the port refuses connections.",
        ),
        Effect.MEMBER_DOWN: _machine(
            Target.ETCD,
            "The machine's etcd does not run: its pod is not ready, calls to it are UNAVAILABLE, another"
            " member leads. With half of the members down there is no leader.",
        ),
        Effect.NO_LEADER: _cluster(
            Target.ETCD,
            "Quorum is lost: Status tells of no leader, everything else at etcd times out. The API"
            " answers watches and reads from its cache (`resourceVersion=0`); the rest times out after"
            " 7 s.",
        ),
        Effect.LEADER_CHANGES: _cluster(
            Target.ETCD,
            "Another member leads, each time that the fault begins anew (`schedule.period`).",
        ),
        Effect.NO_SPACE: _machine(
            Target.ETCD,
            "The member raises the alarm NOSPACE; the API refuses writes, save deletions.",
        ),
        Effect.CORRUPT: _machine(
            Target.ETCD, "The member raises the alarm CORRUPT; the API refuses writes."
        ),
        Effect.SLOW: _machine(
            Target.ETCD, "The member's answers come later by `latency`.", "latency"
        ),
        Effect.CLUSTER_ID_MISMATCH: _machine(
            Target.ETCD, "The member's answers carry the ID of another cluster."
        ),
        Effect.MEMBER_MISSING: _machine(
            Target.ETCD, "The other members' lists do not have this member."
        ),
        Effect.LEARNER: _machine(Target.ETCD, "The member is a learner, which has no vote."),
        Effect.NEVER_JOINS: _machine(
            Target.NODES, "The kubelet does not register: machines that come up have no Node."
        ),
        Effect.WITHOUT_PROVIDER_ID: _machine(
            Target.NODES,
            "The Node has no provider ID, as where no cloud provider looks after nodes.",
        ),
        Effect.NOT_READY: _machine(
            Target.NODES,
            "The kubelet posts that its Node is not ready, and goes on to renew its lease.",
        ),
        Effect.SILENT: _machine(
            Target.NODES,
            "The kubelet renews no lease and posts no status: after 50 s all is Unknown. Its pods do not"
            " end. Needs a workload simulation.",
        ),
        Effect.MEMORY_PRESSURE: _machine(Target.NODES, "The condition MemoryPressure is True."),
        Effect.DISK_PRESSURE: _machine(Target.NODES, "The condition DiskPressure is True."),
        Effect.PID_PRESSURE: _machine(Target.NODES, "The condition PIDPressure is True."),
        Effect.NETWORK_UNAVAILABLE: _machine(
            Target.NODES, "The condition NetworkUnavailable is True."
        ),
        Effect.DELETED: _machine(
            Target.NODES,
            "The Node is deleted behind everybody's back, each time that the fault begins. It does not"
            " come back: no kubelet registers twice.",
        ),
        Effect.TAINTED: _machine(Target.NODES, "The Node has an unexpected taint.", "taint"),
        Effect.VERSION_SKEW: _machine(
            Target.NODES, "The kubelet says that it is of this version.", "kubeletVersion"
        ),
        Effect.PODS_STUCK: _machine(
            Target.NODES,
            "Pods that are deleted do not end, so that a drain hangs. Needs the workload simulation"
            " `pods`.",
        ),
        Effect.VOLUMES_STUCK: _machine(
            Target.NODES,
            "A volume stays attached to the Node, in its status and as a VolumeAttachment, so that who"
            " waits for volumes to be detached waits.",
        ),
        Effect.EVICTIONS_BLOCKED: _machine(
            Target.NODES,
            "Pods of the Node cannot be evicted: 429, as by a PodDisruptionBudget of the fault's name that"
            " allows no disruption. Deletions go through.",
        ),
        Effect.VM_STOPPED: _machine(
            Target.CLOUD,
            "The machine is off: its Node falls silent, its etcd and API server are down. When the fault"
            " ends it is on again.",
        ),
        Effect.VM_DELETED: _machine(
            Target.CLOUD,
            "The machine is gone, as somebody deletes it in the cloud's console: as VMStopped, and the"
            " InMemoryMachine's VMProvisioned is False with severity Error.",
        ),
        Effect.VM_FAILED: _machine(
            Target.CLOUD,
            "The VM fails for good: as VMDeleted, or never created, and the InMemoryMachine has the"
            " failureReason of contract v1beta1, which Cluster API 1.7 copies to its Machine and never"
            " takes back.",
        ),
        Effect.NO_CAPACITY: _machine(
            Target.CLOUD,
            "No VM is created; VMProvisioned says so. Failure domains are chosen by"
            " `machines.failureDomains`.",
        ),
        Effect.RATE_LIMITED: _machine(
            Target.CLOUD,
            "The cloud limits calls: VMs of a cluster are created one after another, `latency` apart.",
            "latency",
        ),
        Effect.OUTAGE: _machine(
            Target.CLOUD, "No VM is created: the cloud does not answer. What runs goes on to run."
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which a fault acts: from `start` until before `end`, seconds since the epoch."""

    index: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a fault acts: `times` windows of `duration_s`, one every `every_s`, from `start`."""

    start: float
    duration_s: float
    every_s: float = 0.0  #: 0: once
    times: int = 1
    period_s: float = 0.0  #: within a window it acts for half of each period; 0: all the time

    @property
    def end(self) -> float:
        """When the last window ends."""
        return self.start + (self.times - 1) * self.every_s + self.duration_s

    def window(self, now: float) -> Window | None:
        """Return the window that `now` is in, if any."""
        if not self.start <= now < self.end:
            return None
        index = int((now - self.start) // self.every_s) if self.every_s else 0
        window = self._nth(min(index, self.times - 1))
        return window if now < window.end else None

    def acting(self, now: float) -> Window | None:
        """Return the time in which it acts without a pause, if it acts now; numbered over all windows."""
        window = self.window(now)
        if window is None or not self.period_s:
            return window
        turn = int((now - window.start) // self.period_s)
        start = window.start + turn * self.period_s
        end = min(start + self.period_s / 2, window.end)
        turns = int(self.duration_s // self.period_s) + 1
        return Window(window.index * turns + turn, start, end) if now < end else None

    def next_change(self, now: float) -> float:
        """Return when it begins or stops to act next; infinity: never again."""
        if now < self.start:
            return self.start
        if now >= self.end:
            return math.inf
        if (acting := self.acting(now)) is not None:
            return acting.end
        window = self.window(now)
        if window is None:
            return self._nth(int((now - self.start) // self.every_s) + 1).start
        turn = int((now - window.start) // self.period_s) + 1
        return min(window.start + turn * self.period_s, window.end)

    def _nth(self, index: int) -> Window:
        start = self.start + index * self.every_s
        return Window(index, start, start + self.duration_s)


@dataclass(frozen=True, slots=True)
class Fault:
    """One declared fault as a worker is told it; an empty tuple of a selector selects everything."""

    uid: str
    name: str  #: `namespace/name` of the InMemoryFault
    effect: Effect
    schedule: Schedule
    seed: str  #: what chance is drawn from
    probability: float = 1.0
    verbs: tuple[str, ...] = ()
    #: `pods`, `deployments.apps`, `pods/eviction`, `pods/*`, `*`
    resources: tuple[str, ...] = ()
    user_agents: tuple[str, ...] = ()  #: patterns as of a shell: `kubectl/*`
    latency_s: float = 0.0
    jitter_s: float = 0.0
    machines: tuple[str, ...] | None = None  #: names; None: all of the cluster
    detail: str = ""  #: a taint `key=value:Effect`, or a kubelet's version
    #: (share, seconds): so much of what is befallen waits no longer than this; ascending
    curve: tuple[tuple[float, float], ...] = ()
