"""The management cluster as a person reaches it: by a kubeconfig and its context."""

from __future__ import annotations

import contextlib
import random
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from capim import __version__
from capim.aio.clock import steady_clock
from capim.api.errors import APIError
from capim.api.meta import JsonObject
from capim.cli.commandline import CommandError
from capim.dialer import ApiServer
from coordinator.controllers.objects import CLUSTER_API_VERSIONS, cluster_api_version
from coordinator.kube import config
from coordinator.kube.client import KubeClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kubernetes.aio.client import Configuration

    from capim.cli.commandline import Where


@dataclass(frozen=True, slots=True)
class Management:
    """A management cluster."""

    client: KubeClient
    api: ApiServer  #: the same server, for port-forwards
    url: str
    namespace: str  #: of the context
    local: JsonObject = field(
        default_factory=dict
    )  #: of a manager beside us: `debugAddress`, `log`

    async def cluster_api(self) -> str:
        """Return the version of Cluster API's kinds to ask for.

        Raises:
            CommandError: there is no Cluster API here.
        """
        found = await cluster_api_version(self.client)
        if found is None:
            raise CommandError(
                f"{self.url} has no Cluster API: name a management cluster by --kubeconfig or"
                f" --context, or install it: clusterctl init (served would be"
                f" {' or '.join(CLUSTER_API_VERSIONS)})"
            )
        return found


@contextlib.asynccontextmanager
async def connected(where: Where) -> AsyncIterator[Management]:
    """Hand out the management cluster that is meant.

    Raises:
        ConfigError: there is no usable kubeconfig.
    """
    access = await config.load(where.kubeconfig, context=where.context)
    # a person waits: what cannot be reached at once is said at once
    client = KubeClient(
        access.configuration,
        user_agent=f"capim/{__version__}",
        qps=0,
        burst=1,
        clock=steady_clock,
        rng=random.Random(),  # noqa: S311 - backoff, not secrets
        read_attempts=1,
    )
    try:
        api = _api_server(access.configuration)
        config.remove_key_files()
        context = _context(access.loader)
        namespace = context.get("namespace") or "default"
        yield Management(client, api, access.configuration.host, namespace, _local(context))
    finally:
        await client.close()


def _context(loader: Any) -> JsonObject:
    context: JsonObject = loader.current_context["context"] if loader is not None else {}
    return context


def _local(context: JsonObject) -> JsonObject:
    for entry in context.get("extensions") or ():
        if entry.get("name") == config.EXTENSION:
            found: JsonObject = entry.get("extension") or {}
            return found
    return {}


def _api_server(configuration: Configuration) -> ApiServer:
    address = urlsplit(configuration.host)
    secure = address.scheme == "https"
    return ApiServer(
        address.hostname or "",
        address.port or (443 if secure else 80),
        _ssl_context(configuration) if secure else None,
        getattr(configuration, "tls_server_name", None),
        (configuration.api_key.get("BearerToken") or "").removeprefix("Bearer "),
        address.path.rstrip("/"),
    )


def _ssl_context(configuration: Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert or None)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


async def find(management: Management, path: str) -> JsonObject | None:
    """Read a path; None for what is not there."""
    try:
        return await management.client.get_path(path)
    except APIError as error:
        if error.code != 404:
            raise
        return None
