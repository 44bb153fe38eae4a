"""Supervised tasks: each has a name and an owner, and its failure stops the owner.

Why not asyncio.TaskGroup alone: services want to start tasks from callbacks, cancel what is left when
the scope closes, and keep no reference to tasks that ended.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

import structlog

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

_log = structlog.get_logger(__name__)


class TaskScope:
    """Owns background tasks for the time of an `async with` block.

    Leaving the block cancels what still runs and waits for it. When a task fails, the error is logged
    with the task's name, `failed` is set, and `wait_failed` raises it in the owner.
    One loop, no lock.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failure: BaseException | None = None
        self.failed = asyncio.Event()

    def spawn(self, coroutine: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Start a task that belongs to this scope."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        _log.error("task failed", task=task.get_name(), exc_info=error)
        self._failure = self._failure or error
        self.failed.set()

    async def wait_failed(self) -> None:
        """Wait until a task fails and raise its error; for owners that have nothing else to do."""
        await self.failed.wait()
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
