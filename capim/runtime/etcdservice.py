"""etcd's Cluster and Maintenance services over an `EtcdCluster`: request bytes in, response bytes out.

Faked: MemberList, MemberRemove, Status, Alarm, MoveLeader, Defragment, HashKV. Adding, updating and
promoting members is refused as unimplemented: members come and go with their machines. Every other
method (KV, Watch, Lease, Auth, Snapshot) is unknown to this server.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from capim.runtime.etcdmembers import (
    AlarmType,
    EtcdError,
    EtcdTrouble,
    Member,
    member_not_found,
)
from capim.wire import etcdrpc
from capim.wire.grpcserver import GrpcCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.runtime.etcdmembers import EtcdCluster
    from capim.wire.etcdrpc import AnyMessage

_NO_TROUBLE: Final = EtcdTrouble()
_REFUSED: Final = ("MemberAdd", "MemberUpdate", "MemberPromote")


class AlarmAction(enum.IntEnum):
    """What an alarm request wants, by etcd's numbers."""

    GET = 0
    ACTIVATE = 1
    DEACTIVATE = 2


class EtcdService:
    """Answers calls to the members of one cluster.

    A call's member is `member` when the connection itself belongs to one (a port-forward to its pod),
    else the one `:authority` names as its pod, `etcd-<node>`.
    """

    def __init__(self, etcd: EtcdCluster, *, member: str | None = None) -> None:
        self._etcd = etcd
        self._member = member

    def handle(self, authority: str, path: str, message: bytes) -> bytes:
        """Answer one call. Raises GrpcError with what etcd would answer instead."""
        member = self._resolve(authority)
        if self._etcd.trouble is not None:
            self._check_trouble(self._etcd.trouble, member, path)
        request_type, method = _METHODS[path]
        request = etcdrpc.decode(request_type, message)
        response: AnyMessage = method(self, member, request)
        data: bytes = response.SerializeToString()
        return data

    def _resolve(self, authority: str) -> Member:
        name = self._member
        if name is None:
            host, colon, port = authority.rpartition(":")
            name = host if colon and port.isdigit() else authority
        member = self._etcd.find(name.removeprefix("etcd-")) or self._etcd.find(name)
        if member is None:
            # etcd of a removed member has stopped: the code is one clients do not retry, so that
            # KubeadmControlPlane goes on to the next member at once
            raise member_not_found()
        return member

    def _check_trouble(self, trouble: EtcdTrouble, member: Member, path: str) -> None:
        """Refuse what a member that does not run, or cannot agree with the others, does not do."""
        if member.name in trouble.down:
            raise EtcdError(GrpcCode.UNAVAILABLE, f"etcd of {member.name} does not run")
        if path not in _ALONE and not self._etcd.has_quorum:
            raise EtcdError(GrpcCode.UNAVAILABLE, "etcdserver: request timed out")

    def _header(self, member: Member) -> AnyMessage:
        trouble = self._etcd.trouble
        elsewhere = trouble is not None and member.name in trouble.other_cluster
        return etcdrpc.new(
            "ResponseHeader",
            # its neighbour in numbers: another one, and the same each time
            cluster_id=self._etcd.cluster_id ^ elsewhere,
            member_id=member.id,
            revision=self._etcd.revision,
            raft_term=self._etcd.raft_term,
        )

    def _members(self, asked: Member) -> list[AnyMessage]:
        trouble = self._etcd.trouble or _NO_TROUBLE
        return [
            etcdrpc.new(
                "Member",
                ID=member.id,
                name=member.name,
                peerURLs=[member.peer_url],
                clientURLs=[member.client_url],
                isLearner=member.learner or member.name in trouble.learners,
            )
            for member in self._etcd.members()
            if member is asked or member.name not in trouble.missing
        ]

    def member_list(self, member: Member, _: AnyMessage) -> AnyMessage:
        """List the members, the longest-standing first."""
        return etcdrpc.new(
            "MemberListResponse", header=self._header(member), members=self._members(member)
        )

    def member_remove(self, member: Member, request: AnyMessage) -> AnyMessage:
        """Remove a member; it may be the one that answers, but not the last voter."""
        voters = [each.id for each in self._etcd.members() if not each.learner]
        if voters == [request.ID]:
            text = "etcdserver: re-configuration failed due to not enough started members"
            raise EtcdError(GrpcCode.FAILED_PRECONDITION, text)
        self._etcd.remove(request.ID)
        return etcdrpc.new(
            "MemberRemoveResponse", header=self._header(member), members=self._members(member)
        )

    def refuse(self, _member: Member, _: AnyMessage) -> AnyMessage:
        """Refuse what the simulator decides on its own."""
        raise EtcdError(
            GrpcCode.UNIMPLEMENTED, "members of this etcd come and go with their machines"
        )

    def status(self, member: Member, _: AnyMessage) -> AnyMessage:
        """Show the member's own view."""
        status = self._etcd.status(member)
        return etcdrpc.new(
            "StatusResponse",
            header=self._header(member),
            version=member.version,
            dbSize=status.db_size,
            dbSizeInUse=status.db_size_in_use,
            dbSizeQuota=status.db_size_quota,
            leader=status.leader_id,
            raftIndex=status.raft_index,
            raftAppliedIndex=status.raft_index,
            raftTerm=status.raft_term,
            errors=status.errors,
            isLearner=member.learner or member.name in (self._etcd.trouble or _NO_TROUBLE).learners,
            storageVersion=f"{'.'.join(member.version.split('.')[:2])}.0",
        )

    def alarm(self, member: Member, request: AnyMessage) -> AnyMessage:
        """List, raise or clear alarms; member 0 and type NONE stand for all."""
        try:
            kind = AlarmType(request.alarm)
        except ValueError as error:
            raise EtcdError(GrpcCode.INVALID_ARGUMENT, "etcdserver: unknown alarm") from error
        match request.action:
            case AlarmAction.GET:
                listed = self._matching(request.memberID, kind)
            case AlarmAction.ACTIVATE:
                self._etcd.raise_alarm(request.memberID or member.id, kind)
                listed = [(request.memberID or member.id, kind)]
            case AlarmAction.DEACTIVATE:
                listed = self._matching(request.memberID, kind)
                for alarm in listed:
                    self._etcd.clear_alarm(*alarm)
            case _:
                listed = []  # as etcd: an unknown action does nothing
        alarms = [
            etcdrpc.new("AlarmMember", memberID=member_id, alarm=int(alarm))
            for member_id, alarm in listed
        ]
        return etcdrpc.new("AlarmResponse", header=self._header(member), alarms=alarms)

    def _matching(self, member_id: int, kind: AlarmType) -> list[tuple[int, AlarmType]]:
        return [
            alarm
            for alarm in self._etcd.alarms
            if member_id in {0, alarm[0]} and kind in {AlarmType.NONE, alarm[1]}
        ]

    def move_leader(self, member: Member, request: AnyMessage) -> AnyMessage:
        """Hand leadership over; only the leader can."""
        if member.id != self._etcd.leader_id:
            raise EtcdError(GrpcCode.FAILED_PRECONDITION, "etcdserver: not leader")
        self._etcd.move_leader(request.targetID)
        return etcdrpc.new("MoveLeaderResponse", header=self._header(member))

    def defragment(self, member: Member, _: AnyMessage) -> AnyMessage:
        """Do nothing, successfully: there is no file to make smaller."""
        return etcdrpc.new("DefragmentResponse", header=self._header(member))

    def hash_kv(self, member: Member, _: AnyMessage) -> AnyMessage:
        """Agree with every other member at the same revision."""
        revision = self._etcd.revision
        return etcdrpc.new(
            "HashKVResponse",
            header=self._header(member),
            hash=revision & 0xFFFF_FFFF,
            hash_revision=revision,
        )


