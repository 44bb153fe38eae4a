"""What befalls requests while faults are declared: the loop's part of `capim.runtime.faults`.

In front of the API server, so that nothing of it runs while there are none. A request that waits keeps
its connection, as one that a real server is slow with. One loop, no lock.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from capim.api.errors import APIError, conflict, expired, not_found, qualified
from capim.api.faults import Effect
from capim.runtime.etcdmembers import AlarmType
from capim.runtime.faults import Asked
from capim.server.routes import PathInfo, RequestInfo
from capim.wire.selectors import FieldSelector

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.faults import Fault
    from capim.runtime.faults import FaultBook, Verdict
    from capim.runtime.objects import Stored
    from capim.server.exchange import Exchange
    from capim.server.recurring import Recurring
    from capim.server.served import Served

    Info = RequestInfo | PathInfo


#: as long as etcd itself waits for the other members: 5 s and two elections
_ETCD_TIMEOUT_S: Final = 7.0
#: twice as many as there can be connections: half of them at least are gone then
_WAITING_LIMIT: Final = 2000
_DELETIONS: Final = frozenset({"delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A request that is held up."""

    by: tuple[str, ...]  #: uids of faults; none: by an etcd that cannot write
    timer: asyncio.TimerHandle | None  #: None: there will be no answer


class Trouble:
    """Lets the faults of a cluster act on its requests."""

    def __init__(
        self,
        parse: Callable[[Exchange], Recurring],
        serve: Callable[[Exchange], None],
        refuse: Callable[[Exchange, APIError, Recurring], None],
        show: Callable[[Exchange, Stored, Recurring], None],
        served: Served,
    ) -> None:
        """Stand before a server.

        Args:
            parse: tells what a request asks for, or raises APIError.
            serve: answers it as if there were no faults.
            refuse: answers it with an error.
            show: answers it with an object.
            served: the cluster.
        """
        self._parse = parse
        self._serve = serve
        self._refuse = refuse
        self._show = show
        self._etcd = served.etcd
        self._group = served.group
        self._frozen_at: int | None = None  #: the version that stale reads show
        self._waiting: dict[Exchange, _Waiting] = {}

    def handle(self, exchange: Exchange, faults: FaultBook) -> None:
        """Serve a request, late or not at all where a fault says so."""
        try:
            request = self._parse(exchange)
        except APIError:
            self._serve(exchange)  # which tells the client what is wrong with it
            return
        verdict = faults.befall(_asked(exchange, request.info))
        if verdict is not None:
            act = partial(self._act, request, verdict)
            self._after(verdict.delay_s, exchange, verdict.by, act)
        elif (error := self._error_of_etcd(request)) is not None:
            delay_s = 0.0 if self._etcd.has_quorum else _ETCD_TIMEOUT_S
            self._after(delay_s, exchange, (), partial(self._fail, request, error))
        else:
            self._serve(exchange)
            if faults.of_cluster(Effect.WATCHES_STALLED) is not None:
                exchange.stall()

    def follow(self, faults: FaultBook | None) -> None:
        """Let go of who waits for a fault that acts no more: he is served, who got no answer is reset."""
        self._freeze(faults)
        for exchange, waiting in list(self._waiting.items()):
            if not waiting.by and not self._etcd.has_quorum:
                continue
            if waiting.by and faults is not None and all(map(faults.acts, waiting.by)):
                continue
            del self._waiting[exchange]
            if waiting.timer is None:
                exchange.reset()
            else:
                waiting.timer.cancel()
                self._serve(exchange)

    def _freeze(self, faults: FaultBook | None) -> None:
        """Remember the version at which reads became stale, for as long as they are."""
        if faults is None or not faults.has_acting(Effect.STALE_READS):
            self._frozen_at = None
        elif self._frozen_at is None:
            self._frozen_at = self._group.resource_version

    def _show_past(self, request: Recurring, exchange: Exchange) -> None:
        """Answer a read with what was there; history that is forgotten is as it is now."""
        info, version = request.info, self._frozen_at
        if version is None or isinstance(info, PathInfo) or info.subresource:
            self._serve(exchange)
        elif info.verb == "list":
            exchange.target = _at_version(exchange.target, version)
            self._serve(exchange)
        else:
            self._show_one(request, info, version, exchange)

    def _show_one(
        self, request: Recurring, info: RequestInfo, version: int, exchange: Exchange
    ) -> None:
        named = FieldSelector.parse(f"metadata.name={info.name}")
        try:
            page = self._group.list(info.resource, info.namespace, fields=named, at=version)
        except APIError:
            self._serve(exchange)
            return
        if page.items:
            self._show(exchange, page.items[0], request)
        else:
            resource = info.resource
            gone = not_found(resource.plural, resource.group, info.name)
            self._refuse(exchange, gone, request)

    def _after(
        self,
        delay_s: float,
        exchange: Exchange,
        by: tuple[str, ...],
        act: Callable[[Exchange], None],
    ) -> None:
        if delay_s <= 0:
            act(exchange)
            return

        def due() -> None:
            self._waiting.pop(exchange, None)
            act(exchange)

        timer = asyncio.get_running_loop().call_later(delay_s, due)
        self._hold(exchange, _Waiting(by, timer))

    def _hold(self, exchange: Exchange, waiting: _Waiting) -> None:
        """Remember who waits, and forget those who have given up before there are too many of them."""
        if len(self._waiting) >= _WAITING_LIMIT:
            self._waiting = {it: held for it, held in self._waiting.items() if not it.is_lost}
        self._waiting[exchange] = waiting

    def _act(self, request: Recurring, verdict: Verdict, exchange: Exchange) -> None:
        fault = verdict.fault
        if fault is None:
            self._serve(exchange)
        elif fault.effect is Effect.CONNECTION_RESET:
            exchange.reset()
        elif fault.effect is Effect.SLOW_BODY:
            exchange.slow_down(fault.latency_s)
            self._serve(exchange)
        elif fault.effect is Effect.STALE_READS:
            self._show_past(request, exchange)
        elif fault.effect is Effect.HANGING:
            self._hold(exchange, _Waiting(verdict.by, None))
        else:
            self._refuse(exchange, _ERRORS[fault.effect](fault, request.info), request)

    def _fail(self, request: Recurring, error: APIError, exchange: Exchange) -> None:
        self._refuse(exchange, error, request)

    def _error_of_etcd(self, request: Recurring) -> APIError | None:
        """Return why etcd would not take what is asked for, None where it would or is not asked."""
        etcd, info = self._etcd, request.info
        if etcd.trouble is None or isinstance(info, PathInfo):
            return None
        if not etcd.has_quorum and not _is_cached(info):
            return APIError("", 500, "etcdserver: request timed out")
        if request.reads:
            return None
        alarms = {kind for _, kind in etcd.alarms}
        if AlarmType.CORRUPT in alarms:
            return APIError("", 500, "etcdserver: corrupt cluster")
        if AlarmType.NOSPACE in alarms and info.verb not in _DELETIONS:
            return APIError("", 500, "etcdserver: mvcc: database space exceeded")
        return None


