"""pods/portforward of the fake pods: which of a cluster's own servers a forwarded port reaches.

In kube-system `etcd-<node>` answers on 2379 with that member's etcd, `kube-apiserver-<node>` on its port
with the API server, each behind its own TLS as in a real control plane. Other pods run nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from capim.api.errors import bad_request
from capim.server.tlsbio import TlsOverProtocol
from capim.server.tunnel import TunnelSession, upgrade

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from capim.runtime.resourcegroup import ResourceGroup
    from capim.server.http import Exchange
    from capim.server.routes import RequestInfo
    from capim.server.tls import Contexts

_NAMESPACE: Final = "kube-system"
_ETCD_PORT: Final = 2379
_API_PORT: Final = 6443


class Forwarder:
    """Takes over port-forward requests of one cluster.

    `protocol_for` makes what serves a connection after its handshake, None refuses it; `api_port` is
    the one port beside 6443 on which the API server answers: the endpoint's.
    """

    def __init__(
        self,
        group: ResourceGroup,
        contexts: Contexts,
        protocol_for: Callable[[ssl.SSLObject], asyncio.Protocol | None],
        api_port: Callable[[], int],
    ) -> None:
        self._group = group
        self._contexts = contexts
        self._protocol_for = protocol_for
        self._api_port = api_port

    def connect(self, exchange: Exchange, info: RequestInfo) -> None:
        """Upgrade the exchange's connection.

        Raises:
            APIError: 404, the pod is not there; 400 or 403, the upgrade cannot be granted.
        """
        namespace, pod = info.namespace or "", info.name
        self._group.get(info.resource, namespace, pod)
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in exchange.headers.items()
        }
        reply = upgrade(headers)
        if reply is None:
            raise bad_request("Upgrade request required")
        websocket = reply.websocket

        def session(transport: asyncio.Transport) -> TunnelSession:
            return TunnelSession.over(
                transport,
                lambda port, _: self._server(namespace, pod, port),
                websocket=websocket,
                pod=f"{namespace}/{pod}",
            )

        exchange.upgrade(reply.headers, session)

    def _server(self, namespace: str, pod: str, port: int) -> asyncio.Protocol | None:
        """Make the TLS server behind a pod's port; None: nothing listens there."""
        context: ssl.SSLContext | None = None
        if namespace != _NAMESPACE:
            return None  # a namesake that anybody may have made
        if port == _ETCD_PORT and pod.startswith("etcd-"):
            context = self._contexts.etcd(pod.removeprefix("etcd-"))
        elif port in {_API_PORT, self._api_port()} and pod.startswith("kube-apiserver-"):
            context = self._contexts.api()
        if context is None:
            return None

        return TlsOverProtocol(context, lambda client: self._protocol_for(client) or _Refused())


class _Refused(asyncio.Protocol):
    """Ends a connection that nobody serves."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
