"""The fake API server of one workload cluster: exchanges in, answers out.

Everything a resource group does is done at once, so most answers are written before `handle` returns;
watches and tunnels live on. One loop, no lock.
"""

from __future__ import annotations

import email.utils
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import structlog

from capim.api.errors import APIError, bad_request, no_such_resource
from capim.api.workload import Authorization
from capim.runtime import bootstrappolicy
from capim.runtime.authorization import AlwaysAllow
from capim.runtime.escalation import Escalation
from capim.runtime.rbac import RoleBased
from capim.server import paths
from capim.server.access import check_access
from capim.server.auth import Authenticator
from capim.server.compression import compressed
from capim.server.endpoints import Asked, Control, endpoint_of
from capim.server.exchange import TEXT, Response
from capim.server.handlers import error_response, respond
from capim.server.impersonation import impersonated
from capim.server.listing import parse_selectors
from capim.server.metrics import RequestLabels
from capim.server.negotiation import PLAIN, error_media_of, form_of
from capim.server.routes import PageNotFound, PathInfo, RequestInfo, parse_query, parse_request
from capim.server.tally import Tally
from capim.server.warnings import deprecation, with_warnings
from capim.server.watch import WatchSession, plan_watch
from capim.server.writers import writer_for

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from capim.api.identity import User
    from capim.runtime.authorization import Authorizer
    from capim.server.http import Exchange
    from capim.server.metrics import Metrics
    from capim.server.requestlog import RequestLog
    from capim.server.routes import Query
    from capim.server.served import Served
    from capim.server.writers import Writer

_log = structlog.get_logger(__name__)

#: parsing a path is a fifth of the price of a GET; a cluster is asked for some tens of paths
_PARSED_LIMIT: Final = 64
#: programs behind which a person sits, as a real server tells them
_PEOPLE: Final = (b"curl", b"Wget", b"Mozilla/5.0")
_READS: Final = frozenset({"get", "list", "watch"})
#: what is refused behind Go's server, by the API's own handlers
_REFUSALS: Final = {413: "RequestEntityTooLarge", 504: "Timeout"}
#: of kinds that are questions: there are none to be shown in a table
_ASKED: Final = ("create",)
_TRUE: Final = frozenset({"1", "true", "True", "TRUE", "t", "T"})


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
            authorizer = roles = RoleBased(served.group)
            served.group.admitting.escalation = Escalation(roles)
        self._authorizes = isinstance(authorizer, RoleBased)
        self._tally = Tally()
        self._control = Control(served, self._authenticator, authorizer, clock, self._tally)
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
            exchange.respond(self._warned(self._refused(exchange, error), exchange, info))
        except RecursionError:
            code = 400
            too_deep = bad_request("the body of the request is nested too deeply")
            exchange.respond(self._warned(self._refused(exchange, too_deep), exchange, info))
        except Exception:
            _log.exception("request failed", cluster=self._served.name, method=exchange.method)
            code = 500
            why = "Internal error occurred: see the worker's log"
            exchange.respond(error_response(APIError("InternalError", 500, why)))
        self._count(info, code, time.perf_counter() - started)
        if self._request_log is not None:
            self._request_log.answered(self._served.name, exchange, code)

    def refuse(self, status: int, message: str) -> Response:
        """Make the answer to what is no request: text as of Go's HTTP server, or a Status."""
        reason = _REFUSALS.get(status)
        if reason is not None:
            return error_response(APIError(reason, status, message))
        text = f"{status} {HTTPStatus(status).phrase}"
        return Response(status, (f"{text}: {message}" if message else text).encode(), TEXT)

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
        headers = exchange.headers
        if (
            b"impersonate-user" in headers
            or b"impersonate-group" in headers
            or b"impersonate-uid" in headers
        ):
            user = impersonated(user, headers, authorizer)
        if self._authorizes:
            check_access(authorizer, user, exchange, self._served.kubernetes_version)
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
        elif info.verb == "watch":
            self._watch(exchange, info)
            return 200
        elif info.subresource == "portforward" and self._connect is not None:
            self._connect(exchange, info)
            return 101
        else:
            writer = self._writer(exchange, info)
            self._check_writable(info)
            answered = self._respond(exchange, info, user)
            if answered is None:
                return 200
            response = answered if writer is None else writer.response(answered)
            response = compressed(self._warned(response, exchange, info), exchange.headers)
        exchange.respond(response)
        return response.status

    def _writer(self, exchange: Exchange, info: RequestInfo) -> Writer | None:
        """Return what makes another form of the answer; None where what is stored is what is sent."""
        form = form_of(
            exchange.headers.get(b"accept", b"").decode("latin-1"),
            watch=info.verb == "watch",
            collection=not info.name,
            custom=info.resource.custom,
            tables=info.resource.verbs != _ASKED,
        )
        pretty = info.verb != "watch" and _is_pretty(exchange, info.query)
        if form is PLAIN and not pretty:
            return None
        return writer_for(form, info, self._clock, pretty=pretty)

    def _watch(self, exchange: Exchange, info: RequestInfo) -> None:
        selectors = parse_selectors(info)
        plan = plan_watch(info, self._rng)
        session = WatchSession(self._group, info, plan, self._writer(exchange, info))
        session.start(exchange, selectors, self._rng)

    def _check_writable(self, info: RequestInfo) -> None:
        """Refuse what could not be written down. Raises APIError: InternalError."""
        barrier = self._served.barrier
        if barrier is not None and barrier.broken and info.verb not in _READS:
            why = f"Internal error occurred: the journal cannot be written: {barrier.broken}"
            raise APIError("InternalError", 500, f"{why}; reads go on, writes when it can be again")

    def _refused(self, exchange: Exchange, error: APIError) -> Response:
        media = error_media_of(exchange.headers.get(b"accept", b"").decode("latin-1"))
        query = parse_query(exchange.target.decode("latin-1").partition("?")[2])
        return error_response(error, media, pretty=_is_pretty(exchange, query))

    def _warned(
        self, response: Response, exchange: Exchange, info: RequestInfo | PathInfo | None
    ) -> Response:
        """Tell the client what a write or the version that it asked for warns of."""
        texts = [*exchange.warnings, *self._group.admitting.take_warnings()]
        if isinstance(info, RequestInfo) and (deprecated := deprecation(info.resource)):
            texts = [deprecated, *texts]
        return with_warnings(response, texts) if texts else response

    def _respond(self, exchange: Exchange, info: RequestInfo, user: User) -> Response | None:
        endpoint = endpoint_of(info)
        if endpoint is None:
            self._group.admitting.policies.user = user
            self._group.admitting.policies.dry_run = "dryRun" in info.query
            try:
                return respond(exchange, info, self._group)
            finally:
                self._group.admitting.policies.user = None
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
        counted = self._metrics.requests(labels)
        counted.observe(seconds)
        self._tally.count(counted)


def _is_pretty(exchange: Exchange, query: Query) -> bool:
    """Tell whether JSON is for the eyes of a person."""
    if asked := query.get("pretty"):
        return asked in _TRUE
    return exchange.headers.get(b"user-agent", b"").startswith(_PEOPLE)