def _at_version(target: bytes, version: int) -> bytes:
    """Return a list's target that asks for this version; one that names a past of its own stays."""
    path, _, query = target.partition(b"?")
    parts = [part for part in query.split(b"&") if part and part != b"resourceVersion=0"]
    if any(part.startswith((b"resourceVersion", b"continue=")) for part in parts):
        return target
    exact = b"resourceVersion=%d&resourceVersionMatch=Exact" % version
    return path + b"?" + b"&".join([*parts, exact])


def _is_cached(info: RequestInfo) -> bool:
    """Tell whether a kube-apiserver answers without asking etcd: watches, and reads of any version."""
    return info.verb == "watch" or (
        info.verb in {"get", "list"} and "resourceVersion" in info.query
    )


def _asked(exchange: Exchange, info: Info) -> Asked:
    agent = exchange.headers.get(b"user-agent", b"").decode("latin-1")
    if isinstance(info, PathInfo):
        return Asked(exchange.method.lower(), user_agent=agent)
    resource = info.resource
    return Asked(
        info.verb, qualified(resource.plural, resource.group), info.subresource, user_agent=agent
    )


# --- errors, as a kube-apiserver words them; where it has room for a cause, it is the fault's name ---


def _internal(fault: Fault, _: Info) -> APIError:
    cause = f"fault {fault.name}"
    details = {"causes": [{"message": cause}]}
    return APIError("InternalError", 500, f"Internal error occurred: {cause}", details=details)


def _unavailable(fault: Fault, _: Info) -> APIError:
    return APIError("ServiceUnavailable", 503, f"fault {fault.name}")


def _timeout(_fault: Fault, _: Info) -> APIError:
    text = "Timeout: request did not complete within the allotted timeout"
    return APIError("Timeout", 504, text, details={})


def _too_many(_fault: Fault, _: Info) -> APIError:
    return APIError("TooManyRequests", 429, "Too many requests, please try again later.")


def _conflict(_fault: Fault, info: Info) -> APIError:
    if isinstance(info, PathInfo):
        return APIError("Conflict", 409, "Operation cannot be fulfilled")
    return conflict(info.resource.plural, info.resource.group, info.name)


def _expired(_fault: Fault, _: Info) -> APIError:
    return expired("too old resource version")


_ERRORS: Final[dict[Effect, Callable[[Fault, Info], APIError]]] = {
    Effect.INTERNAL_ERROR: _internal,
    Effect.SERVICE_UNAVAILABLE: _unavailable,
    Effect.TIMEOUT: _timeout,
    Effect.TOO_MANY_REQUESTS: _too_many,
    Effect.CONFLICT: _conflict,
    Effect.EXPIRED: _expired,
}
