"""Membership rules: identities, leadership, alarms, and etcd's own error texts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capim.runtime.etcdmembers import AlarmType, EtcdCluster, EtcdError, identity
from capim.runtime.etcdservice import EtcdService
from capim.wire import etcdrpc
from capim.wire.grpcserver import GrpcCode, GrpcError


def cluster(*names: str) -> EtcdCluster:
    etcd = EtcdCluster(7, revision=lambda: 100)
    for number, name in enumerate(names, start=1):
        etcd.add(name, number)
    return etcd


def call(
    etcd: EtcdCluster, method: str, request: str, /, member: str = "a", **fields: Any
) -> etcdrpc.AnyMessage:
    service, _, name = method.partition(".")
    message = etcdrpc.new(request, **fields).SerializeToString()
    path = etcdrpc.method(service, name)
    reply = EtcdService(etcd).handle(f"etcd-{member}:2379", path, message)
    return etcdrpc.decode(f"{name}Response", reply)


def test_identities_never_change() -> None:
    # golden: a cluster that a later release builds again must come out with these
    assert identity("11111111-2222-3333-4444-555555555555", "member") == 0xB08486EF518A2601
    assert identity("a", "member") != identity("a", "cluster")
    assert 0 < identity("", "member") < 2**64


def test_first_member_leads_and_joining_changes_nothing() -> None:
    etcd = cluster("a", "b", "c")
    assert (etcd.leader_id, etcd.raft_term) == (1, 2)


def test_leadership_moves_when_the_leader_goes() -> None:
    etcd = cluster("a", "b", "c")
    etcd.remove(1)
    assert (etcd.leader_id, etcd.raft_term) == (2, 3)
    etcd.remove(3)
    assert (etcd.leader_id, etcd.raft_term) == (2, 3)
    etcd.remove(2)
    assert etcd.leader_id == 0
    assert etcd.members() == []


@given(st.lists(st.tuples(st.sampled_from(["add", "learn", "remove", "lead"]), st.integers(1, 5))))
def test_a_voter_leads_whenever_there_is_one(steps: list[tuple[str, int]]) -> None:
    etcd, terms = EtcdCluster(7), [2]
    for step, member_id in steps:
        try:
            match step:
                case "add" | "learn":
                    etcd.add(f"node-{member_id}", member_id, learner=step == "learn")
                case "remove":
                    etcd.remove(member_id)
                case _:
                    etcd.move_leader(member_id)
        except EtcdError:
            pass
        voters = {member.id for member in etcd.members() if not member.learner}
        assert etcd.leader_id in (voters or {0})
        terms.append(etcd.raft_term)
    assert terms == sorted(terms)


def test_learner_never_leads() -> None:
    etcd = EtcdCluster(7)
    etcd.add("learner", 1, learner=True)
    assert etcd.leader_id == 0
    assert etcd.status(etcd.members()[0]).errors == ("etcdserver: no leader",)
    etcd.add("voter", 2)
    assert etcd.leader_id == 2
    with pytest.raises(EtcdError, match="bad leader transferee"):
        etcd.move_leader(1)


def test_move_leader_raises_the_term() -> None:
    etcd = cluster("a", "b")
    etcd.move_leader(2)
    etcd.move_leader(2)
    assert (etcd.leader_id, etcd.raft_term) == (2, 3)


def test_same_member_joins_once() -> None:
    with pytest.raises(EtcdError, match="member ID already exist") as error:
        cluster("a").add("b", 1)
    assert error.value.code is GrpcCode.FAILED_PRECONDITION


def test_alarms_show_in_every_members_status_and_go_with_their_member() -> None:
    etcd = cluster("a", "b")
    etcd.raise_alarm(2, AlarmType.NOSPACE)
    etcd.raise_alarm(2, AlarmType.NOSPACE)
    assert etcd.status(etcd.members()[0]).errors == ("memberID:2 alarm:NOSPACE ",)
    etcd.remove(2)
    assert etcd.alarms == []
    with pytest.raises(EtcdError, match="etcdserver: member not found"):
        etcd.raise_alarm(2, AlarmType.CORRUPT)


def test_member_list_has_header_and_urls() -> None:
    reply = call(cluster("a", "b"), "Cluster.MemberList", "MemberListRequest", member="b")
    assert (reply.header.cluster_id, reply.header.member_id, reply.header.revision) == (7, 2, 100)
    assert [(m.ID, m.name, list(m.clientURLs)) for m in reply.members] == [
        (1, "a", ["https://127.0.0.1:2379"]),
        (2, "b", ["https://127.0.0.1:2379"]),
    ]


def test_status_is_the_members_own() -> None:
    etcd = EtcdCluster(7, revision=lambda: 100)
    etcd.add("a", 1, version="3.6.4")
    reply = call(etcd, "Maintenance.Status", "StatusRequest")
    assert (reply.version, reply.storageVersion, reply.leader) == ("3.6.4", "3.6.0", 1)
    assert (reply.raftIndex, reply.raftAppliedIndex, list(reply.errors)) == (101, 101, [])


@pytest.mark.parametrize(
    ("member", "method", "request_type", "fields", "code", "message"),
    [
        pytest.param(
            "gone", "Maintenance.Status", "StatusRequest", {},
            GrpcCode.NOT_FOUND, "etcdserver: member not found", id="removed-member-answers-no-more",
        ),
        pytest.param(
            "a", "Cluster.MemberRemove", "MemberRemoveRequest", {"ID": 99},
            GrpcCode.NOT_FOUND, "etcdserver: member not found", id="remove-twice",
        ),
        pytest.param(
            "b", "Maintenance.MoveLeader", "MoveLeaderRequest", {"targetID": 2},
            GrpcCode.FAILED_PRECONDITION, "etcdserver: not leader", id="follower-moves-nothing",
        ),
        pytest.param(
            "a", "Cluster.MemberAdd", "StatusRequest", {},
            GrpcCode.UNIMPLEMENTED, "members of this etcd come and go with their machines",
            id="member-add",
        ),
        pytest.param(
            "a", "Maintenance.Alarm", "AlarmRequest", {"alarm": 9},
            GrpcCode.INVALID_ARGUMENT, "etcdserver: unknown alarm", id="unknown-alarm",
        ),
    ],
)  # fmt: skip
def test_refusals_are_etcds(
    member: str,
    method: str,
    request_type: str,
    fields: dict[str, Any],
    code: GrpcCode,
    message: str,
) -> None:
    with pytest.raises(EtcdError) as error:
        call(cluster("a", "b"), method, request_type, member=member, **fields)
    assert (error.value.code, error.value.message) == (code, message)


def test_alarms_are_raised_listed_and_cleared_over_the_wire() -> None:
    etcd = cluster("a", "b")

    def alarms(**fields: Any) -> list[tuple[int, int]]:
        reply = call(etcd, "Maintenance.Alarm", "AlarmRequest", **fields)
        return [(alarm.memberID, alarm.alarm) for alarm in reply.alarms]

    assert alarms() == []
    assert alarms(action=1, memberID=2, alarm=1) == [(2, 1)]
    assert alarms(action=1, alarm=2) == [(1, 2)]
    assert alarms() == [(1, 2), (2, 1)]
    assert alarms(action=2, alarm=1) == [(2, 1)]
    assert alarms(action=5) == []
    assert etcd.alarms == [(1, AlarmType.CORRUPT)]


def test_last_voter_cannot_be_removed_by_a_client() -> None:
    etcd = cluster("a", "b")
    call(etcd, "Cluster.MemberRemove", "MemberRemoveRequest", ID=1, member="b")
    with pytest.raises(EtcdError, match="not enough started members"):
        call(etcd, "Cluster.MemberRemove", "MemberRemoveRequest", ID=2, member="b")
    assert etcd.leader_id == 2


def test_members_agree_on_the_hash() -> None:
    etcd = cluster("a", "b")
    first = call(etcd, "Maintenance.HashKV", "HashKVRequest", "a")
    second = call(etcd, "Maintenance.HashKV", "HashKVRequest", "b")
    assert (first.hash, first.hash_revision) == (second.hash, second.hash_revision)


def test_connection_of_a_member_ignores_the_authority() -> None:
    path = etcdrpc.method("Maintenance", "Status")
    reply = EtcdService(cluster("a", "b"), member="b").handle("127.0.0.1:2379", path, b"")
    status = etcdrpc.decode("StatusResponse", reply)
    assert status.header.member_id == 2


def test_request_that_is_no_protobuf_is_refused() -> None:
    with pytest.raises(GrpcError, match="error unmarshalling request"):
        EtcdService(cluster("a")).handle(
            "etcd-a", etcdrpc.method("Cluster", "MemberRemove"), b"\xff"
        )
