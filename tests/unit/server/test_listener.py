"""The listener over real loopback sockets: bound, open, closed; API, etcd and tunnels on one port."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
import uvloop

from capim.aio.tasks import TaskScope
from capim.api.workload import ListenerState
from capim.server.listener import Listener, PortOccupied
from capim.server.metrics import Metrics
from tests.support.served import (
    Answer,
    Running,
    ask,
    connected,
    load_client,
    make_served,
    resource,
    running,
)

if TYPE_CHECKING:
    from collections.abc import Callable

LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
Run = Any  # asyncio.run, uvloop.run: both take a coroutine


async def in_thread(running: Running, *requests: tuple[Any, ...], **client: Any) -> list[Answer]:
    """Send requests on one connection of a blocking client."""

    def send() -> list[Answer]:
        context = running.client_context(**client)
        with connected(running.listener.port, context) as connection:
            return [ask(connection, *request) for request in requests]

    return await asyncio.to_thread(send)


@LOOPS
def test_requests_on_one_kept_connection(run: Run) -> None:
    async def go() -> None:
        async with running() as it:
            made, read, listed = await in_thread(
                it,
                ("POST", "/api/v1/nodes", {"metadata": {"name": "a"}}),
                ("GET", "/api/v1/nodes/a"),
                ("GET", "/api/v1/nodes"),
            )
            assert (made.status, read.status, listed.status) == (201, 200, 200)
            assert read.body == made.body
            large = {"metadata": {"name": "big"}, "data": {"x": "y" * 500_000}}
            path = "/api/v1/namespaces/default/configmaps"
            wrote, back = await in_thread(it, ("POST", path, large), ("GET", f"{path}/big"))
            assert (wrote.status, len(back.body)) == (201, len(wrote.body))

    run(go())


@LOOPS
def test_connections_are_refused_until_open_and_after_close(run: Run) -> None:
    async def go() -> None:
        async with TaskScope() as scope:
            listener = Listener(make_served(), scope=scope, metrics=Metrics())
            listener.bind()
            port = listener.port
            assert (listener.state, await refused(port)) == (ListenerState.BOUND, True)
            await listener.open()
            assert (listener.state, await refused(port)) == (ListenerState.OPEN, False)
            await listener.close()
            assert (listener.state, await refused(port)) == (None, True)
            listener.bind()
            await listener.open()
            assert (listener.port, await refused(port)) == (port, False)
            await listener.close()

    run(go())


async def refused(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    await writer.wait_closed()
    return False


def test_occupied_port_is_loud() -> None:
    async def go() -> None:
        async with running() as it, TaskScope() as scope:
            served = make_served()
            served.port = it.listener.port
            late = Listener(served, scope=scope, metrics=Metrics())
            with pytest.raises(PortOccupied, match=str(served.port)):
                late.bind()
            assert late.state is ListenerState.FAILED

    asyncio.run(go())


def test_client_without_a_certificate_is_401() -> None:
    async def go() -> None:
        async with running() as it:
            health, nodes = await in_thread(
                it, ("GET", "/readyz"), ("GET", "/api/v1/nodes"), user=""
            )
            assert (health.status, nodes.status) == (200, 401)
            assert nodes.json()["reason"] == "Unauthorized"

    asyncio.run(go())


def test_client_of_another_authority_ends_in_the_handshake() -> None:
    async def go() -> None:
        async with running() as it:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await in_thread(it, ("GET", "/readyz"), ca=it.authorities.etcd_ca)

    asyncio.run(go())


# --- watches ---------------------------------------------------------------------------------------

WATCH = b"GET /api/v1/nodes?watch=true HTTP/1.1\r\nHost: x\r\n\r\n"


@LOOPS
def test_watch_delivers_and_a_closing_listener_ends_it_properly(run: Run) -> None:
    async def go() -> None:
        async with running() as it:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", it.listener.port, ssl=it.client_context()
            )
            writer.write(WATCH)
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"Transfer-Encoding: chunked" in head
            it.served.group.create(resource("nodes"), "", {"metadata": {"name": "a"}})
            assert b'"ADDED"' in await reader.readuntil(b"}\n\r\n")
            closing = asyncio.ensure_future(it.listener.close())  # noqa: TID251 - awaited below
            assert await reader.read() == b"0\r\n\r\n"
            writer.close()
            await closing
            assert it.served.group.watches == 0

    run(go())


@LOOPS
def test_client_that_leaves_ends_its_watch(run: Run) -> None:
    async def go() -> None:
        async with running() as it:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", it.listener.port, ssl=it.client_context()
            )
            writer.write(WATCH)
            await reader.readuntil(b"\r\n\r\n")
            assert it.served.group.watches == 1
            writer.close()
            await writer.wait_closed()
            async with asyncio.timeout(5):
                while it.served.group.watches:  # noqa: ASYNC110 - the group tells nobody
                    await asyncio.sleep(0)

    run(go())


# --- etcd ------------------------------------------------------------------------------------------


class FakeEtcd(asyncio.Protocol):
    """Says which member it is."""

    def __init__(
        self, _: object, observe: Callable[[str, float], None], *, member: str, share: object
    ) -> None:
        del share
        self._member = member
        observe("Status", 0.001)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._member.encode())

    def close(self) -> None:
        self._transport.close()


@LOOPS
def test_member_name_reaches_the_etcd_with_a_certificate_only(run: Run) -> None:
    async def go() -> None:
        served = make_served()
        served.etcd.add("n1", 7)
        async with running(served, make_etcd=FakeEtcd) as it:
            assert await speak(it, "etcd-n1", certificate=True) == b"n1"
            assert await speak(it, "etcd-n1", certificate=False) == b""

    run(go())


async def speak(it: Running, name: str, *, certificate: bool) -> bytes:
    context = ssl.create_default_context(cadata=it.authorities.etcd_ca.certificate.decode())
    context.set_alpn_protocols(["h2"])
    if certificate:
        load_client(context, it.authorities.etcd_ca, "etcd-client")
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", it.listener.port, ssl=context, server_hostname=name
    )
    try:
        async with asyncio.timeout(5):
            return await reader.read(2)
    except ConnectionError:
        return b""
    finally:
        writer.close()


# --- tunnels ---------------------------------------------------------------------------------------


def test_port_forward_is_answered_for_present_pods_only() -> None:
    async def go() -> None:
        async with running() as it:
            pods = "/api/v1/namespaces/kube-system/pods"
            it.served.group.create(
                resource("pods"), "kube-system", {"metadata": {"name": "etcd-n1"}}
            )
            send = partial(in_thread, it)
            (absent,) = await send(("POST", f"{pods}/none/portforward"))
            assert absent.status == 404
            (plain,) = await send(("POST", f"{pods}/etcd-n1/portforward"))
            assert plain.status == 400
            assert "Upgrade" in plain.json()["message"]

    asyncio.run(go())


@LOOPS
def test_port_forward_switches_protocols(run: Run) -> None:
    async def go() -> None:
        async with running() as it:
            it.served.group.create(
                resource("pods"), "kube-system", {"metadata": {"name": "etcd-n1"}}
            )
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", it.listener.port, ssl=it.client_context()
            )
            writer.write(
                b"POST /api/v1/namespaces/kube-system/pods/etcd-n1/portforward HTTP/1.1\r\n"
                b"Host: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
                b"X-Stream-Protocol-Version: portforward.k8s.io\r\nContent-Length: 0\r\n\r\n"
            )
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ")
            assert b"X-Stream-Protocol-Version: portforward.k8s.io" in head
            writer.close()
            await writer.wait_closed()

    run(go())
