"""The membership of a workload cluster's fake etcd: who is in, who leads, which alarms are raised.

Invariants: while there is a voting member there is a leader, and it is a voting member; a member's ID
comes from its machine's uid alone, so a cluster built again has the same IDs.
There is no raft here: every change is applied at once. What is declared to be wrong is laid over it
(`EtcdTrouble`) and changes nothing of it, but who leads.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from capim.wire.grpcserver import GrpcCode, GrpcError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: what a small kubeadm cluster's etcd shows
_DB_SIZE_BYTES: Final = 4_500_000
_DB_SIZE_IN_USE_BYTES: Final = 2_000_000
_QUOTA_BYTES: Final = 2_147_483_648
_DEFAULT_VERSION: Final = "3.5.15"


class EtcdError(GrpcError):
    """What etcd answers instead of a result; texts as in etcd's rpctypes, clients compare them."""


class AlarmType(enum.IntEnum):
    """Alarms, by etcd's numbers."""

    NONE = 0
    NOSPACE = 1
    CORRUPT = 2


@dataclass(frozen=True, slots=True)
class Member:
    """One member. Its name is its Node's name, as kubeadm has it."""

    id: int
    name: str
    version: str = _DEFAULT_VERSION  #: of etcd, `3.5.15`
    address: str = "127.0.0.1"
    learner: bool = False

    @property
    def peer_url(self) -> str:
        """Where other members would reach it."""
        return f"https://{_host(self.address)}:2380"

    @property
    def client_url(self) -> str:
        """Where clients would reach it."""
        return f"https://{_host(self.address)}:2379"


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """One member's view, as Maintenance.Status shows it. Sizes in bytes."""

    member: Member
    leader_id: int
    raft_term: int
    raft_index: int
    errors: tuple[str, ...]
    db_size: int = _DB_SIZE_BYTES
    db_size_in_use: int = _DB_SIZE_IN_USE_BYTES
    db_size_quota: int = _QUOTA_BYTES


def identity(uid: str, purpose: str) -> int:
    """Return the non-zero uint64 that stands for `uid`: always the same one."""
    digest = hashlib.sha256(f"{purpose}/{uid}".encode()).digest()
    return int.from_bytes(digest[:8]) or 1


def member_not_found() -> EtcdError:
    """The member is not in the cluster (any more)."""
    return EtcdError(GrpcCode.NOT_FOUND, "etcdserver: member not found")


@dataclass(slots=True)
class EtcdTrouble:
    """What is wrong with a cluster's etcd, by the names of members."""

    down: set[str] = field(default_factory=set)  #: do not run
    other_cluster: set[str] = field(default_factory=set)  #: say they are of another one
    missing: set[str] = field(default_factory=set)  #: not in the others' lists
    learners: set[str] = field(default_factory=set)  #: say they have no vote
    alarms: dict[str, set[AlarmType]] = field(default_factory=dict)
    slow: dict[str, float] = field(default_factory=dict)  #: answer so many seconds later
    no_leader: bool = False  #: quorum is lost


