from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import yaml

from capim.api.errors import APIError
from capim.dialer import ApiServer, Dialer, PortForwardError, forwarded_port
from capim.runtime.etcdmembers import EtcdCluster
from capim.server.etcd import EtcdProtocol
from capim.server.tlsbio import TlsOverProtocol
from capim.server.tunnel import InnerTransport
from capim.wire import etcdrpc, spdy
from tests.support.portforward import ECHO_PORT, SILENT_PORT, Echo, Pod, serving, tls_contexts

if TYPE_CHECKING:
    from collections.abc import Callable

LARGE = bytes(range(256)) * 4096  # 1 MiB, many SPDY frames and TLS records


def kubeconfig(port: int, ca_pem: bytes, **user: Any) -> str:
    server = {"server": f"https://127.0.0.1:{port}"}
    server["certificate-authority-data"] = base64.b64encode(ca_pem).decode()
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": server}],
        "users": [{"name": "u", "user": user}],
    }
    return yaml.safe_dump(config)


async def echo(dialer: Dialer, data: bytes) -> bytes:
    reader, writer = await dialer.connect()
    writer.write(data)
    await writer.drain()
    answer = await reader.readexactly(len(data))
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("data", [b"hello", LARGE], ids=["small", "large"])
def test_bytes_come_back_through_a_real_tls_socket(data: bytes) -> None:
    async def run() -> None:
        pod = Pod()
        context, ca_pem = tls_contexts()
        async with serving(pod.connect, context) as port:
            dialer = Dialer(kubeconfig(port, ca_pem, token="t"), "default", "echo", ECHO_PORT)
            assert await echo(dialer, data) == data
            assert pod.connections[0].received == data

    asyncio.run(run())


def test_end_of_input_is_passed_on_and_the_answer_still_arrives() -> None:
    async def run() -> None:
        pod = Pod()
        context, ca_pem = tls_contexts()
        async with serving(pod.connect, context) as port:
            dialer = Dialer(kubeconfig(port, ca_pem), "default", "echo", ECHO_PORT)
            reader, writer = await dialer.connect()
            writer.write(b"last words")
            writer.write_eof()
            assert await reader.read() == b"last words"
            writer.close()
            await writer.wait_closed()
        assert pod.connections[0].events == ["made", "eof", "lost"]

    asyncio.run(run())


def test_port_that_nobody_serves_is_an_error_with_the_servers_words() -> None:
    async def run() -> None:
        async with serving(Pod().connect) as port:
            server = ApiServer("127.0.0.1", port, None)
            reader, writer = await Dialer(server, "default", "echo", SILENT_PORT).connect()
            with pytest.raises(
                PortForwardError, match=r"port 5000 to pod default/echo: .* refused"
            ):
                await reader.read()
            writer.close()
            with pytest.raises(PortForwardError):
                await writer.wait_closed()

    asyncio.run(run())


def answering(answer: bytes) -> Any:
    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    return answer_once


REFUSAL = b'{"kind":"Status","reason":"NotFound","message":"pods \\"x\\" not found","code":404}'


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        pytest.param(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%b" % (len(REFUSAL), REFUSAL),
            APIError,
            'pods "x" not found',
            id="status",
        ),
        pytest.param(
            b"HTTP/1.1 502 Bad\r\nContent-Length: 4\r\n\r\noops", APIError, "oops", id="text"
        ),
        pytest.param(b"SSH-2.0-x\r\n", ConnectionError, "does not speak HTTP", id="not-http"),
        pytest.param(b"", ConnectionError, "closed the connection", id="nothing"),
        pytest.param(
            b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n\x80\x09"
            + bytes(6),
            ConnectionError,
            "broke the protocol",
            id="not-spdy",
        ),
    ],
)
def test_refusal_and_nonsense_are_told(answer: bytes, error: type[Exception], text: str) -> None:
    async def run() -> None:
        server = await asyncio.start_server(answering(answer), "127.0.0.1", 0)
        async with server:
            address = ApiServer("127.0.0.1", server.sockets[0].getsockname()[1], None)
            with pytest.raises(error, match=text):
                await Dialer(address, "default", "x", 1).connect()

    asyncio.run(run())


SWITCH = b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
ERROR, DATA = 1, 3  # the ids a client's first two streams have


