"""The manager's HTTP servers: webhooks, health, diagnostics, debug, profiler; each on its flag's address."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from capim.aio.clock import steady_clock
from capim.certs.contexts import server_context
from capim.certs.issue import new_key, self_signed_ca, serving_certificate
from capim.certs.pem import dump_private_key
from coordinator import diagnostics, health
from coordinator.access import Gatekeeper, guard
from coordinator.httpserver import HttpServer
from coordinator.webhooks import WebhookServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from capim.aio.clock import Clock
    from coordinator.fleetview import FleetView
    from coordinator.kube.client import KubeClient
    from coordinator.options import Options


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
            _diagnostics(options, client, fleet, metrics, clock),
            HttpServer(
                "--debug-address", options.debug_address, diagnostics.debug_application(fleet)
            ),
            HttpServer(
                "--profiler-address", options.profiler_address, diagnostics.profiler_application()
            ),
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


def _diagnostics(
    options: Options,
    client: KubeClient,
    fleet: FleetView,
    metrics: diagnostics.Metrics,
    clock: Clock,
) -> HttpServer:
    """Serve plainly where one of the two flags says so, else by TLS to whom the API allows it."""
    address = options.metrics_bind_addr or options.diagnostics_address
    if options.insecure_diagnostics or options.metrics_bind_addr:
        application = diagnostics.diagnostics_application(metrics, fleet)
        return HttpServer("--diagnostics-address", address, application)
    guarded = guard(Gatekeeper(client, steady_clock))
    application = diagnostics.diagnostics_application(metrics, fleet, [guarded])
    return HttpServer("--diagnostics-address", address, application, _self_signed(clock()))


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
