"""Informers: a local copy of one resource, kept by LIST and WATCH, that tells others what changed.

Invariants: the copy of an object never goes back to an older version; callbacks run after the copy has
changed; `synced` is set once, after the first LIST is in the copy and was told. A server that cannot be
reached leaves the copy as it was. Source: Kubernetes API concepts, efficient detection of changes.

`learn` is ours: a controller puts what a write returned into the copy, so that its next pass does not
plan from the object before that write, and the write's own event tells nobody anything new.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog

from capim.api.errors import APIError
from capim.api.gvk import GVR, NamespacedName
from capim.api.meta import JsonObject

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    from coordinator.kube.client import KubeClient

    #: called with the object before and after; None before it was there, None after it has gone
    OnChange: TypeAlias = Callable[[JsonObject | None, JsonObject | None], None]
    Index: TypeAlias = Callable[[JsonObject], str]

_log = structlog.get_logger(__name__)

#: client-go draws a watch's length from this range, so that not all watches end together.
_WATCH_MIN_S: Final = 300
_WATCH_MAX_S: Final = 600

_FIRST_BACKOFF_S: Final = 0.5
_LONGEST_BACKOFF_S: Final = 30.0


def name_of(obj: JsonObject) -> NamespacedName:
    """Return an object's namespace and name."""
    metadata = obj["metadata"]
    return NamespacedName(metadata.get("namespace", ""), metadata["name"])


def version_of(obj: JsonObject) -> str:
    """Return an object's resource version."""
    return str(obj["metadata"].get("resourceVersion", ""))


def trimmed(obj: JsonObject) -> JsonObject:
    """Drop what no controller reads: field ownership is half of an object's size."""
    obj["metadata"].pop("managedFields", None)
    return obj


@dataclass(frozen=True, slots=True)
class Scope:
    """Which objects an informer holds."""

    gvr: GVR
    namespace: str = ""  #: empty: all
    labels: str = ""


@dataclass(slots=True)
class Store:
    """The local copy, with one optional index. One loop, no lock."""

    index: Index | None = None
    objects: dict[NamespacedName, JsonObject] = field(default_factory=dict)
    _indexed: dict[tuple[str, str], set[NamespacedName]] = field(default_factory=dict)

    def put(self, obj: JsonObject) -> JsonObject | None:
        """Keep an object and return what it replaced."""
        key = name_of(obj)
        before = self.remove(key)
        self.objects[key] = obj
        if self.index is not None:
            self._indexed.setdefault((key.namespace, self.index(obj)), set()).add(key)
        return before

    def remove(self, key: NamespacedName) -> JsonObject | None:
        """Drop an object and return it."""
        obj = self.objects.pop(key, None)
        if obj is not None and self.index is not None:
            entry = (key.namespace, self.index(obj))
            self._indexed[entry].discard(key)
            if not self._indexed[entry]:
                del self._indexed[entry]
        return obj

    def by_index(self, namespace: str, value: str) -> list[JsonObject]:
        """Return the objects of a namespace whose index has this value, in name order."""
        return [self.objects[key] for key in sorted(self._indexed.get((namespace, value), ()))]