def scripted(*steps: Callable[[spdy.Connection], None]) -> Any:
    """Serve one pair: accept both streams, take each step, then close without a word."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCH)
        connection = spdy.Connection(client=False)
        opened = 0
        while opened < 2:
            for event in connection.receive_data(await reader.read(1000)):
                opened += isinstance(event, spdy.StreamOpened)
        for step in (lambda c: c.reply(ERROR), lambda c: c.reply(DATA), *steps):
            step(connection)
        writer.write(connection.data_to_send())
        writer.close()
        await writer.wait_closed()

    return serve


@pytest.mark.parametrize(
    ("steps", "outcome"),
    [
        pytest.param([], ConnectionResetError("the API server closed"), id="cut"),
        pytest.param(
            [lambda c: c.send_data(DATA, b"x"), lambda c: c.go_away()],
            ConnectionResetError("the API server closed"),
            id="goaway",
        ),
        pytest.param([lambda c: c.reset(DATA)], ConnectionResetError("the peer reset"), id="reset"),
        pytest.param([lambda c: c.send_data(DATA, b"all", end=True)], b"all", id="whole-then-cut"),
        pytest.param(
            [
                lambda c: c.send_data(ERROR, b"no "),
                lambda c: c.send_data(DATA, b"", end=True),
                lambda c: c.send_data(ERROR, b"such pod", end=True),
            ],
            PortForwardError("no such pod"),
            id="text-around-the-end",
        ),
        pytest.param(
            [lambda c: c.send_data(ERROR, b"broken")],
            PortForwardError("broken"),
            id="text-then-cut",
        ),
    ],
)
def test_end_from_the_other_side_is_told_as_what_it_is(
    steps: list[Callable[[spdy.Connection], None]], outcome: bytes | Exception
) -> None:
    async def run() -> None:
        server = await asyncio.start_server(scripted(*steps), "127.0.0.1", 0)
        async with server:
            address = ApiServer("127.0.0.1", server.sockets[0].getsockname()[1], None)
            reader, writer = await Dialer(address, "default", "x", 1).connect()
            if isinstance(outcome, bytes):
                assert await reader.read() == outcome
            else:
                with pytest.raises(type(outcome), match=str(outcome)):
                    await reader.read()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    asyncio.run(run())


def test_silence_of_the_server_times_out() -> None:
    async def run() -> None:
        done = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            done.set()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        async with server:
            address = ApiServer("127.0.0.1", server.sockets[0].getsockname()[1], None)
            with pytest.raises(TimeoutError):
                await Dialer(address, "default", "x", 1, timeout_s=0.05).connect()
            await done.wait()

    asyncio.run(run())


def test_forwarded_port_serves_many_connections_and_half_close() -> None:
    async def run() -> None:
        pod = Pod()
        context, ca_pem = tls_contexts()
        async with serving(pod.connect, context) as port:
            dialer = Dialer(kubeconfig(port, ca_pem), "default", "echo", ECHO_PORT)

            async def ask(local: int, data: bytes) -> bytes:
                reader, writer = await asyncio.open_connection("127.0.0.1", local)
                writer.write(data)
                writer.write_eof()
                answer = await reader.read()
                writer.close()
                await writer.wait_closed()
                return answer

            async with forwarded_port(dialer) as local:
                questions = [b"%d" % number * 1000 for number in range(5)]
                answers = await asyncio.gather(*(ask(local, question) for question in questions))
            assert answers == questions
        assert len(pod.connections) == 5

    asyncio.run(run())


def test_forwarded_port_closes_what_the_pod_does_not_take() -> None:
    async def run() -> None:
        async with serving(Pod().connect) as port:
            dialer = Dialer(ApiServer("127.0.0.1", port, None), "default", "echo", SILENT_PORT)
            async with forwarded_port(dialer) as local:
                reader, writer = await asyncio.open_connection("127.0.0.1", local)
                assert await reader.read() == b""
                writer.close()
                await writer.wait_closed()

    asyncio.run(run())


def test_tls_inside_the_forwarded_port() -> None:
    async def run() -> None:
        context, ca_pem = tls_contexts()
        asked: list[str | None] = []

        def inner(client: ssl.SSLObject) -> asyncio.Protocol:
            asked.append(client.selected_alpn_protocol())
            return Echo()

        def connect(port: int, transport: InnerTransport) -> asyncio.Protocol:
            assert port == ECHO_PORT
            assert transport.get_extra_info("ssl_object") is None
            assert transport.get_extra_info("peername")[0] == "127.0.0.1"
            return TlsOverProtocol(context, inner)

        trust = ssl.create_default_context(cadata=ca_pem.decode())
        trust.set_alpn_protocols(["h2"])
        async with serving(connect, context) as port:
            dialer = Dialer(kubeconfig(port, ca_pem), "default", "etcd-node", ECHO_PORT)
            async with forwarded_port(dialer) as local:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", local, ssl=trust, server_hostname="etcd-node"
                )
                writer.write(LARGE)
                assert await reader.readexactly(len(LARGE)) == LARGE
                writer.close()
                await writer.wait_closed()
        assert asked == ["h2"]

    asyncio.run(run())


def test_grpcio_asks_the_fake_etcd_through_a_forwarded_port() -> None:
    def ask(port: int, ca_pem: bytes) -> Any:
        options = [
            ("grpc.ssl_target_name_override", "etcd-node"),
            ("grpc.default_authority", "etcd-node:2379"),
        ]
        credentials = grpc.ssl_channel_credentials(ca_pem)
        with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
            method = channel.unary_unary(etcdrpc.method("Cluster", "MemberList"))
            request = etcdrpc.new("MemberListRequest").SerializeToString()
            return etcdrpc.decode("MemberListResponse", method(request, timeout=10))

    async def run() -> None:
        etcd = EtcdCluster(7, revision=lambda: 5)
        etcd.add("node", 1)
        context, ca_pem = tls_contexts()

        def connect(port: int, transport: InnerTransport) -> asyncio.Protocol:
            del port, transport
            return TlsOverProtocol(context, lambda *_: EtcdProtocol(etcd, member="node"))

        async with serving(connect, context) as port:
            dialer = Dialer(kubeconfig(port, ca_pem), "kube-system", "etcd-node", ECHO_PORT)
            async with forwarded_port(dialer) as local:
                answer = await asyncio.to_thread(ask, local, ca_pem)
        assert [member.name for member in answer.members] == ["node"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("{}", "current-context", id="empty"),
        pytest.param(kubeconfig(1, b"", exec={"command": "login"}), "plugin", id="plugin"),
    ],
)
def test_kubeconfig_that_cannot_be_used_says_why(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        ApiServer.from_kubeconfig(text)
