"""The fake API server of one workload cluster: exchanges in, answers out.

Everything a resource group does is done at once, so most answers are written before `handle` returns;
watches and tunnels live on. One loop, no lock.
"""

from __future__ import annotations

import email.utils
import time
from typing import TYPE_CHECKING, Final

import structlog

from capim.api.errors import APIError, no_such_resource
from capim.api.workload import Authorization
from capim.runtime import bootstrappolicy
from capim.runtime.authorization import AlwaysAllow
from capim.runtime.rbac import RoleBased
from capim.server import paths
from capim.server.access import check_access
from capim.server.auth import Authenticator
from capim.server.endpoints import Asked, Control, endpoint_of
from capim.server.handlers import error_response, respond
from capim.server.impersonation import impersonated
from capim.server.listing import parse_selectors
from capim.server.metrics import RequestLabels
from capim.server.negotiation import Form, form_of, not_acceptable
from capim.server.routes import PageNotFound, PathInfo, RequestInfo, parse_request
from capim.server.tables import TableWriter
from capim.server.watch import WatchSession, plan_watch

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from capim.api.identity import User
    from capim.runtime.authorization import Authorizer
    from capim.server.http import Exchange, Response
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
        self._authenticator = Authenticator(
            served, clock, anonymous=anonymous or served.authorization is Authorization.RBAC
        )
        authorizer: Authorizer = AlwaysAllow()
        if served.authorization is Authorization.RBAC:
            bootstrappolicy.ensure(served.group)
            authorizer = RoleBased(served.group)
        self._authorizes = isinstance(authorizer, RoleBased)
        self._control = Control(served, self._authenticator, authorizer, clock)
        self._cluster = served.name if metrics.per_cluster else ""
        self._parsed_by = served.group.resources
        self._parsed: dict[tuple[str, bytes], RequestInfo | PathInfo] = {}
        self._second = 0
        self._date = b""

    def handle(self, exchange: Exchange) -> None:
        """Answer an exchange; every refusal is a Status."""
        started = time.perf_counter()
        info: RequestInfo | PathInfo | None = None
        try:
            user = self._user(exchange)
            info = self._parse(exchange)
            code = self._answer(exchange, info, user)
        except APIError as error:
            code = error.code
            if self._served.unserved and isinstance(error, PageNotFound):
                error = no_such_resource(self._served.unserved)
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

    def _user(self, exchange: Exchange) -> User:
        """Tell who asks, or for whom he acts, and let him pass."""
        user = self._authenticator.authenticate(exchange)
        authorizer = self._control.authorizer
        if b"impersonate-user" in exchange.headers or b"impersonate-group" in exchange.headers:
            user = impersonated(user, exchange.headers, authorizer)
        if self._authorizes:
            check_access(authorizer, user, exchange)
        return user

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

    def _answer(self, exchange: Exchange, info: RequestInfo | PathInfo, user: User) -> int:
        if isinstance(info, PathInfo):
            response = paths.answer(exchange, info, self._control)
        elif (form := form_of(exchange.headers.get(b"accept", b""))) is not Form.OBJECT:
            return self._answer_table(exchange, info, form, user)
        elif info.verb == "watch":
            self._watch(exchange, info)
            return 200
        elif info.subresource == "portforward" and self._connect is not None:
            self._connect(exchange, info)
            return 101
        else:
            answered = self._respond(exchange, info, user)
            if answered is None:
                return 200
            response = answered
        exchange.respond(response)
        return response.status

    def _answer_table(self, exchange: Exchange, info: RequestInfo, form: Form, user: User) -> int:
        """Answer as `_answer` does, in rows and columns."""
        if form is Form.NOTHING:
            raise not_acceptable()
        writer = TableWriter(info, self._clock)
        if info.verb == "watch":
            self._watch(exchange, info, writer.line)
            return 200
        plain = self._respond(exchange, info, user)
        if plain is None:
            return 200
        response = writer.response(plain)
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

    def _respond(self, exchange: Exchange, info: RequestInfo, user: User) -> Response | None:
        endpoint = endpoint_of(info)
        if endpoint is None:
            return respond(exchange, info, self._group)
        return endpoint(Asked(self._control, exchange, info, user))

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
