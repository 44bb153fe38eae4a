"""The webhook server over real TLS: certificates that change, what is answered, what is refused."""

from __future__ import annotations

import asyncio
import io
import os
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from cryptography import x509

from capim.aio.clock import wall_clock
from capim.certs.issue import new_key, self_signed_ca, serving_certificate
from capim.certs.pem import dump_private_key
from coordinator.webhooks import MAX_BODY_BYTES, WebhookServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

PATH = "/validate-infrastructure-cluster-x-k8s-io-v1alpha1-inmemorymachine"
NOW = wall_clock()
CA = self_signed_ca("webhook-ca", NOW)


def issue(folder: Path, name: str, cert: str = "tls.crt", key: str = "tls.key") -> None:
    """Put a new pair into the folder the way the kubelet does: whole files, swapped in."""
    private = new_key()
    pem = serving_certificate(CA, private, common_name=name, hosts=["127.0.0.1", name], now=NOW)
    for file, content in ((cert, pem), (key, dump_private_key(private))):
        (folder / f"{file}.new").write_bytes(content)
        os.replace(folder / f"{file}.new", folder / file)


def review(spec: object) -> dict[str, Any]:
    obj = {"kind": "InMemoryMachine", "metadata": {"name": "m"}, "spec": spec}
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {"uid": "u", "operation": "CREATE", "object": obj},
    }


def serve(
    folder: Path, scenario: Callable[[WebhookServer], Awaitable[None]], **options: str
) -> None:
    """Run a scenario against a started server."""

    async def run() -> None:
        server = WebhookServer(0, folder, bind_host="127.0.0.1", **options)
        assert not server.ready()
        await server.start()
        try:
            assert server.ready()
            await scenario(server)
        finally:
            await server.stop()
        assert not server.ready()

    asyncio.run(run())


def client() -> aiohttp.ClientSession:
    trust = ssl.create_default_context(cadata=CA.certificate.decode())
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust, force_close=True))


async def post(server: WebhookServer, path: str, **body: Any) -> tuple[int, str]:
    async with client() as session:
        url = f"https://127.0.0.1:{server.port}{path}"
        async with session.post(url, **body) as response:
            return response.status, await response.text()


async def served_name(server: WebhookServer) -> str:
    """Return the common name of the certificate that a client without SNI is shown."""
    trust = ssl.create_default_context(cadata=CA.certificate.decode())
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=trust)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    (name,) = x509.load_der_x509_certificate(der).subject
    return str(name.value)


def test_answers_reviews_and_refuses_with_the_reason(tmp_path: Path) -> None:
    issue(tmp_path, "webhook")

    async def scenario(server: WebhookServer) -> None:
        status, body = await post(server, PATH, json=review({}))
        assert (status, '"allowed":true' in body) == (200, True)
        bad = {"behaviour": {"vm": {"provisioning": {"startupDuration": "soon"}}}}
        status, body = await post(server, PATH, json=review(bad))
        assert (status, '"allowed":false' in body) == (200, True)
        assert "spec.behaviour.vm.provisioning.startupDuration" in body

    serve(tmp_path, scenario)


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        (PATH, b"{", 400, "the body is not JSON"),
        (PATH, b"\xff", 400, "the body is not JSON"),
        (PATH, b"{}", 400, "the body is not an AdmissionReview"),
        (PATH, b" " * (MAX_BODY_BYTES + 1), 413, "Maximum request body size"),
        ("/validate-another-kind", b"{}", 404, "Not Found"),
    ],
)
def test_malformed_requests(tmp_path: Path, path: str, body: bytes, status: int, text: str) -> None:
    issue(tmp_path, "webhook")

    async def scenario(server: WebhookServer) -> None:
        answered, message = await post(server, path, data=io.BytesIO(body))
        assert answered == status
        assert text in message

    serve(tmp_path, scenario)


def test_follows_its_certificate_and_keeps_a_good_one(tmp_path: Path) -> None:
    issue(tmp_path, "first")

    async def scenario(server: WebhookServer) -> None:
        assert await served_name(server) == "first"
        issue(tmp_path, "second")
        assert await served_name(server) == "second"
        (tmp_path / "tls.crt").write_text("half a certifi")
        assert await served_name(server) == "second"
        (tmp_path / "tls.crt").unlink()
        assert await served_name(server) == "second"
        issue(tmp_path, "third")
        assert await served_name(server) == "third"

    serve(tmp_path, scenario)


def test_files_may_have_other_names_and_tls_a_higher_floor(tmp_path: Path) -> None:
    issue(tmp_path, "named", "ca.pem", "ca.key")

    async def scenario(server: WebhookServer) -> None:
        assert await served_name(server) == "named"
        old = ssl.create_default_context(cadata=CA.certificate.decode())
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", server.port, ssl=old)

    serve(
        tmp_path,
        scenario,
        cert_name="ca.pem",
        key_name="ca.key",
        tls_min_version="VersionTLS13",
    )


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    server = WebhookServer(0, tmp_path)
    with pytest.raises(ValueError, match=r"tls\.crt .*--webhook-cert-dir"):
        asyncio.run(server.start())
    assert not server.ready()


def test_a_taken_port_is_an_error_and_leaves_nothing_open(tmp_path: Path) -> None:
    issue(tmp_path, "webhook")

    async def scenario(server: WebhookServer) -> None:
        second = WebhookServer(server.port, tmp_path, bind_host="127.0.0.1")
        with pytest.raises(OSError, match="in use"):
            await second.start()
        assert not second.ready()

    serve(tmp_path, scenario)
