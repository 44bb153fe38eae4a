"""A watch on its way to a client: first state, live events, bookmarks, and a proper end.

Semantics are those of the Kubernetes API concepts, "Efficient detection of changes" and "Streaming
lists" (KEP-3157). Departures: a watch from a version that is yet to come gets 410 where a real server
waits for it, because here such a version is of an earlier life of the cluster; and a watch ends before
its client's own timeout, so that the connection lives on.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from capim.api.errors import APIError
from capim.api.meta import parse_duration
from capim.runtime.objects import watch_line
from capim.server.listing import parse_options, version_number
from capim.server.warnings import deprecation, warning_headers

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from capim.api.resources import Resource
    from capim.runtime.resourcegroup import ResourceGroup, Watch, WatchEvent
    from capim.server.http import Exchange
    from capim.server.listing import ListOptions, Selectors
    from capim.server.routes import RequestInfo
    from capim.server.streams import Stream
    from capim.server.writers import Writer

#: as a kube-apiserver: between --min-request-timeout and twice that, so that ends do not come together
_TIMEOUT_MIN_S: Final = 1800.0
_BOOKMARK_S: Final = 60.0
_JSON: Final = b"application/json"
#: of a version that is forgotten, and of one that is yet to come
_TOLD_IN_STREAM: Final = frozenset({410, 504})
_INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """What a client asked for, decided before anything is sent."""

    replay_since: int | None  #: the version to go on from; None: the present state comes first
    not_older_than: int  #: the least version of that first state
    live_only: bool  #: from now on, with no past at all
    bookmarks: bool
    initial_events_end: bool
    timeout_s: float


def plan_watch(info: RequestInfo, rng: random.Random) -> WatchPlan:
    """Decide what a watch sends.

    Raises:
        APIError: 400 or 422 for parameters that make no sense, alone or together.
    """
    options = parse_options(info.query, watch=True)
    try:
        version = version_number(options.version)
    except ValueError as error:
        raise APIError("", 500, str(error)) from error  # a real server calls it its own fault
    initial = bool(options.initial_events)
    return WatchPlan(
        replay_since=None if initial else version or None,
        not_older_than=version if initial else 0,
        live_only=not initial and not version,
        bookmarks=options.bookmarks,
        initial_events_end=initial and options.bookmarks,
        timeout_s=_timeout(info, options, rng),
    )


def _timeout(info: RequestInfo, options: ListOptions, rng: random.Random) -> float:
    """Return how long the watch lasts, in seconds.

    client-go sends its HTTP client's timeout as `timeout`. The end comes a little before it: the
    client would close the connection, and pay for a new handshake.
    """
    seconds = options.timeout_s or _TIMEOUT_MIN_S * (1 + rng.random())
    if text := info.query.get("timeout"):
        try:
            client_s = parse_duration(text)
        except ValueError:
            client_s = 0.0
        if client_s > 0:
            seconds = min(seconds, client_s - min(max(0.5, client_s / 20), client_s / 2))
    return seconds


class WatchSession:
    """One client's watch, until either side ends it. One loop, no lock.

    `writer` makes of each line what the client reads instead; a client that reads plain JSON has none,
    and gets the bytes that every such client gets.
    """

    def __init__(
        self,
        group: ResourceGroup,
        info: RequestInfo,
        plan: WatchPlan,
        writer: Writer | None = None,
    ) -> None:
        self._group = group
        self._info = info
        self._plan = plan
        self._writer = writer
        self._stream: Stream | None = None
        self._write: Callable[[bytes], object] = _discard
        self._early: list[bytes] = []  #: events before the stream exists
        self._timers: list[asyncio.TimerHandle] = []

    def start(self, exchange: Exchange, selectors: Selectors, rng: random.Random) -> None:
        """Send the head and all there is by now, then stay until the end.

        Raises:
            APIError: 400 for a field that is none, before anything was sent. What a real server
                learns when the stream has begun is an ERROR event, and the end of the stream.
        """
        try:
            watch, version = self._subscribe(selectors)
        except APIError as error:
            if error.code not in _TOLD_IN_STREAM:
                raise
            refuse_watch(exchange, self._info, error, self._writer)
            return
        stream = self._stream = _begin(exchange, self._info, self._writer)
        if not stream.open:
            watch.close()
            return
        stream.on_lost = lambda: self._end(watch.close)
        self._write = self._writer_to(stream)
        for line in self._early:
            self._write(line)
        self._early = []
        if self._plan.initial_events_end:
            self._write(bookmark(self._info.resource, version, initial_events_end=True))
        self._start_timers(stream, rng)

    def _subscribe(self, selectors: Selectors) -> tuple[Watch, int]:
        """Return the group's watch, and the version from which it goes on."""
        self._group.check_not_future(self._plan.not_older_than)
        since = self._plan.replay_since
        if since is None:
            since = self._group.resource_version
            if not self._plan.live_only:
                since = self._add_present(selectors)
        watch = self._group.watch(
            self._info.resource,
            self._info.namespace,
            self._on_event,
            labels=selectors.labels,
            fields=selectors.fields,
            since=since,
        )
        return watch, since

    def _start_timers(self, stream: Stream, rng: random.Random) -> None:
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(self._plan.timeout_s, stream.close))
        if self._plan.bookmarks:
            self._timers.append(
                loop.call_later(_BOOKMARK_S * (0.5 + rng.random() / 2), self._bookmark)
            )

    def _writer_to(self, stream: Stream) -> Callable[[bytes], object]:
        writer = self._writer
        if writer is None:
            return stream.write
        return lambda line: stream.write(writer.line(line))

    def _add_present(self, selectors: Selectors) -> int:
        page = self._group.list(
            self._info.resource,
            self._info.namespace,
            labels=selectors.labels,
            fields=selectors.fields,
        )
        self._early = [watch_line("ADDED", it) for it in page.items]
        return page.resource_version

    def _on_event(self, event: WatchEvent) -> None:
        if self._stream is None:
            self._early.append(event.line)
        else:
            self._write(event.line)

    def _bookmark(self) -> None:
        if self._stream is not None:
            self._write(bookmark(self._info.resource, self._group.resource_version))
            self._timers[-1] = asyncio.get_running_loop().call_later(_BOOKMARK_S, self._bookmark)

    def _end(self, close_watch: Callable[[], None]) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers = []
        self._stream = None
        self._write = _discard
        close_watch()


def refuse_watch(
    exchange: Exchange, info: RequestInfo, error: APIError, writer: Writer | None
) -> None:
    """Let a watch begin, say in it what is wrong, and end it."""
    stream = _begin(exchange, info, writer)
    event = {"type": "ERROR", "object": error.status()}
    line = orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
    stream.write(line if writer is None else writer.line(line))
    stream.close()


def _begin(exchange: Exchange, info: RequestInfo, writer: Writer | None) -> Stream:
    content_type = _JSON if writer is None else writer.stream_type
    return exchange.start_stream(200, content_type, warning_headers([deprecation(info.resource)]))


def _discard(_: bytes) -> None:
    """Write to nobody: the stream has not begun, or has ended."""


def bookmark(
    resource: Resource, resource_version: int, *, initial_events_end: bool = False
) -> bytes:
    """Make the line that tells a client how far it has come."""
    metadata: dict[str, Any] = {"resourceVersion": str(resource_version)}
    if initial_events_end:
        metadata["annotations"] = {_INITIAL_EVENTS_END: "true"}
    found = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
    return orjson.dumps({"type": "BOOKMARK", "object": found}) + b"\n"
