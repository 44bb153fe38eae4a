"""The dispatcher: bounded, one run a key, errors come back later and end nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import structlog

from capim.aio.clock import wall_clock
from capim.aio.tasks import TaskScope
from capim.api.errors import APIError, conflict
from coordinator.kube.dispatch import Dispatcher, Result
from tests.support.kubeapi import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def dispatcher(
    reconcile: Callable[[str], Awaitable[Result]], scope: TaskScope, concurrency: int = 2
) -> Dispatcher[str]:
    return Dispatcher("test", reconcile, concurrency=concurrency, clock=wall_clock, scope=scope)


def test_nothing_runs_before_start() -> None:
    async def scenario() -> None:
        seen: list[str] = []

        async def reconcile(key: str) -> Result:
            seen.append(key)
            return Result()

        async with TaskScope() as scope:
            queue = dispatcher(reconcile, scope)
            queue.add("a")
            await asyncio.sleep(0)
            assert seen == []
            queue.start()
            await until(lambda: seen == ["a"])

    asyncio.run(scenario())


def test_a_reconciles_log_lines_say_what_it_is_about() -> None:
    async def scenario() -> None:
        bound: list[dict[str, str]] = []

        async def reconcile(key: str) -> Result:
            del key
            bound.append(structlog.contextvars.get_contextvars())
            return Result()

        async with TaskScope() as scope:
            queue = Dispatcher(
                "test",
                reconcile,
                concurrency=1,
                clock=wall_clock,
                scope=scope,
                log_fields=lambda key: {"name": key},
            )
            queue.start()
            for key in "ab":
                queue.add(key)
            await until(lambda: len(bound) == 2)
        assert [fields["name"] for fields in bound] == ["a", "b"]
        assert "name" not in structlog.contextvars.get_contextvars()

    asyncio.run(scenario())


def test_at_most_so_many_run_at_once_and_each_key_alone() -> None:
    async def scenario() -> None:
        running: list[str] = []
        most, gate = 0, asyncio.Event()

        async def reconcile(key: str) -> Result:
            nonlocal most
            assert key not in running
            running.append(key)
            most = max(most, len(running))
            await gate.wait()
            running.remove(key)
            return Result()

        async with TaskScope() as scope:
            queue = dispatcher(reconcile, scope)
            queue.start()
            for key in "abcab":
                queue.add(key)
            await until(lambda: len(running) == 2)
            gate.set()
            await until(lambda: not running)
            assert most == 2
            assert not scope.failed.is_set()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(conflict("machines", "", "a"), id="conflict"),
        pytest.param(APIError("InternalError", 500, "no"), id="refusal"),
        pytest.param(RuntimeError("a bug"), id="bug"),
    ],
)
def test_what_fails_is_tried_again(error: Exception) -> None:
    async def scenario() -> None:
        outcomes: list[str] = []
        left = [error, error]

        async def reconcile(_key: str) -> Result:
            if left:
                raise left.pop()
            return Result()

        async with TaskScope() as scope:
            queue = Dispatcher(
                "test",
                reconcile,
                concurrency=1,
                clock=wall_clock,
                scope=scope,
                observe=lambda _name, outcome, _seconds: outcomes.append(outcome),
            )
            queue.start()
            queue.add("a")
            await until(lambda: len(outcomes) == 3)
            assert outcomes == ["error", "error", "success"]
            assert not scope.failed.is_set()

    asyncio.run(scenario())


def test_a_key_comes_again_when_it_asked_to() -> None:
    async def scenario() -> None:
        seen: list[str] = []

        async def reconcile(key: str) -> Result:
            seen.append(key)
            return Result(requeue_after_s=0.01 if len(seen) == 1 else 0.0)

        async with TaskScope() as scope:
            queue = dispatcher(reconcile, scope)
            queue.start()
            queue.add("a")
            queue.add_after("b", 0.001)
            await until(lambda: sorted(seen) == ["a", "a", "b"])

    asyncio.run(scenario())


def test_close_cancels_what_runs_and_starts_nothing_more() -> None:
    async def scenario() -> None:
        seen: list[str] = []

        async def reconcile(key: str) -> Result:
            seen.append(key)
            await asyncio.Event().wait()
            return Result()

        async with TaskScope() as scope:
            queue = dispatcher(reconcile, scope, concurrency=1)
            queue.start()
            queue.add("a")
            queue.add("b")
            await until(lambda: seen == ["a"])
            queue.close()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert seen == ["a"]

    asyncio.run(scenario())
