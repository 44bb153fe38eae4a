"""What clients that have gone leave behind: nothing that waits for the garbage collector.

A connection with its TLS, or a tunnel with its compression, is small for the collector, which counts
objects, and large for the process.
"""

from __future__ import annotations

import asyncio
import gc
import ssl
from typing import TYPE_CHECKING

import pytest
import uvloop

from capim.dialer import ApiServer, Dialer, forwarded_port
from capim.server.etcd import EtcdProtocol
from capim.server.http import HttpConnection
from capim.server.tlsbio import TlsOverProtocol
from capim.server.tunnel import TunnelSession
from tests.support.kubeapi import until
from tests.support.served import (
    Running,
    ask,
    connected,
    load_client,
    make_served,
    resource,
    running,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = (HttpConnection, EtcdProtocol, TlsOverProtocol, TunnelSession)


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def left() -> list[str]:
    return [type(it).__name__ for it in gc.get_objects() if isinstance(it, OURS)]


def get(it: Running) -> None:
    with connected(it.listener.port, it.client_context()) as connection:
        assert ask(connection, "GET", "/api/v1/namespaces/default").status == 200


async def watch(it: Running) -> None:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", it.listener.port, ssl=it.client_context()
    )
    writer.write(b"GET /api/v1/nodes?watch=true HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()


async def etcd_session(it: Running) -> None:
    """Shake hands with an etcd through port-forward, as KubeadmControlPlane does."""
    context = ssl.create_default_context(cadata=it.authorities.etcd_ca.certificate.decode())
    context.set_alpn_protocols(["h2"])
    load_client(context, it.authorities.etcd_ca, "etcd-client")
    api = ApiServer("127.0.0.1", it.listener.port, it.client_context())
    async with forwarded_port(Dialer(api, "kube-system", "etcd-n1", 2379)) as port:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="etcd-n1"
        )
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        assert await reader.readexactly(9)
        assert "EtcdProtocol" in left()
        writer.close()


def test_connections_leave_nothing() -> None:
    async def go() -> None:
        async with running() as it:
            await asyncio.to_thread(get, it)
            await watch(it)
            await until(lambda: left() == [])

    uvloop.run(go())


def test_tunnels_leave_nothing() -> None:
    async def go() -> None:
        served = make_served()
        served.etcd.add("n1", 7)
        async with running(served) as it:
            pod = {"metadata": {"name": "etcd-n1"}}
            served.group.create(resource("pods"), "kube-system", pod)
            await etcd_session(it)
            await until(lambda: left() == [])

    uvloop.run(go())
