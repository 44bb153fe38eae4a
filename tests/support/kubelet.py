"""What a kubelet does for a port-forward: joins streams to a port of the pod, here of this machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from tests.support.portforward import UpgradeServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.server.tunnel import InnerTransport


class _Pod(asyncio.Protocol):
    """The connection to the pod's port; what comes from there goes to the client."""

    def __init__(self, client: asyncio.Transport) -> None:
        self._client = client

    def data_received(self, data: bytes) -> None:
        self._client.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._client.close()


class Relay(asyncio.Protocol):
    """A forwarded connection; what the client says before the pod's port is open waits."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._waiting = b""
        self._pod: asyncio.Transport | None = None
        self._opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        client = cast(asyncio.Transport, transport)
        self._opening = asyncio.get_running_loop().create_task(self._open(client))

    async def _open(self, client: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            pod, _ = await loop.create_connection(lambda: _Pod(client), "127.0.0.1", self._port)
        except OSError:
            client.close()
            return
        pod.write(self._waiting)
        self._pod = pod

    def data_received(self, data: bytes) -> None:
        if self._pod is None:
            self._waiting += data
        else:
            self._pod.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._opening is not None:
            self._opening.cancel()
        if self._pod is not None:
            self._pod.close()


def relay(port: int, transport: InnerTransport) -> Relay:
    """Make the connection to a port."""
    del transport
    return Relay(port)


def kubelet(ports: Callable[[int], int], logs: Callable[[], bytes]) -> UpgradeServer:
    """Make the protocol of one connection to a kubelet with one pod.

    `ports` says which port of this machine stands for one of the pod, `logs` what its container wrote.
    """
    return UpgradeServer(
        lambda port, _: Relay(ports(port)),
        lambda path: logs() if path.startswith("/containerLogs/") else None,
    )
