"""The sockets between coordinator and workers: ROUTER at the coordinator, DEALER at a worker.

On one host they meet at a Unix socket in a private folder. Over TCP both sides prove who they are by
CURVE keys: whoever has none of the keys that the coordinator knows is refused in the handshake, and a
worker cannot speak under another's name.

Sends never wait: what cannot go now is refused with an error and the owner brings the peer up to date
by a whole `Sync` later, which is why no queue here has to be unbounded. What was lost on its way is told
to the owner as well (`order`). Receives are callbacks on the event loop, driven by the socket's own file
descriptor.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import zmq
from zmq.utils import z85

from capim.messaging.codec import CodecError, Message, decode, encode
from capim.messaging.order import Incoming, Outgoing, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from capim.messaging.keys import CurvePair

_log = structlog.get_logger(__name__)

#: Messages a peer may lag behind before sends to it are refused. A shard of 10 000 machines reports in
#: bursts of about as many; one message is some hundred bytes.
HIGH_WATER_MARK = 20_000

#: sockaddr_un.sun_path on Linux, less the terminating zero.
_LONGEST_IPC_PATH = 107

#: How many messages one wake-up handles before other tasks get their turn.
_BATCH = 200


class PeerGoneError(Exception):
    """There is no connection to this peer now."""


class PeerBusyError(Exception):
    """The peer does not take messages as fast as they are made; its queue is full."""


def ipc_address(folder: Path) -> str:
    """Return the address of the coordinator's socket in a private folder, which is made if absent.

    Raises:
        ValueError: the path is too long for a Unix socket, or the folder belongs to another user.
    """
    path = folder / "coordinator.sock"
    if len(os.fsencode(path)) > _LONGEST_IPC_PATH:
        raise ValueError(
            f"--runtime-dir {folder} is too long for a Unix socket: choose a path of at most "
            f"{_LONGEST_IPC_PATH - len('/coordinator.sock')} bytes"
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise ValueError(
            f"--runtime-dir {folder} belongs to another user: choose a folder of yours"
        )
    folder.chmod(0o700)
    return f"ipc://{path}"


class _Endpoint:
    """One ZeroMQ socket on the running event loop."""

    def __init__(self, kind: int) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self._socket: zmq.Socket[bytes] = context.socket(kind)
        self._socket.linger = 500  # ms: a last `Stop` may still leave; nothing else waits for it
        self._socket.sndhwm = self._socket.rcvhwm = HIGH_WATER_MARK
        self._loop = asyncio.get_running_loop()
        self._drain_soon: asyncio.Handle | None = None

    def _listen(self) -> None:
        self._loop.add_reader(self._socket.fileno(), self._drain)
        self._schedule_drain()

    def _schedule_drain(self) -> None:
        # ZeroMQ's descriptor is edge-triggered: a send may swallow the edge of a message that came in.
        if self._drain_soon is None:
            self._drain_soon = self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        self._drain_soon = None
        for _ in range(_BATCH):
            if self._socket.closed or not self._socket.poll(0, zmq.POLLIN):
                return
            self._received(self._socket.recv_multipart(zmq.NOBLOCK, copy=False))
        self._schedule_drain()

    def _received(self, frames: list[zmq.Frame]) -> None:
        raise NotImplementedError

    def _transmit(self, frames: list[bytes]) -> None:
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again as error:
            raise PeerBusyError from error
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                raise PeerGoneError from error
            raise
        self._schedule_drain()

    def close(self) -> None:
        """Close the socket; messages on their way have half a second to leave."""
        if not self._socket.closed:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()


class _Gate(_Endpoint):
    """Answers ZeroMQ's question, in every handshake of this process, whether a public key is known.

    The protocol is ZAP (ZeroMQ RFC 27). The pyzmq authenticator for asyncio never hears the question:
    it waits for its socket's descriptor, which is edge-triggered, without looking first.
    """

    def __init__(self, admitted: Mapping[str, bytes]) -> None:
        super().__init__(zmq.REP)
        self._names = {z85.decode(key): name for name, key in admitted.items()}
        self._socket.bind("inproc://zeromq.zap.01")
        self._listen()

    def _received(self, frames: list[zmq.Frame]) -> None:
        version, request, _, address, _, mechanism, key = (frame.bytes for frame in frames[:7])
        name = self._names.get(key, "") if mechanism == b"CURVE" else ""
        if not name:
            _log.warning("worker refused: its key is not known", address=address.decode())
        verdict = (b"200", b"OK") if name else (b"400", b"unknown key")
        self._transmit([version, request, *verdict, name.encode(), b""])


class _Peer:
    """The two directions of what is said with one peer. One loop, no lock."""

    def __init__(self) -> None:
        self._outgoing = Outgoing()
        self._incoming = Incoming()

    def say(self, message: Message, transmit: Callable[[bytes], None]) -> None:
        """Send a message; one that `transmit` refuses, by an error, was never said."""
        place = self._outgoing.place(message)
        transmit(encode(message, place))
        self._outgoing.sent(place)

    def hear(
        self, data: bytes, on_message: Callable[[Message], None], on_gap: Callable[[], None]
    ) -> None:
        """Pass on what comes in its turn, and tell of what was lost before it.

        Raises:
            CodecError: it is no message.
        """
        message, place = decode(data)
        verdict = self._incoming.take(message, place)
        if verdict is not Verdict.LATE:
            on_message(message)
        if verdict is Verdict.GAP:
            on_gap()


class CoordinatorSocket(_Endpoint):
    """The ROUTER: binds, knows workers by their identity.

    With `keys` it takes connections of `admitted` alone: public keys by worker.
    """

    def __init__(
        self,
        address: str,
        on_message: Callable[[str, Message], None],
        *,
        on_gap: Callable[[str], None],
        keys: CurvePair | None = None,
        admitted: Mapping[str, bytes] | None = None,
    ) -> None:
        super().__init__(zmq.ROUTER)
        self._address = address
        self._on_message = on_message
        self._on_gap = on_gap
        self._peers: defaultdict[str, _Peer] = defaultdict(_Peer)
        self._gate: _Gate | None = None
        if keys is not None:
            self._demand_keys(keys, admitted or {})
        # A restarted worker takes its identity over at once; a send to nobody is an error, not a loss.
        self._socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            self._leave()
            raise ValueError(f"{address} cannot be bound: {error}") from error
        self._listen()

    def _demand_keys(self, keys: CurvePair, admitted: Mapping[str, bytes]) -> None:
        self._gate = _Gate(admitted)
        self._socket.curve_server = True
        self._socket.curve_publickey, self._socket.curve_secretkey = keys.public, keys.secret
        self._socket.zap_domain = b"workers"

    def send(self, worker: str, message: Message) -> None:
        """Send to one worker.

        Raises:
            PeerGoneError: no worker of this name is connected.
            PeerBusyError: its queue is full.
        """
        self._peers[worker].say(message, lambda data: self._transmit([worker.encode(), data]))

    def close(self) -> None:
        """Close the socket; messages on their way have half a second to leave."""
        super().close()
        self._leave()
        if self._address.startswith("ipc://"):  # ZeroMQ would, when its own thread gets to it
            Path(self._address.removeprefix("ipc://")).unlink(missing_ok=True)

    def _leave(self) -> None:
        self._socket.close()
        if self._gate is not None:
            self._gate.close()

    def _received(self, frames: list[zmq.Frame]) -> None:
        identity = frames[0].bytes.decode(errors="replace")
        if self._gate is not None and frames[-1].get("User-Id") != identity:
            _log.warning("message refused: the sender has another worker's name", worker=identity)
            return
        try:
            self._peers[identity].hear(
                frames[-1].bytes,
                lambda message: self._on_message(identity, message),
                lambda: self._on_gap(identity),
            )
        except CodecError as error:
            _log.warning("message refused", worker=identity, error=str(error))


class WorkerSocket(_Endpoint):
    """The DEALER: connects, reconnects by itself, and drops nothing silently.

    With `keys` it speaks to nobody but the holder of the secret to `coordinator`, a public key.
    """

    def __init__(
        self,
        address: str,
        name: str,
        on_message: Callable[[Message], None],
        *,
        on_gap: Callable[[], None],
        keys: CurvePair | None = None,
        coordinator: bytes = b"",
    ) -> None:
        super().__init__(zmq.DEALER)
        self._on_message = on_message
        self._on_gap = on_gap
        self._peer = _Peer()
        self._socket.routing_id = name.encode()
        if keys is not None:
            self._socket.curve_publickey, self._socket.curve_secretkey = keys.public, keys.secret
            self._socket.curve_serverkey = coordinator
        # Queue only for a live connection: what a dead coordinator missed, the next learns by Sync.
        self._socket.immediate = 1
        self._socket.reconnect_ivl = 100  # ms
        self._socket.reconnect_ivl_max = 1000
        self._socket.connect(address)
        self._listen()

    def send(self, message: Message) -> None:
        """Send to the coordinator.

        Raises:
            PeerBusyError: not connected, or the queue is full.
        """
        self._peer.say(message, lambda data: self._transmit([data]))

    def _received(self, frames: list[zmq.Frame]) -> None:
        try:
            self._peer.hear(frames[-1].bytes, self._on_message, self._on_gap)
        except CodecError as error:
            _log.warning("message refused", error=str(error))