class EtcdCluster:
    """The members of one cluster, in the order they joined. One loop, no lock.

    `revision` gives the store's revision for headers; Kubernetes' resource versions are etcd's
    revisions, so the resource group's counter is the natural one.
    """

    def __init__(self, cluster_id: int, *, revision: Callable[[], int] = lambda: 1) -> None:
        self.cluster_id = cluster_id
        self.leader_id = 0  #: 0: no leader
        self.raft_term = 2  # what a freshly formed etcd shows after its first election
        self._revision = revision
        self._changes = 0
        self._members: dict[int, Member] = {}
        self._alarms: set[tuple[int, AlarmType]] = set()
        #: called with the member that leads from now on
        self.on_leader: Callable[[Member], None] = lambda member: None
        #: called with the member that has left
        self.on_removed: Callable[[Member], None] = lambda member: None
        self.edition = 0  #: grows with every change of anything here
        self.trouble: EtcdTrouble | None = None  #: None: nothing is wrong

    @property
    def revision(self) -> int:
        """The store's revision."""
        return self._revision()

    @property
    def raft_index(self) -> int:
        """The log's committed index: one entry a write, and one a change of membership."""
        return self.revision + self._changes

    @property
    def changes(self) -> int:
        """How often the membership has changed."""
        return self._changes

    @property
    def raised(self) -> list[tuple[int, AlarmType]]:
        """Alarms that were raised here, without those that are declared."""
        return sorted(self._alarms)

    @property
    def alarms(self) -> list[tuple[int, AlarmType]]:
        """Raised alarms as (member ID, type), sorted."""
        if self.trouble is None:
            return sorted(self._alarms)
        found = ((self.find(name), kinds) for name, kinds in self.trouble.alarms.items())
        declared = {(one.id, kind) for one, kinds in found if one is not None for kind in kinds}
        return sorted(self._alarms | declared)

    @property
    def has_quorum(self) -> bool:
        """Whether anything can be written: most of the voters run, and no fault says otherwise."""
        trouble = self.trouble
        if trouble is None:
            return True
        voters = [member.name for member in self._members.values() if not member.learner]
        running = [name for name in voters if name not in trouble.down]
        return not trouble.no_leader and 2 * len(running) > len(voters)

    def step_down(self, name: str) -> None:
        """Let another member that runs lead, if there is one and this one does."""
        down = self.trouble.down if self.trouble is not None else set()
        others = [
            member.id
            for member in self._members.values()
            if not member.learner and member.name != name and member.name not in down
        ]
        leader = self._members.get(self.leader_id)
        if leader is not None and leader.name == name and others:
            self._lead(others[0])

    def members(self) -> list[Member]:
        """Return the members, the longest-standing first."""
        return list(self._members.values())

    def find(self, name: str) -> Member | None:
        """Return the member of this name (the Node's), or None."""
        return next((member for member in self._members.values() if member.name == name), None)

    def add(
        self,
        name: str,
        member_id: int,
        *,
        version: str = _DEFAULT_VERSION,
        address: str = "127.0.0.1",
        learner: bool = False,
    ) -> Member:
        """Let a member join; the first one leads.

        Raises:
            EtcdError: the ID is taken (FAILED_PRECONDITION).
        """
        if member_id in self._members:
            raise EtcdError(GrpcCode.FAILED_PRECONDITION, "etcdserver: member ID already exist")
        member = Member(member_id, name, version, address, learner)
        self._members[member_id] = member
        self._changes += 1
        self.edition += 1
        self._elect()
        return member

    def remove(self, member_id: int) -> None:
        """Let a member leave; when it led, the longest-standing voter takes over.

        Raises:
            EtcdError: there is no such member (NOT_FOUND).
        """
        member = self._members.pop(member_id, None)
        if member is None:
            raise member_not_found()
        self.on_removed(member)
        self._alarms = {alarm for alarm in self._alarms if alarm[0] != member_id}
        self._changes += 1
        self.edition += 1
        self._elect()

    def move_leader(self, target: int) -> None:
        """Hand leadership to a voting member.

        Raises:
            EtcdError: the target is no voting member (FAILED_PRECONDITION).
        """
        member = self._members.get(target)
        if member is None or member.learner:
            raise EtcdError(GrpcCode.FAILED_PRECONDITION, "etcdserver: bad leader transferee")
        self._lead(target)

    def raise_alarm(self, member_id: int, alarm: AlarmType) -> None:
        """Raise an alarm for a member; raising it again changes nothing."""
        if member_id not in self._members:
            raise member_not_found()
        self._alarms.add((member_id, alarm))
        self.edition += 1

    def clear_alarm(self, member_id: int, alarm: AlarmType) -> None:
        """Clear an alarm; clearing one that is not raised changes nothing."""
        self._alarms.discard((member_id, alarm))
        self.edition += 1

    def restore(
        self,
        members: Iterable[Member],
        *,
        leader_id: int,
        raft_term: int,
        changes: int,
        alarms: set[tuple[int, AlarmType]],
    ) -> None:
        """Become what an earlier life was; `members` with the longest-standing first."""
        self._members = {member.id: member for member in members}
        self.leader_id, self.raft_term = leader_id, raft_term
        self._changes, self._alarms = changes, alarms
        self.edition += 1

    def status(self, member: Member) -> MemberStatus:
        """Return what this member says of itself and of the cluster."""
        errors = [f"memberID:{member_id} alarm:{alarm.name} " for member_id, alarm in self.alarms]
        leader_id = self.leader_id if self.has_quorum else 0
        if leader_id == 0:
            errors.insert(0, "etcdserver: no leader")
        return MemberStatus(member, leader_id, self.raft_term, self.raft_index, tuple(errors))

    def _elect(self) -> None:
        if self.leader_id in self._members:
            return
        voters = [member.id for member in self._members.values() if not member.learner]
        if not voters:
            self.leader_id = 0
        elif self._changes == 1:
            self.leader_id = voters[
                0
            ]  # the cluster forms: the term is already that of its first election
        else:
            self._lead(voters[0])

    def _lead(self, member_id: int) -> None:
        if self.leader_id != member_id:
            self.leader_id = member_id
            self.raft_term += 1
            self.on_leader(self._members[member_id])
            self.edition += 1


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
