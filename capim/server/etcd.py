"""The fake etcd on a connection: asyncio's shell over the sans-IO gRPC server.

Works on any transport that delivers decrypted bytes: a TLS socket of the listener, or TLS inside a
port-forward's tunnel. One loop, no lock.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, cast

import structlog

from capim.runtime import etcdservice
from capim.runtime.etcdservice import EtcdService
from capim.wire.grpcserver import GrpcCode, GrpcConnection, GrpcError

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.runtime.etcdmembers import EtcdCluster

_log = structlog.get_logger(__name__)


class EtcdProtocol(asyncio.Protocol):
    """One client connection to one cluster's etcd.

    Args:
        etcd: the membership that answers.
        observe: called after each call with the gRPC method's name (`Status`) and its duration in
            seconds; feeds `capim_etcd_request_duration_seconds`.
        member: name of the Node whose etcd this connection reached (a port-forward names its pod);
            None: `:authority` names it.
    """

    def __init__(
        self,
        etcd: EtcdCluster,
        observe: Callable[[str, float], None] | None = None,
        *,
        member: str | None = None,
    ) -> None:
        self._service = EtcdService(etcd, member=member)
        self._observe = observe
        self._grpc = GrpcConnection(self._handle, methods=etcdservice.METHODS)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport and send our settings."""
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Answer what this piece completes."""
        self._grpc.receive_data(data)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the transport."""
        del exc
        self._transport = None

    def close(self) -> None:
        """Tell the client that this server goes away, then close."""
        self._grpc.close()
        self._send()

    def pause_writing(self) -> None:
        """Stop reading: a client that does not take answers gets no new ones."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def _send(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if data := self._grpc.data_to_send():
            self._transport.write(data)
        if self._grpc.closed:
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
