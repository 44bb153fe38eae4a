"""Which requests reach the fake servers: a debug line for each, for whoever studies a client.

On from `--v 6` of a worker, as client-go logs its own requests from there. Bodies are left out: they hold
Secrets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from capim.server.http import Exchange

_log = structlog.get_logger(__name__)

#: as `k8s.io/client-go/rest` shows URLs and codes from this value of `--v`
VERBOSITY: Final = 6


class RequestLog:
    """Writes the line `request`. No state."""

    def answered(self, cluster: str, exchange: Exchange, code: int) -> None:
        """Log an answer of an API server; watches and tunnels are logged when they begin."""
        path, _, query = exchange.target.decode("latin-1").partition("?")
        headers = exchange.headers
        _log.debug(
            "request",
            cluster=cluster,
            method=exchange.method,
            path=path,
            query=query,
            code=code,
            content_type=headers.get(b"content-type", b"").decode("latin-1"),
            accept=headers.get(b"accept", b"").decode("latin-1"),
            agent=headers.get(b"user-agent", b"").decode("latin-1"),
        )

    def etcd_called(self, cluster: str, method: str) -> None:
        """Log a call of a fake etcd by its gRPC method's name."""
        _log.debug("request", cluster=cluster, etcd=method)


def request_log(verbosity: int) -> RequestLog | None:
    """Return the log for a value of `--v`; None: nothing is logged."""
    return RequestLog() if verbosity >= VERBOSITY else None
