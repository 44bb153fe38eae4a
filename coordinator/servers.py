"""The manager's HTTP servers: webhooks, health, diagnostics, debug, profiler; each on its flag's address.

Health says nothing that anybody may not know. The others answer by TLS to callers that the management API
knows and allows the path, unless `--insecure-diagnostics` says otherwise; debug and profiler are plain on
loopback, which is for who has a shell on the host.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, TypeAlias

from capim.certs.contexts import server_context
from capim.certs.issue import new_key, self_signed_ca, serving_certificate
from capim.certs.pem import dump_private_key
from coordinator import diagnostics, health
from coordinator.access import Gatekeeper, guard
from coordinator.httpserver import HttpServer, is_loopback, is_off
from coordinator.webhooks import WebhookServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from aiohttp import web
    from aiohttp.typedefs import Middleware

    from capim.aio.clock import Clock
    from coordinator.fleetview import FleetView
    from coordinator.kube.client import KubeClient
    from coordinator.options import Options

    _Make: TypeAlias = Callable[[Iterable[Middleware]], web.Application]


class Servers:
    """All of them; they run whether this process leads or not."""

    def __init__(
        self,
        options: Options,
        client: KubeClient,
        fleet: FleetView,
        metrics: diagnostics.Metrics,
        *,
        clock: Clock,
        readiness: Mapping[str, health.Check],
    ) -> None:
        self._webhooks = _webhooks(options) if options.webhook_port else None
        webhook: dict[str, health.Check] = (
            {"webhook": self._webhooks.ready} if self._webhooks else {}
        )
        self._servers = [
            HttpServer(
                "--health-addr",
                options.health_addr,
                health.application(webhook, {**webhook, **readiness}),
            ),
            *_inner_servers(options, Gatekeeper(client, clock), fleet, metrics, clock),
        ]

    async def start(self) -> None:
        """Listen on all.

        Raises:
            ValueError: an address or certificate cannot be had; the message names the flag.
        """
        for server in self._servers:
            await server.start()
        if self._webhooks is not None:
            try:
                await self._webhooks.start()
            except OSError as error:
                raise ValueError(
                    f"--webhook-port: cannot listen on {self._webhooks.port}: {error.strerror}:"
                    " choose another port, or end what holds it"
                ) from error

    async def stop(self) -> None:
        """Close all."""
        if self._webhooks is not None:
            await self._webhooks.stop()
        for server in self._servers:
            await server.stop()


def _webhooks(options: Options) -> WebhookServer:
    return WebhookServer(
        options.webhook_port,
        options.webhook_cert_dir,
        cert_name=options.webhook_cert_name,
        key_name=options.webhook_key_name,
        tls_min_version=options.tls_min_version,
        tls_cipher_suites=options.tls_cipher_suites,
    )


def _inner_servers(
    options: Options,
    gatekeeper: Gatekeeper,
    fleet: FleetView,
    metrics: diagnostics.Metrics,
    clock: Clock,
) -> Iterator[HttpServer]:
    """Yield the servers that show what is inside."""
    insecure = options.insecure_diagnostics or bool(options.metrics_bind_addr)
    diagnostics_address = options.metrics_bind_addr or options.diagnostics_address
    debug, profiler = options.debug_address, options.profiler_address
    rows: tuple[tuple[str, str, bool, _Make], ...] = (
        (
            "--diagnostics-address",
            diagnostics_address,
            insecure,
            lambda them: diagnostics.diagnostics_application(metrics, fleet, them),
        ),
        (
            "--debug-address",
            debug,
            options.insecure_diagnostics or is_loopback(debug),
            lambda them: diagnostics.debug_application(fleet, them),
        ),
        (
            "--profiler-address",
            profiler,
            options.insecure_diagnostics or is_loopback(profiler),
            diagnostics.profiler_application,
        ),
    )
    for flag, address, plain, make in rows:
        if plain or is_off(address):
            yield HttpServer(flag, address, make(()))
        else:
            yield HttpServer(flag, address, make([guard(gatekeeper)]), _self_signed(clock()))


def _self_signed(now: float) -> ssl.SSLContext:
    """Make a certificate for this process's life; scrapers do not verify it, the token is what counts."""
    key = new_key()
    authority = self_signed_ca("capim-diagnostics", now)
    certificate = serving_certificate(
        authority,
        key,
        common_name="capim-diagnostics",
        hosts=["localhost", socket.gethostname()],
        now=now,
    )
    return server_context(certificate, dump_private_key(key), None, ["http/1.1"])
