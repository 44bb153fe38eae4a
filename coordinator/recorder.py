"""Writes Events, one after the other and slowly: a fleet that comes up has better things to do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from capim.api.errors import APIError
from capim.api.gvk import GVR
from coordinator.events import EventBook, Note, Write, notes_of
from coordinator.kube.limiter import TokenBucket

if TYPE_CHECKING:
    from capim.aio.clock import Clock
    from capim.api.meta import JsonObject
    from coordinator.kube.client import KubeClient

_log = structlog.get_logger(__name__)

EVENTS: Final = GVR("", "v1", "events")

#: A write costs about a millisecond here, and its part at the API server: half a percent at most.
_QPS: Final = 5.0
_BURST: Final = 25
#: What waits beyond this would be told minutes late, and is dropped.
_WAITING: Final = 256


class Recorder:
    """Takes notes at once and writes them when it can. One loop, no lock."""

    def __init__(self, client: KubeClient, *, instance: str, clock: Clock, steady: Clock) -> None:
        self._client = client
        self._book = EventBook(instance)
        self._clock = clock
        self._steady = steady
        self._bucket = TokenBucket(_QPS, _BURST)
        self._notes: asyncio.Queue[Note] = asyncio.Queue(_WAITING)
        self.dropped = 0  #: notes that nobody will read

    def changed(self, before: JsonObject, after: JsonObject) -> None:
        """Tell what is worth telling of an object that was written."""
        for note in notes_of(before, after):
            self.note(note)

    def note(self, note: Note) -> None:
        """Tell something; never waits."""
        try:
            self._notes.put_nowait(note)
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Write what is noted, for ever. What cannot be written is dropped."""
        while True:
            note = await self._notes.get()
            write = self._book.enter(note, self._clock())
            if write is None:
                continue
            await asyncio.sleep(self._bucket.reserve(self._steady()))
            try:
                await self._write(write)
            except APIError as error:
                _log.info("event not written", reason=note.reason, error=error.message)

    async def _write(self, write: Write) -> None:
        if write.patch is not None:
            try:
                await self._client.patch(
                    EVENTS, write.namespace, write.name, write.patch, paced=False
                )
            except APIError as error:
                if error.code != 404:
                    raise
            else:
                return
        await self._client.create(EVENTS, write.namespace, write.body, paced=False)
