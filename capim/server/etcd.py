"""The fake etcd on a connection: asyncio's shell over the sans-IO gRPC server.

Works on any transport that delivers decrypted bytes: a TLS socket of the listener, or TLS inside a
port-forward's tunnel. One loop, no lock.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final, cast

import structlog

from capim.runtime import etcdservice
from capim.runtime.etcdservice import EtcdService
from capim.server.shares import LATE_BYTES, Pace
from capim.wire.grpcserver import GrpcCode, GrpcConnection, GrpcError

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.runtime.etcdmembers import EtcdCluster, EtcdTrouble
    from capim.server.shares import Share

#: input of one step, where there is a share of the loop: h2 takes 15 us for every frame
_SLICE_BYTES: Final = 1 << 10
#: who stands in line: all clients of etcd have certificates of its authority
_CLIENT: Final = "etcd"

_log = structlog.get_logger(__name__)


class EtcdProtocol(asyncio.Protocol):
    """One client connection to one cluster's etcd.

    Args:
        etcd: the membership that answers.
        observe: called after each call with the gRPC method's name (`Status`) and its duration in
            seconds; feeds `capim_etcd_request_duration_seconds`.
        member: name of the Node whose etcd this connection reached (a port-forward names its pod);
            None: `:authority` names it.
        share: of the loop; None: input is taken whole, at once.
    """

    def __init__(
        self,
        etcd: EtcdCluster,
        observe: Callable[[str, float], None] | None = None,
        *,
        member: str | None = None,
        share: Share | None = None,
    ) -> None:
        self._etcd = etcd
        self._member = member
        self._late: deque[bytes] = deque()  #: held back by a fault
        self._service = EtcdService(etcd, member=member)
        self._observe = observe
        self._grpc = GrpcConnection(self._handle, methods=etcdservice.METHODS)
        self._transport: asyncio.Transport | None = None
        self._pace = None if share is None else Pace(share, _CLIENT, self._step)
        self._write_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport and send our settings."""
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Answer what this piece completes: at once, or when the cluster's turn comes."""
        pace = self._pace
        if pace is None:
            self._take(data)
        elif pace.share.resting or self._write_paused or pace.late or len(data) > _SLICE_BYTES:
            pace.keep(data)
            if pace.late > LATE_BYTES and self._transport is not None:
                self._transport.pause_reading()
        else:
            started = time.perf_counter()
            self._take(data)
            pace.charge(time.perf_counter() - started)

    def _take(self, data: bytes) -> None:
        if self._transport is None:
            return
        self._grpc.receive_data(data)
        self._send()

    def _step(self) -> bool:
        """Take the next slice of what waits; tell whether there is more."""
        if self._pace is None or self._transport is None or self._write_paused:
            return False
        self._take(self._pace.cut(_SLICE_BYTES))
        if not self._pace.late and not self._write_paused:
            self._transport.resume_reading()
        return bool(self._pace.late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the transport."""
        del exc
        self._transport = None
        if self._pace is not None:
            self._pace.drop()
        self._pace = None
        del self._grpc  # it knows us, and together we would wait for the garbage collector

    def close(self) -> None:
        """Tell the client that this server goes away, then close."""
        if self._transport is None:
            return
        self._grpc.close()
        self._send()

    def pause_writing(self) -> None:
        """Stop reading: a client that does not take answers gets no new ones."""
        self._write_paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again, behind what waits."""
        self._write_paused = False
        if self._pace is not None and self._pace.late:
            self._pace.line_up()
        elif self._transport is not None:
            self._transport.resume_reading()

    def _send(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if data := self._grpc.data_to_send():
            if self._etcd.trouble is None and not self._late:
                self._transport.write(data)
            else:
                self._send_later(data, self._etcd.trouble)
        if self._grpc.closed and not self._late:
            self._transport.close()

    def _send_later(self, data: bytes, trouble: EtcdTrouble | None) -> None:
        """Send what a slow member answers, behind what it has not sent yet."""
        slow = trouble.slow.get(self._member or "", 0.0) if trouble is not None else 0.0
        self._late.append(data)
        asyncio.get_running_loop().call_later(slow, self._send_first)

    def _send_first(self) -> None:
        data = self._late.popleft()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
            if self._grpc.closed and not self._late:
                self._transport.close()

    def _handle(self, authority: str, path: str, message: bytes) -> bytes:
        started = time.perf_counter()
        try:
            return self._service.handle(authority, path, message)
        except GrpcError:
            raise
        except Exception as error:
            _log.exception("etcd call failed", method=path)
            raise GrpcError(GrpcCode.INTERNAL, "etcdserver: internal error") from error
        finally:
            if self._observe is not None:
                self._observe(path.rpartition("/")[2], time.perf_counter() - started)
