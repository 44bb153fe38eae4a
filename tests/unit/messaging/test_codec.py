"""In scope: every message survives the way through bytes; foreign bytes are refused, not guessed at."""

from __future__ import annotations

import msgpack
import pytest

from capim.api.faults import Effect, Fault, Schedule
from capim.api.gvk import NamespacedName
from capim.api.workload import (
    ClusterSpec,
    KeyPair,
    ListenerState,
    ListenerStatus,
    MachineProgress,
    MachineSpec,
    Phase,
    Startup,
)
from capim.messaging import envelope as m
from capim.messaging.codec import CodecError, Message, decode, encode
from capim.messaging.order import Place

KEY = NamespacedName("default", "c1")
CLUSTER = ClusterSpec(KEY, "u1", "127.0.0.1", 20000, "127.0.0.1:20000", ca=KeyPair(b"crt", b"key"))
MACHINE = MachineSpec(
    KEY,
    "m1",
    "u2",
    control_plane=True,
    version="v1.29.0",
    provider_id="in-memory://m1",
    startup={Phase.VM: Startup(10.0, 0.2)},
    done={Phase.VM: 12.5},
)
PROGRESS = MachineProgress(
    KEY, "m1", "u2", 1.5, {Phase.NODE: 3.0}, {}, (("InternalIP", "10.0.0.1"),)
)
LISTENER = ListenerStatus(KEY, "u1", 20000, ListenerState.OPEN)
FAULT = Fault(
    "u3",
    "default/slow",
    Effect.LATENCY,
    Schedule(1.0, 60.0),
    "7",
    verbs=("get",),
    curve=((0.5, 0.1), (1.0, 2.0)),
)

MESSAGES: list[Message] = [
    m.Welcome(3, "installation", 60.0, ("worker-0",)),
    m.EnsureCluster(3, CLUSTER),
    m.EnsureMachine(3, MACHINE),
    m.RemoveMachine(3, KEY, "m1", "u2"),
    m.RemoveCluster(3, KEY, "u1"),
    m.SetFaults(3, KEY, (FAULT,)),
    m.Sync(3, (CLUSTER,), (MACHINE,), 4, ("u1", "u2"), True, ("u2",), ((KEY, (FAULT,)),)),
    m.Ping(3),
    m.Query(3, 7, "metrics"),
    m.GiveAway(3, KEY, "u1"),
    m.TakeOver(3, CLUSTER, (MACHINE,), b"state"),
    m.Stop(3),
    m.Register("worker-0", "life", 42, clusters=(KEY,)),
    m.Pong("worker-0", "life"),
    m.ListenerChanged("worker-0", "life", LISTENER),
    m.MachineProgressed("worker-0", "life", PROGRESS),
    m.MachineGone("worker-0", "life", KEY, "m1", "u2"),
    m.ClusterGone("worker-0", "life", KEY, "u1"),
    m.JournalsDamaged("worker-0", "life", ((KEY, "u1", "frame 7 is missing"),)),
    m.FaultsActed("worker-0", "life", KEY, (("u3", 12),)),
    m.Synced("worker-0", "life", 3),
    m.Answer("worker-0", "life", 7, b"body"),
    m.Given("worker-0", "life", KEY, "u1", b"state", "too large"),
    m.Taken("worker-0", "life", KEY, "u1"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_message_survives_the_way_through_bytes(message: Message) -> None:
    assert decode(encode(message, Place(2, 5))) == (message, Place(2, 5))


def test_every_message_type_has_a_row() -> None:
    declared = {kind.__name__ for kind in m.Command.__args__ + m.Report.__args__}
    assert {type(message).__name__ for message in MESSAGES} == declared


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        pytest.param(b"\xc1", "not a message", id="not-msgpack"),
        pytest.param(msgpack.packb(7), "not a message", id="not-an-array"),
        pytest.param(msgpack.packb([0, 0, 0, "Ping", 1]), "version 0", id="older-version"),
        pytest.param(msgpack.packb([m.VERSION, 1, "0", "Ping", 1]), "no integers", id="number"),
        pytest.param(
            msgpack.packb([m.VERSION, 1, 0, "Pang", 1]), "unknown message type 'Pang'", id="type"
        ),
        pytest.param(
            msgpack.packb([m.VERSION, 1, 0, "Ping", "x"]), "bad Ping", id="wrong-field-type"
        ),
        pytest.param(
            msgpack.packb([m.VERSION, 1, 0, "Ping", True]), "bad Ping", id="bool-is-no-int"
        ),
        pytest.param(msgpack.packb([m.VERSION, 1, 0, "Ping"]), "bad Ping", id="missing-field"),
        pytest.param(msgpack.packb([m.VERSION, 1, 0, "Ping", 1, 2]), "bad Ping", id="extra-field"),
    ],
)
def test_foreign_bytes_are_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(CodecError, match=complaint):
        decode(data)