_METHODS: Final[dict[str, tuple[str, Callable[[EtcdService, Member, AnyMessage], AnyMessage]]]] = {
    etcdrpc.method("Cluster", "MemberList"): ("MemberListRequest", EtcdService.member_list),
    etcdrpc.method("Cluster", "MemberRemove"): ("MemberRemoveRequest", EtcdService.member_remove),
    **{etcdrpc.method("Cluster", name): ("StatusRequest", EtcdService.refuse) for name in _REFUSED},
    etcdrpc.method("Maintenance", "Status"): ("StatusRequest", EtcdService.status),
    etcdrpc.method("Maintenance", "Alarm"): ("AlarmRequest", EtcdService.alarm),
    etcdrpc.method("Maintenance", "MoveLeader"): ("MoveLeaderRequest", EtcdService.move_leader),
    etcdrpc.method("Maintenance", "Defragment"): ("DefragmentRequest", EtcdService.defragment),
    etcdrpc.method("Maintenance", "HashKV"): ("HashKVRequest", EtcdService.hash_kv),
}

#: answered by a member without asking the others
_ALONE: Final = frozenset(
    etcdrpc.method("Maintenance", name) for name in ("Status", "Defragment", "HashKV")
)
#: paths of the methods this service knows
METHODS: Final = frozenset(_METHODS)
