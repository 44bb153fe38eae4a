"""A watch on its way to a client: first state, live events, bookmarks, and a proper end.

Semantics are those of the Kubernetes API concepts, "Efficient detection of changes" and "Streaming
lists" (KEP-3157). A refusal (410 for a version that is not held) is raised before the stream begins,
so that it is an HTTP status and not an event.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from capim.api.errors import invalid
from capim.api.meta import parse_duration
from capim.server.listing import parse_version
from capim.server.routes import integer, is_true

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from capim.api.resources import Resource
    from capim.runtime.resourcegroup import ResourceGroup, WatchEvent
    from capim.server.http import Exchange
    from capim.server.listing import Selectors
    from capim.server.routes import RequestInfo
    from capim.server.streams import Stream

#: as a kube-apiserver: between --min-request-timeout and twice that, so that ends do not come together
_TIMEOUT_MIN_S: Final = 1800.0
_BOOKMARK_S: Final = 60.0
_JSON: Final = b"application/json"
_INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """What a client asked for, decided before anything is sent."""

    replay_since: int | None  #: the version to go on from; None: the present state comes first
    live_only: bool  #: from now on, with no past at all
    bookmarks: bool
    initial_events_end: bool
    timeout_s: float


def plan_watch(info: RequestInfo, group: ResourceGroup, rng: random.Random) -> WatchPlan:
    """Decide what a watch sends.

    Raises:
        APIError: 400 or 422 for parameters that make no sense together, 504 for a version that this
            cluster has not reached.
    """
    query = info.query
    version = parse_version(query.get("resourceVersion"))
    bookmarks = is_true(query.get("allowWatchBookmarks"))
    timeout_s = _timeout(info, rng)
    wants_initial = _send_initial_events(info)
    since, live_only, marks_end = (
        version or None,
        False,
        False,
    )  # unset and "0": any state, then live
    if wants_initial is not None:
        if version is not None:
            group.check_not_future(version)
        since = None if wants_initial else since
        live_only = not wants_initial and since is None
        marks_end = wants_initial and bookmarks
    return WatchPlan(since, live_only, bookmarks, marks_end, timeout_s)


def _send_initial_events(info: RequestInfo) -> bool | None:
    text = info.query.get("sendInitialEvents")
    match = info.query.get("resourceVersionMatch")
    if not text:
        if match:
            _forbid(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            )
        return None
    if match != "NotOlderThan":
        _forbid(
            "resourceVersionMatch",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        )
    return is_true(text)


def _forbid(field: str, why: str) -> None:
    raise invalid("ListOptions", "meta.k8s.io", "", [(field, f"Forbidden: {why}")])


def _timeout(info: RequestInfo, rng: random.Random) -> float:
    """Return how long the watch lasts, in seconds.

    client-go sends its HTTP client's timeout as `timeout`. The end comes a little before it: the
    client would close the connection, and pay for a new handshake.
    """
    seconds = float(integer(info.query, "timeoutSeconds") or 0)
    seconds = seconds or _TIMEOUT_MIN_S * (1 + rng.random())
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

    `rewrite` makes of each line what the client reads instead; a client that reads plain objects has
    none, and gets the bytes that every such client gets.
    """

    def __init__(
        self,
        group: ResourceGroup,
        info: RequestInfo,
        plan: WatchPlan,
        rewrite: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._group = group
        self._info = info
        self._plan = plan
        self._rewrite = rewrite
        self._stream: Stream | None = None
        self._write: Callable[[bytes], object] = _discard
        self._early: list[bytes] = []  #: events before the stream exists
        self._timers: list[asyncio.TimerHandle] = []

    def start(self, exchange: Exchange, selectors: Selectors, rng: random.Random) -> None:
        """Send the head and all there is by now, then stay until the end.

        Raises:
            APIError: 410, before anything was sent.
        """
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
        stream = self._stream = exchange.start_stream(200, _JSON)
        if not stream.open:
            watch.close()
            return
        stream.on_lost = lambda: self._end(watch.close)
        self._write = self._writer_to(stream)
        for line in self._early:
            self._write(line)
        self._early = []
        if self._plan.initial_events_end:
            self._write(bookmark(self._info.resource, since, initial_events_end=True))
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(self._plan.timeout_s, stream.close))
        if self._plan.bookmarks:
            self._timers.append(
                loop.call_later(_BOOKMARK_S * (0.5 + rng.random() / 2), self._bookmark)
            )

    def _writer_to(self, stream: Stream) -> Callable[[bytes], object]:
        rewrite = self._rewrite
        if rewrite is None:
            return stream.write
        return lambda line: stream.write(rewrite(line))

    def _add_present(self, selectors: Selectors) -> int:
        page = self._group.list(
            self._info.resource,
            self._info.namespace,
            labels=selectors.labels,
            fields=selectors.fields,
        )
        self._early = [b'{"type":"ADDED","object":%b}\n' % it.data for it in page.items]
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


def _discard(_: bytes) -> None:
    """Write to nobody: the stream has not begun, or has ended."""


def bookmark(
    resource: Resource, resource_version: int, *, initial_events_end: bool = False
) -> bytes:
    """Make the line that tells a client how far it has come."""
    metadata: dict[str, Any] = {"resourceVersion": str(resource_version), "creationTimestamp": None}
    if initial_events_end:
        metadata["annotations"] = {_INITIAL_EVENTS_END: "true"}
    found = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
    return orjson.dumps({"type": "BOOKMARK", "object": found}) + b"\n"
