"""The fake API server of one workload cluster: exchanges in, answers out.

Everything a resource group does is done at once, so most answers are written before `handle` returns;
watches and tunnels live on. One loop, no lock.
"""

from __future__ import annotations

import email.utils
import time
from typing import TYPE_CHECKING, Final

import orjson
import structlog

from capim.api.errors import APIError, method_not_allowed, no_such_resource
from capim.server import discovery as documents
from capim.server.auth import Authenticator
from capim.server.documents import cached_response
from capim.server.handlers import error_response, respond
from capim.server.http import Response
from capim.server.listing import parse_selectors
from capim.server.metrics import RequestLabels
from capim.server.negotiation import Form, form_of, not_acceptable
from capim.server.routes import PathInfo, RequestInfo, parse_request
from capim.server.tables import TableWriter
from capim.server.watch import WatchSession, plan_watch

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from capim.api.resources import ResourceTable
    from capim.server.discovery import Discovery
    from capim.server.http import Exchange
    from capim.server.metrics import Metrics
    from capim.server.requestlog import RequestLog
    from capim.server.served import Served

_log = structlog.get_logger(__name__)

#: parsing a path is a fifth of the price of a GET; a cluster is asked for some tens of paths
_PARSED_LIMIT: Final = 64


class ApiServer:
    """Answers for one cluster, on any number of connections.

    `connect` takes over pods/portforward; without it tunnels are refused.
    """

    def __init__(
        self,
        served: Served,
        metrics: Metrics,
        *,
        clock: Callable[[], float],
        rng: random.Random,
        connect: Callable[[Exchange, RequestInfo], None] | None = None,
        anonymous: bool = False,
        request_log: RequestLog | None = None,
    ) -> None:
        self._served = served
        self._group = served.group
        self._metrics = metrics
        self._clock = clock
        self._rng = rng
        self._connect = connect
        self._request_log = request_log
        self._authenticator = Authenticator(served.group, clock, anonymous=anonymous)
        self._cluster = served.name if metrics.per_cluster else ""
        self._documents: tuple[ResourceTable, Discovery] | None = None
        self._parsed_by = served.group.resources
        self._parsed: dict[tuple[str, bytes], RequestInfo | PathInfo] = {}
        self._second = 0
        self._date = b""

    def handle(self, exchange: Exchange) -> None:
        """Answer an exchange; every refusal is a Status."""
        started = time.perf_counter()
        info: RequestInfo | PathInfo | None = None
        try:
            self._authenticator.authenticate(exchange)
            info = self._parse(exchange)
            code = self._answer(exchange, info)
        except APIError as error:
            code = error.code
            exchange.respond(error_response(error))
        except Exception:
            _log.exception("request failed", cluster=self._served.name, method=exchange.method)
            code = 500
            why = "Internal error occurred: see the worker's log"
            exchange.respond(error_response(APIError("InternalError", 500, why)))
        self._count(info, code, time.perf_counter() - started)
        if self._request_log is not None:
            self._request_log.answered(self._served.name, exchange, code)

    def refuse(self, status: int, message: str) -> Response:
        """Make the answer to what is no request."""
        reason = {413: "RequestEntityTooLarge"}.get(status, "BadRequest")
        return error_response(APIError(reason, status, message))

    def date(self) -> bytes:
        """Return the Date header's value, made once a second."""
        now = int(self._clock())
        if now != self._second:
            self._second = now
            self._date = email.utils.formatdate(now, usegmt=True).encode()
        return self._date

    def _parse(self, exchange: Exchange) -> RequestInfo | PathInfo:
        """Tell what is asked for; informers and controllers ask for the same again and again."""
        table = self._group.resources
        if table is not self._parsed_by:
            self._parsed_by = table
            self._parsed.clear()
        key = (exchange.method, exchange.target)
        info = self._parsed.get(key)
        if info is None:
            info = parse_request(table, exchange.method, exchange.target.decode("latin-1"))
            if len(self._parsed) >= _PARSED_LIMIT:
                self._parsed.clear()
            self._parsed[key] = info
        return info

    def _answer(self, exchange: Exchange, info: RequestInfo | PathInfo) -> int:
        if isinstance(info, PathInfo):
            response = self._document(exchange, info)
        elif (form := form_of(exchange.headers.get(b"accept", b""))) is not Form.OBJECT:
            return self._answer_table(exchange, info, form)
        elif info.verb == "watch":
            self._watch(exchange, info)
            return 200
        elif info.subresource == "portforward" and self._connect is not None:
            self._connect(exchange, info)
            return 101
        else:
            response = respond(exchange, info, self._group)
        exchange.respond(response)
        return response.status

    def _answer_table(self, exchange: Exchange, info: RequestInfo, form: Form) -> int:
        """Answer as `_answer` does, in rows and columns."""
        if form is Form.NOTHING:
            raise not_acceptable()
        writer = TableWriter(info, self._clock)
        if info.verb == "watch":
            self._watch(exchange, info, writer.line)
            return 200
        response = writer.response(respond(exchange, info, self._group))
        exchange.respond(response)
        return response.status

    def _watch(
        self,
        exchange: Exchange,
        info: RequestInfo,
        rewrite: Callable[[bytes], bytes] | None = None,
    ) -> None:
        plan = plan_watch(info, self._group, self._rng)
        session = WatchSession(self._group, info, plan, rewrite)
        session.start(exchange, parse_selectors(info), self._rng)

    def _document(self, exchange: Exchange, info: PathInfo) -> Response:
        """Answer a path that is no resource."""
        if exchange.method not in {"GET", "HEAD"}:
            raise method_not_allowed()
        path = info.path.rstrip("/") or "/"
        if path == "/":
            return Response(200, orjson.dumps({"paths": self._discovery().paths()}))
        if path == "/version":
            return Response(200, documents.version_document(self._served.kubernetes_version()))
        if path.startswith(documents.HEALTH_PATHS):
            return self._health(path, info)
        accept = exchange.headers.get(b"accept", b"").decode("latin-1")
        address = exchange.headers.get(b"host", b"").decode("latin-1")
        found = self._discovery().document(path, accept, address)
        if found is None:
            raise no_such_resource()
        return cached_response(exchange, found)

    def _health(self, path: str, info: PathInfo) -> Response:
        if path not in documents.HEALTH_PATHS and path.rpartition("/")[2] not in documents.CHECKS:
            raise no_such_resource()
        body = documents.health_document(path, verbose="verbose" in info.query)
        return Response(200, body, b"text/plain; charset=utf-8")

    def _discovery(self) -> Discovery:
        table = self._group.resources
        if self._documents is None or self._documents[0] is not table:
            self._documents = (table, documents.discovery_of(table))
        return self._documents[1]

    def _count(self, info: RequestInfo | PathInfo | None, code: int, seconds: float) -> None:
        if isinstance(info, RequestInfo):
            resource = info.resource
            scope = "cluster" if info.namespace is None else "namespace"
            labels = RequestLabels(
                info.verb,
                resource.group,
                resource.version,
                resource.plural,
                info.subresource,
                "resource" if info.name else scope,
                info.query.get("dryRun", "") and "All",
                str(code),
                self._cluster,
            )
        else:
            labels = RequestLabels("", "", "", "", "", "", "", str(code), self._cluster)
        self._metrics.requests(labels).observe(seconds)