class Informer:
    """One resource's copy and the loop that keeps it."""

    def __init__(
        self,
        client: KubeClient,
        scope: Scope,
        *,
        rng: random.Random,
        resync_s: float = 0.0,
        index: Index | None = None,
        transform: Callable[[JsonObject], JsonObject] = trimmed,
    ) -> None:
        self.scope = scope
        self.synced = asyncio.Event()
        self._client = client
        self._rng = rng
        self._resync_s = resync_s
        self._transform = transform
        self._store = Store(index)
        self._callbacks: list[OnChange] = []
        self._failures = 0

    # --- read ---

    def get(self, key: NamespacedName) -> JsonObject | None:
        """Return an object's copy, or None; it must not be changed."""
        return self._store.objects.get(key)

    def all(self) -> Iterable[JsonObject]:
        """Return every object."""
        return list(self._store.objects.values())

    @property
    def objects(self) -> dict[NamespacedName, JsonObject]:
        """All objects by name, as they change: one that changes is another one, and comes last."""
        return self._store.objects

    def by_index(self, namespace: str, value: str) -> list[JsonObject]:
        """Return the objects of a namespace whose index has this value."""
        return self._store.by_index(namespace, value)

    def on_change(self, callback: OnChange) -> None:
        """Call back for every change from now on."""
        self._callbacks.append(callback)

    def learn(self, obj: JsonObject) -> None:
        """Take what a write returned, unless the object has gone or is newer here already."""
        held = self.get(name_of(obj))
        if held is not None and held["metadata"]["uid"] == obj["metadata"].get("uid"):
            obj = self._transform(obj)
            if not _older(obj, held):
                self._store.put(obj)

    # --- the loop ---

    async def run(self) -> None:
        """Keep the copy for ever."""
        while True:
            try:
                version = await self._list()
                while True:
                    version = await self._watch(version)
            except APIError as error:
                await self._pause(error)

    async def resync(self) -> None:
        """Tell every object again from time to time, as a net under missed levels; 0 s: never."""
        while self._resync_s > 0:
            await asyncio.sleep(self._resync_s * (0.9 + 0.2 * self._rng.random()))
            for obj in self.all():
                self._tell(obj, obj)

    async def _list(self) -> str:
        scope = self.scope
        listed = await self._client.list(scope.gvr, scope.namespace, labels=scope.labels)
        objects = {name_of(item): self._transform(item) for item in listed.items}
        for key in [key for key in self._store.objects if key not in objects]:
            self._drop(key)
        for obj in objects.values():
            self._keep(obj)
        self._failures = 0
        self.synced.set()
        return listed.resource_version

    async def _watch(self, version: str) -> str:
        """Follow one watch to its end and return the version to go on from."""
        scope = self.scope
        events = self._client.watch(
            scope.gvr,
            scope.namespace,
            labels=scope.labels,
            since=version,
            timeout_s=self._rng.randint(_WATCH_MIN_S, _WATCH_MAX_S),
        )
        async for event in events:
            self._failures = 0
            obj = event["object"]
            version = version_of(obj)
            match event["type"]:
                case "ADDED" | "MODIFIED":
                    self._keep(self._transform(obj))
                case "DELETED":
                    self._drop(name_of(obj))
                case _:
                    pass  # a bookmark carries a version and nothing else
        return version

    async def _pause(self, error: APIError) -> None:
        """Wait before the next LIST: not at all for a version that expired, longer with each failure."""
        if error.code == 410:
            _log.debug("watch expired, listing again", resource=self.scope.gvr.resource)
            return
        delay_s = min(_FIRST_BACKOFF_S * 2**self._failures, _LONGEST_BACKOFF_S)
        self._failures = min(self._failures + 1, 10)
        _log.warning(
            "informer lost the management API",
            resource=self.scope.gvr.resource,
            error=error.message,
            retry_in_s=delay_s,
        )
        await asyncio.sleep(delay_s * (0.5 + 0.5 * self._rng.random()))

    def _keep(self, obj: JsonObject) -> None:
        held = self.get(name_of(obj))
        if held is not None and (version_of(held) == version_of(obj) or _older(obj, held)):
            return
        self._tell(self._store.put(obj), obj)

    def _drop(self, key: NamespacedName) -> None:
        if (before := self._store.remove(key)) is not None:
            self._tell(before, None)

    def _tell(self, before: JsonObject | None, after: JsonObject | None) -> None:
        for callback in self._callbacks:
            callback(before, after)


def _older(one: JsonObject, other: JsonObject) -> bool:
    """Compare two versions of an object; another life of its name is never older."""
    if one["metadata"].get("uid") != other["metadata"].get("uid"):
        return False
    versions = version_of(one), version_of(other)
    return all(version.isdigit() for version in versions) and int(versions[0]) < int(versions[1])
