"""The event loop around a work queue: runs reconciles, a bounded number at once, each key alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import structlog

from capim.api.errors import APIError
from capim.runtime.workqueue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from capim.aio.clock import Clock
    from capim.aio.tasks import TaskScope

    #: called after each reconcile with the controller's name, the outcome and how long it took
    Observe: TypeAlias = Callable[[str, str, float], None]

_log = structlog.get_logger(__name__)

Key = TypeVar("Key")


def _no_fields(_key: object) -> Mapping[str, str]:
    return {}


def _unobserved(_name: str, _outcome: str, _seconds: float) -> None:
    """Nobody counts."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a reconcile asks for; levels, not edges: nothing to do is the empty one."""

    requeue_after_s: float = 0.0


class Dispatcher(Generic[Key]):
    """Feeds keys to a reconcile function. A waiting key costs one heap entry, an idle slot nothing.

    A reconcile that raises is tried again with backoff: a conflict is ordinary and not logged as an
    error, every other exception is logged and never ends the process.
    """

    def __init__(
        self,
        name: str,
        reconcile: Callable[[Key], Awaitable[Result]],
        *,
        concurrency: int,
        clock: Clock,
        scope: TaskScope,
        observe: Observe = _unobserved,
        log_fields: Callable[[Key], Mapping[str, str]] = _no_fields,
    ) -> None:
        """Wire it; `log_fields` of a key go into every line that its reconcile logs."""
        self._log_fields = log_fields
        self._name = name
        self._observe = observe
        self._reconcile = reconcile
        self._free = concurrency
        self._clock = clock
        self._scope = scope
        self._queue: WorkQueue[Key] = WorkQueue()
        self._timer: asyncio.TimerHandle | None = None
        self._started = False
        self._running: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Keys that are due and wait for their turn."""
        return len(self._queue)

    @property
    def active(self) -> int:
        """Reconciles that run."""
        return len(self._running)

    def start(self) -> None:
        """Begin to reconcile; keys added before wait until now."""
        self._started = True
        self._dispatch()

    def add(self, key: Key) -> None:
        """Reconcile the key soon."""
        self._queue.add(key)
        self._dispatch()

    def add_after(self, key: Key, delay_s: float) -> None:
        """Reconcile the key after a delay."""
        self._queue.add_at(key, self._clock() + delay_s)
        self._dispatch()

    def _dispatch(self) -> None:
        if not self._started:
            return
        while self._free > 0 and (key := self._queue.take(self._clock())) is not None:
            self._free -= 1
            task = self._scope.spawn(self._run(key), name=f"{self._name} {key}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._queue.next_due()
        if due is not None and self._free > 0:
            delay_s = max(0.0, due - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._dispatch)

    async def _run(self, key: Key) -> None:
        started = self._clock()
        outcome = "error"
        # a task has a context of its own: what is bound here ends with this reconcile
        structlog.contextvars.bind_contextvars(**self._log_fields(key))
        try:
            result = await self._reconcile(key)
        except APIError as error:
            self._failed(key, error)
        except Exception:
            _log.exception("reconcile failed", controller=self._name, object=str(key))
            self._queue.retry(key, self._clock())
        else:
            outcome = "requeue_after" if result.requeue_after_s > 0 else "success"
            self._queue.forget(key)
            if result.requeue_after_s > 0:
                self._queue.add_at(key, self._clock() + result.requeue_after_s)
        finally:
            self._observe(self._name, outcome, self._clock() - started)
            self._queue.done(key)
            self._free += 1
            self._dispatch()

    def _failed(self, key: Key, error: APIError) -> None:
        delay_s = self._queue.retry(key, self._clock())
        log = _log.debug if error.code in {404, 409} else _log.warning
        log(
            "reconcile will be tried again",
            controller=self._name,
            object=str(key),
            reason=error.reason,
            error=error.message,
            retry_in_s=delay_s,
        )

    def close(self) -> None:
        """Start nothing more and cancel what runs."""
        self._started = False
        for task in self._running:
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()
