"""In scope: what clients notice when a cluster's authorities change under an open listener."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from capim.aio.clock import ManualClock, wall_clock
from capim.aio.tasks import TaskScope
from capim.certs.issue import LIFETIME_S, self_signed_ca
from tests.support.ports import free_port
from tests.support.served import load_client
from tests.unit.catalogue.site import CONTROL_PLANE, make_cluster
from workers.listeners import Listeners

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from capim.api.workload import KeyPair
    from capim.runtime.workload import WorkloadCluster

WATCH = b"GET /api/v1/nodes?watch=true HTTP/1.1\r\nHost: x\r\n\r\n"
NODES = b"GET /api/v1/nodes HTTP/1.1\r\nHost: x\r\n\r\n"
DAY_S = 24 * 3600


class Client:
    """Clients of one cluster's listener."""

    def __init__(self, cluster: WorkloadCluster, listeners: Listeners) -> None:
        self.cluster = cluster
        self.listeners = listeners

    def rotate(self, which: str) -> KeyPair:
        """Let one of the cluster's authorities be another, which is returned."""
        fresh = self_signed_ca("kubernetes", wall_clock())
        changed: dict[str, Any] = {which: fresh}
        self.cluster.update_spec(dataclasses.replace(self.cluster.spec, **changed))
        self.listeners.renew(self.cluster)
        return fresh

    async def connect(
        self, trusted: KeyPair, own: KeyPair
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect as an administrator by a certificate of `own`."""
        context = ssl.create_default_context(cadata=trusted.certificate.decode())
        load_client(context, own, "admin")
        return await asyncio.open_connection("127.0.0.1", self.cluster.spec.port, ssl=context)

    async def status(self, trusted: KeyPair, own: KeyPair) -> int:
        """Return the status of one request on a connection of its own; 0: none was to be had."""
        try:
            reader, writer = await self.connect(trusted, own)
        except (ssl.SSLError, ConnectionError):
            return 0
        return await status_of(reader, writer, close=True)


async def status_of(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, close: bool = False
) -> int:
    """Ask for the nodes; 0: the connection ended."""
    try:
        writer.write(NODES)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split()[0]
        await reader.readexactly(int(length))
    except (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError):
        return 0
    finally:
        if close:
            writer.close()
    return int(head.split()[1])


@contextlib.asynccontextmanager
async def serving(clock: ManualClock) -> AsyncIterator[Client]:
    cluster, _ = make_cluster(CONTROL_PLANE)
    cluster.update_spec(dataclasses.replace(cluster.spec, port=free_port()))
    async with TaskScope() as scope:
        listeners = Listeners("127.0.0.1", scope=scope, clock=clock)
        assert listeners.bind(cluster) is None
        await listeners.open(cluster)
        try:
            yield Client(cluster, listeners)
        finally:
            await listeners.close()


def authority(cluster: WorkloadCluster) -> KeyPair:
    assert cluster.spec.ca is not None
    return cluster.spec.ca


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(wall_clock())


def test_a_rotated_authority_is_taken_up_by_an_open_listener(clock: ManualClock) -> None:
    async def go() -> None:
        async with serving(clock) as client:
            old = authority(client.cluster)
            assert await client.status(old, old) == 200
            new = client.rotate("ca")
            assert await client.status(new, new) == 200
            assert await client.status(new, old) == 0
            assert await client.status(old, old) == 0

    asyncio.run(go())


@pytest.mark.parametrize("which", ["ca", "etcd_ca"])
def test_connections_of_before_a_rotation_end_properly(clock: ManualClock, which: str) -> None:
    async def go() -> None:
        async with serving(clock) as client:
            old = authority(client.cluster)
            idle, idle_writer = await client.connect(old, old)
            assert await status_of(idle, idle_writer) == 200
            reader, writer = await client.connect(old, old)
            writer.write(WATCH)
            await reader.readuntil(b'"ADDED"')
            client.rotate(which)
            assert (await reader.read()).endswith(b"0\r\n\r\n")
            assert await idle.read() == b""
            writer.close()
            idle_writer.close()

    asyncio.run(go())


def test_a_new_key_for_tokens_cuts_nobody_off(clock: ManualClock) -> None:
    async def go() -> None:
        async with serving(clock) as client:
            old = authority(client.cluster)
            reader, writer = await client.connect(old, old)
            client.rotate("service_account")
            assert await status_of(reader, writer, close=True) == 200
            _, served = client.listeners._listeners[client.cluster.key]
            assert served.authorities is not None
            assert served.authorities.service_account == client.cluster.spec.service_account

    asyncio.run(go())


def test_a_connection_is_worth_no_more_than_its_certificate(clock: ManualClock) -> None:
    async def go() -> None:
        async with serving(clock) as client:
            ca = authority(client.cluster)
            reader, writer = await client.connect(ca, ca)
            clock.advance(LIFETIME_S - DAY_S)
            assert await status_of(reader, writer) == 200
            clock.advance(2 * DAY_S)
            assert await status_of(reader, writer, close=True) == 401

    asyncio.run(go())


def test_a_serving_certificate_is_renewed_under_an_open_listener(clock: ManualClock) -> None:
    async def ends(client: Client) -> float:
        ca = authority(client.cluster)
        _, writer = await client.connect(ca, ca)
        shown = writer.get_extra_info("peercert")["notAfter"]
        writer.close()
        return ssl.cert_time_to_seconds(shown)

    async def go() -> None:
        async with serving(clock) as client:
            first = await ends(client)
            clock.advance(LIFETIME_S / 2 - DAY_S)
            assert await ends(client) == first
            clock.advance(2 * DAY_S)
            renewed = await ends(client)
            assert renewed > first + LIFETIME_S / 2 - DAY_S

    # what is issued then must be valid now for the client of the test to take it
    clock.now -= LIFETIME_S * 0.6
    asyncio.run(go())
