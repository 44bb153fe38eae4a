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
from capim.server.endpoints import Asked, Control
from capim.server.exchange import TEXT, TOO_MANY_REQUESTS, Response
from capim.server.handlers import error_response, respond
from capim.server.impersonation import impersonated
from capim.server.listing import parse_selectors
from capim.server.negotiation import error_media_of
from capim.server.recurring import RecurringRequests, counted_as, is_pretty
from capim.server.routes import PageNotFound, PathInfo, parse_query
from capim.server.tally import Tally
from capim.server.trouble import Trouble
from capim.server.warnings import with_warnings
from capim.server.watch import WatchSession, plan_watch, refuse_watch

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from capim.api.identity import User
    from capim.runtime.authorization import Authorizer
    from capim.runtime.objects import Stored
    from capim.server.http import Exchange
    from capim.server.metrics import Metrics
    from capim.server.recurring import Recurring
    from capim.server.requestlog import RequestLog
    from capim.server.routes import RequestInfo
    from capim.server.served import Served

_log = structlog.get_logger(__name__)

#: what is refused behind Go's server, by the API's own handlers
_REFUSALS: Final = {413: "RequestEntityTooLarge", 504: "Timeout"}
#: of a version that is forgotten: told within a watch
_GONE: Final = 410


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
        self._requests = RecurringRequests(served.group.resources)
        self._trouble = Trouble(self._asked, self._serve, self._refuse, self._show, served)
        self._second = 0
        self._date = b""

    def handle(self, exchange: Exchange) -> None:
        """Answer an exchange, or let happen to it what is declared."""
        faults = self._served.faults
        if faults is None:
            self._serve(exchange)
        else:
            self._trouble.handle(exchange, faults)

    def follow_faults(self) -> None:
        """Let go of who waits for a fault that acts no more, and see what reads are to show."""
        self._trouble.follow(self._served.faults)

    def _serve(self, exchange: Exchange) -> None:
        """Answer an exchange; every refusal is a Status."""
        started = time.perf_counter()
        request: Recurring | None = None
        try:
            user = self._user(exchange)
            request = self._asked(exchange)
            code = self._answer(exchange, request, user)
        except APIError as error:
            code = error.code
            if self._served.unserved and isinstance(error, PageNotFound):
                error = no_such_resource(self._served.unserved)
            exchange.respond(self._warned(self._refused(exchange, error), exchange, request))
        except RecursionError:
            code = 400
            too_deep = bad_request("the body of the request is nested too deeply")
            exchange.respond(self._warned(self._refused(exchange, too_deep), exchange, request))
        except Exception:
            _log.exception("request failed", cluster=self._served.name, method=exchange.method)
            code = 500
            why = "Internal error occurred: see the worker's log"
            exchange.respond(error_response(APIError("InternalError", 500, why)))
        self._count(request, code, time.perf_counter() - started)
        if self._request_log is not None:
            self._request_log.answered(self._served.name, exchange, code)

    def _asked(self, exchange: Exchange) -> Recurring:
        return self._requests.find(self._group.resources, exchange)

    def _show(self, exchange: Exchange, stored: Stored, request: Recurring) -> None:
        """Answer a request with an object as it was."""
        writer = request.writer(exchange.headers, self._clock)
        response = Response(200, stored.document())
        exchange.respond(response if writer is None else writer.response(response))
        self._count(request, response.status, 0.0)

    def _refuse(self, exchange: Exchange, error: APIError, request: Recurring) -> None:
        """Answer a request with an error that none of its own has caused."""
        info = request.info
        if error.code == TOO_MANY_REQUESTS.status:
            exchange.respond(TOO_MANY_REQUESTS)
        elif not isinstance(info, PathInfo) and info.verb == "watch" and error.code == _GONE:
            try:
                writer = request.writer(exchange.headers, self._clock)
                refuse_watch(exchange, info, error, writer)
            except APIError as unacceptable:  # a form that there is none of
                exchange.respond(self._refused(exchange, unacceptable))
        else:
            exchange.respond(self._refused(exchange, error))
        self._count(request, error.code, 0.0)
        if self._request_log is not None:
            self._request_log.answered(self._served.name, exchange, error.code)

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

    def _answer(self, exchange: Exchange, request: Recurring, user: User) -> int:
        info = request.info
        if isinstance(info, PathInfo):
            response = paths.answer(exchange, info, self._control)
        elif info.verb == "watch":
            self._watch(exchange, request, info)
            return 200
        elif info.subresource == "portforward" and self._connect is not None:
            self._connect(exchange, info)
            return 101
        else:
            writer = request.writer(exchange.headers, self._clock)
            answered = self._respond(exchange, request, info, user)
            if answered is None:
                return 200
            response = answered if writer is None else writer.response(answered)
            response = compressed(self._warned(response, exchange, request), exchange.headers)
        exchange.respond(response)
        return response.status

    def _watch(self, exchange: Exchange, request: Recurring, info: RequestInfo) -> None:
        selectors = parse_selectors(info)
        plan = plan_watch(info, self._rng)
        writer = request.writer(exchange.headers, self._clock)
        session = WatchSession(self._group, info, plan, writer)
        session.start(exchange, selectors, self._rng)

    def _check_writable(self) -> None:
        """Refuse what could not be written down. Raises APIError: InternalError."""
        barrier = self._served.barrier
        if barrier is not None and barrier.broken:
            why = f"Internal error occurred: the journal cannot be written: {barrier.broken}"
            raise APIError("InternalError", 500, f"{why}; reads go on, writes when it can be again")

    def _refused(self, exchange: Exchange, error: APIError) -> Response:
        media = error_media_of(exchange.headers.get(b"accept", b"").decode("latin-1"))
        query = parse_query(exchange.target.decode("latin-1").partition("?")[2])
        return error_response(error, media, pretty=is_pretty(exchange.headers, query))

    def _warned(
        self, response: Response, exchange: Exchange, request: Recurring | None
    ) -> Response:
        """Tell the client what a write or the version that it asked for warns of."""
        noted, taken = exchange.warnings, self._group.admitting.take_warnings()
        old = "" if request is None else request.warning
        if not (noted or taken or old):
            return response
        return with_warnings(response, [old, *noted, *taken])

    def _respond(
        self, exchange: Exchange, request: Recurring, info: RequestInfo, user: User
    ) -> Response | None:
        if not request.reads:
            self._check_writable()
        if request.endpoint is not None:
            return request.endpoint(Asked(self._control, exchange, info, user))
        if request.reads:
            return respond(exchange, info, self._group)
        policies = self._group.admitting.policies
        policies.user, policies.dry_run = user, "dryRun" in info.query
        try:
            return respond(exchange, info, self._group)
        finally:
            policies.user = None

    def _count(self, request: Recurring | None, code: int, seconds: float) -> None:
        counted = None if request is None else request.counted.get(code)
        if counted is None:
            info = None if request is None else request.info
            counted = self._metrics.requests(counted_as(info, code, self._cluster))
            if request is not None:
                request.counted[code] = counted
        counted.observe(seconds)
        self._tally.count(counted)
