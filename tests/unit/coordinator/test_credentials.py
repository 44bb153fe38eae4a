"""A kubeconfig whose credentials are rotated is followed without a restart; what is no use is left alone."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aiohttp import web

from capim.aio.clock import wall_clock
from capim.aio.tasks import TaskScope
from capim.api.errors import APIError
from capim.api.gvk import GVR
from capim.certs.contexts import server_context
from capim.certs.issue import client_certificate, new_key, self_signed_ca, serving_certificate
from capim.certs.pem import dump_private_key
from coordinator.kube import config
from coordinator.kube.client import KubeClient
from coordinator.kube.credentials import Credentials
from tests.support.kubeapi import Calm, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

NOW = wall_clock()
CA = self_signed_ca("management", NOW)
SECRETS = GVR("", "v1", "secrets")
GRACE_S = 0.05


def pair(name: str) -> tuple[bytes, bytes]:
    """Return certificate and key of a client."""
    key = new_key()
    pem = client_certificate(CA, key, common_name=name, organizations=[], now=NOW)
    return pem, dump_private_key(key)


def put(path: Path, content: bytes) -> None:
    """Replace a file as a whole."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    os.replace(fresh, path)


def kubeconfig(port: int, **user: str) -> bytes:
    cluster = {
        "server": f"https://127.0.0.1:{port}",
        "certificate-authority-data": base64.b64encode(CA.certificate).decode(),
    }
    return yaml.safe_dump(
        {
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
    ).encode()


def inline(port: int, name: str) -> bytes:
    fields = ("client-certificate-data", "client-key-data")
    data = (base64.b64encode(pem).decode() for pem in pair(name))
    return kubeconfig(port, **dict(zip(fields, data, strict=True)))


class Api:
    """A management API that knows its callers by certificate or token, and says who asks."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name = request.headers.get("Authorization", "")
        certificate: Any = request.get_extra_info("peercert")
        if certificate:
            name = dict(part[0] for part in certificate["subject"])["commonName"]
        if "watch" not in request.query:
            return web.json_response({"kind": "SecretList", "metadata": {"resourceVersion": name}})
        stream = web.StreamResponse()
        await stream.prepare(request)
        await stream.write(b'{"type":"BOOKMARK","object":{}}\n')
        await self.ended.wait()
        return stream


@contextlib.asynccontextmanager
async def api() -> AsyncIterator[Api]:
    key = new_key()
    pem = serving_certificate(CA, key, common_name="api", hosts=["127.0.0.1"], now=NOW)
    context = server_context(pem, dump_private_key(key), CA.certificate, ["http/1.1"])
    context.verify_mode = ssl.CERT_OPTIONAL
    served, app = Api(), web.Application()
    app.router.add_get("/{path:.*}", served.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    served.port = runner.addresses[0][1]
    try:
        yield served
    finally:
        served.ended.set()
        await runner.cleanup()


class Following:
    """A client whose kubeconfig is followed."""

    def __init__(self, client: KubeClient) -> None:
        self.client = client

    async def who(self) -> str:
        return (await self.client.list(SECRETS)).resource_version

    async def becomes(self, name: str) -> None:
        async with asyncio.timeout(10):
            while await self.who() != name:
                pass


async def until_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Wait until the log says that something was not taken up."""
    told = ""

    def refused() -> bool:
        nonlocal told
        told += capsys.readouterr().out
        return "credentials not taken up" in told

    await until(refused)


def run(
    path: Path,
    first: Callable[[int], bytes],
    scenario: Callable[[Following, Api], Awaitable[None]],
) -> None:
    """Follow the kubeconfig that `first` makes for a port."""

    async def go() -> None:
        async with api() as served:
            put(path, first(served.port))
            access = await config.load(str(path))
            client = KubeClient(
                access.configuration, user_agent="t", qps=0, burst=1, clock=wall_clock, rng=Calm()
            )
            config.remove_key_files()
            async with TaskScope() as scope:
                following = Credentials(client, access, look_s=0.01, grace_s=GRACE_S)
                scope.spawn(following.follow(), name="follow")
                await scenario(Following(client), served)
                assert not scope.failed.is_set()
            await client.close()

    asyncio.run(go())


def test_a_rotated_certificate_in_the_kubeconfig_is_taken_up_and_watches_begin_anew(
    tmp_path: Path,
) -> None:
    path = tmp_path / "kubeconfig"

    async def scenario(following: Following, served: Api) -> None:
        assert await following.who() == "first"
        watch = following.client.watch(SECRETS, "", labels="", since="1", timeout_s=60)
        assert (await anext(watch))["type"] == "BOOKMARK"
        put(path, inline(served.port, "second"))
        await following.becomes("second")
        with pytest.raises(APIError, match="cannot be reached"):
            await anext(watch)
        put(path, inline(served.port, "third"))
        await following.becomes("third")

    run(path, lambda port: inline(port, "first"), scenario)


def test_a_rotated_certificate_file_is_taken_up_when_its_key_is_there_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pem, key = pair("first")
    put(tmp_path / "tls.crt", pem)
    put(tmp_path / "tls.key", key)

    async def scenario(following: Following, _: Api) -> None:
        assert await following.who() == "first"
        pem, key = pair("second")
        put(tmp_path / "tls.crt", pem)
        await until_refused(capsys)
        assert await following.who() == "first"
        put(tmp_path / "tls.key", key)
        await following.becomes("second")

    names = {"client-certificate": "tls.crt", "client-key": "tls.key"}
    run(tmp_path / "kubeconfig", lambda port: kubeconfig(port, **names), scenario)


def test_a_rotated_token_file_is_taken_up(tmp_path: Path) -> None:
    put(tmp_path / "token", b"first")

    async def scenario(following: Following, _: Api) -> None:
        assert await following.who() == "Bearer first"
        put(tmp_path / "token", b"second")
        await following.becomes("Bearer second")

    run(tmp_path / "kubeconfig", lambda port: kubeconfig(port, tokenFile="token"), scenario)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda port: b"{", id="broken"),
        pytest.param(lambda port: b"[]", id="no-kubeconfig"),
        pytest.param(lambda port: inline(port + 1, "second"), id="another-server"),
    ],
)
def test_what_is_no_use_changes_nothing(
    tmp_path: Path, change: Callable[[int], bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "kubeconfig"

    async def scenario(following: Following, served: Api) -> None:
        put(path, change(served.port))
        await until_refused(capsys)
        assert await following.who() == "first"
        put(path, inline(served.port, "second"))
        await following.becomes("second")

    run(path, lambda port: inline(port, "first"), scenario)
