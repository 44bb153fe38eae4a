"""The webhook server: TLS and HTTP around `coordinator.admission`.

Certificates come from files that cert-manager (through the kubelet) replaces in place. They are looked
at with every handshake, which costs two `stat` calls and needs neither a timer nor a watch; a pair that
cannot be loaded, such as one caught half written, leaves the one before in use.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

import orjson
import structlog
from aiohttp import web

from capim.certs.contexts import server_context
from coordinator.admission import WEBHOOKS, MalformedReview, answer
from coordinator.httpbounds import BoundedServer
from coordinator.tlsoptions import TLSOptions

_log = structlog.get_logger(__name__)

#: An object and its predecessor, each at etcd's limit of 1.5 MiB, and their envelope: twice that.
MAX_BODY_BYTES: Final = 7 << 20


class CertificateFiles:
    """A certificate and key on disk, as an SSL context that follows them. One loop, no lock."""

    def __init__(self, cert: Path, key: Path, options: TLSOptions) -> None:
        """Load the pair. Raises ValueError naming the file and what to do when it cannot be."""
        self._cert = cert
        self._key = key
        self._options = options
        try:
            self._signature = self._seen()
            self._current = self._load()
        except (OSError, ssl.SSLError) as error:
            raise ValueError(
                f"cannot load the webhook's certificate {cert} with key {key}: {error}:"
                " put a PEM pair there, or name its folder with --webhook-cert-dir"
            ) from error
        #: What listens; every handshake swaps in the current pair.
        self.context = self._load()
        self.context.sni_callback = self._choose

    def _seen(self) -> tuple[tuple[int, int, int], ...]:
        stats = (self._cert.stat(), self._key.stat())
        return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats)

    def _load(self) -> ssl.SSLContext:
        context = server_context(
            self._cert.read_bytes(), self._key.read_bytes(), None, ["http/1.1"]
        )
        self._options.apply(context)
        return context

    def _choose(self, handshake: ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
        self._follow()
        handshake.context = self._current

    def _follow(self) -> None:
        try:
            seen = self._seen()
            if seen == self._signature:
                return
            self._signature = seen
            self._current = self._load()
        except (OSError, ssl.SSLError) as error:
            _log.warning("webhook certificate not reloaded", file=str(self._cert), error=str(error))
        else:
            _log.info("webhook certificate reloaded", file=str(self._cert))


class WebhookServer:
    """Serves defaulting and validation of our kinds to the management API server."""

    def __init__(
        self,
        port: int,
        cert_dir: str | Path,
        cert_name: str = "tls.crt",
        key_name: str = "tls.key",
        tls_min_version: str = "VersionTLS12",
        tls_cipher_suites: str = "",
        bind_host: str = "",
    ) -> None:
        """Plan a server; nothing is read or bound yet.

        Args:
            port: TCP port; 0 takes a free one.
            cert_dir: folder of the certificate and key files.
            cert_name: the certificate's file in it.
            key_name: the key's file in it.
            tls_min_version: `VersionTLS12` or `VersionTLS13`.
            tls_cipher_suites: IANA names separated by commas; empty: the defaults.
            bind_host: address to listen on; empty: all of them.

        Raises:
            ValueError: an unknown TLS version or suite.
        """
        self._port = port
        self._cert = Path(cert_dir) / cert_name
        self._key = Path(cert_dir) / key_name
        self._options = TLSOptions.parse(tls_min_version, tls_cipher_suites)
        self._bind_host = bind_host or None
        self._server = BoundedServer(_application(), grace_s=5.0)

    @property
    def port(self) -> int:
        """The port that is listened on; the planned one before `start`."""
        return self._server.port or self._port

    def ready(self) -> bool:
        """Return whether reviews are answered; the health checks' `webhook`."""
        return self._server.port is not None

    async def start(self) -> None:
        """Load the certificate and listen.

        Raises:
            ValueError: the certificate cannot be loaded; the message says which file.
            OSError: the port is taken.
        """
        files = CertificateFiles(self._cert, self._key, self._options)
        await self._server.start(self._bind_host, self._port, files.context)
        _log.info("webhook server listening", port=self.port)

    async def stop(self) -> None:
        """Finish what is being answered, then close."""
        await self._server.stop()


def _application() -> web.Application:
    application = web.Application(client_max_size=MAX_BODY_BYTES)
    application.router.add_routes([web.post(path, _handle) for path in WEBHOOKS])
    return application


async def _handle(request: web.Request) -> web.Response:
    """Answer a review; 400 with the reason in plain text for what is none."""
    try:
        review = answer(WEBHOOKS[request.path], orjson.loads(await request.read()))
    except orjson.JSONDecodeError as error:
        raise web.HTTPBadRequest(text=f"the body is not JSON: {error}") from error
    except MalformedReview as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    if not review["response"]["allowed"]:
        message = review["response"]["status"]["message"]
        _log.info("object refused", path=request.path, reason=message)
    return web.Response(body=orjson.dumps(review), content_type="application/json")
