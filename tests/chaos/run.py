"""Runs schedules and tells of each what did not hold.

python -m tests.chaos.run --seeds 0:500 --results chaos.jsonl     # goes on where it was interrupted
python -m tests.chaos.run --seeds 17:18                           # one again
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from capim.aio import logs
from capim.aio.tasks import TaskScope
from capim.api.errors import APIError
from capim.embedded.fleet import cluster_names
from tests.chaos.clients import NODES
from tests.chaos.schedules import Event, Schedule, Step, draw
from tests.chaos.world import FLEET, WORKERS, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_DONE_WITHIN_S: Final = 60.0
_LOOK_S: Final = 0.1
_LOG_LINES: Final = 40
_WORKERS_AFTER: Final = {Step.CREATE: 1, Step.SCALE_UP: 2, Step.SCALE_DOWN: 1}


class BrokenError(AssertionError):
    """Something did not hold; the message says what."""


class Run:
    """One schedule in one world."""

    def __init__(self, world: World, schedule: Schedule, scope: TaskScope) -> None:
        self._world = world
        self._schedule = schedule
        self._scope = scope
        self._endpoints: dict[str, str] = {}
        self._nodes: dict[str, str] = {}  #: uid by name, of every node that was there
        self._writers: list[asyncio.Task[None]] = []

    async def go(self) -> None:
        """Run all steps. Raises BrokenError."""
        for step, events in self._schedule.steps:
            troubles = [
                self._scope.spawn(self._later(event), name=str(event.fault)) for event in events
            ]
            await self._ask(step)
            await asyncio.gather(*troubles)
            if step is Step.DELETE:
                await self._until(self._world.left, f"{step}: all is gone")
                await self._until(self._still_served, f"{step}: no port is listened on")
            else:
                await self._check(step)

    async def _later(self, event: Event) -> None:
        await asyncio.sleep(event.at_s)
        await self._world.suffer(event)

    async def _ask(self, step: Step) -> None:
        match step:
            case Step.CREATE:
                await self._world.create()
            case Step.DELETE:
                await self._settle_clients()
                await self._world.delete()
            case _:
                await self._world.scale(_WORKERS_AFTER[step])

    async def _check(self, step: Step) -> None:
        workers = _WORKERS_AFTER[step]
        await self._until(lambda: self._world.missing(workers), f"{step}: all machines run")
        self._check_endpoints()
        await self._until(self._unserved, f"{step}: every cluster is served, and once")
        for name in cluster_names(FLEET):
            client = await self._world.client(name)
            await self._check_nodes(step, name)
            if step is Step.CREATE:
                self._writers.append(self._scope.spawn(client.write(), name=f"write {name}"))
                self._scope.spawn(client.watch(), name=f"watch {name}")

    def _unserved(self) -> list[str]:
        wanted = sorted(int(one.rpartition(":")[2]) for one in self._world.endpoints().values())
        found = self._world.listening()
        return [] if found == wanted else [f"{found} are listened on, {wanted} are endpoints"]

    def _still_served(self) -> list[str]:
        return [str(port) for port in self._world.listening()]

    def _check_endpoints(self) -> None:
        now = self._world.endpoints()
        if len(set(now.values())) != len(now):
            raise BrokenError(f"two clusters share an endpoint: {now}")
        before, self._endpoints = self._endpoints or now, now
        if now != before:
            raise BrokenError(f"endpoints were {before} and are {now}")

    async def _check_nodes(self, step: Step, name: str) -> None:
        uids = await self._answered_nodes(name)
        if len(uids) != 1 + _WORKERS_AFTER[step]:
            raise BrokenError(f"{step}: {name} has the nodes {sorted(uids)}")
        for node, uid in uids.items():
            if self._nodes.setdefault(node, uid) != uid:
                raise BrokenError(f"{step}: node {node} has another uid")

    async def _answered_nodes(self, name: str) -> dict[str, str]:
        """Return a cluster's nodes with their uids as soon as its API answers, which it must soon."""
        client, deadline = await self._world.client(name), time.monotonic() + _DONE_WITHIN_S
        while True:
            try:
                nodes = (await client.kube.list(NODES)).items
            except APIError as error:
                if time.monotonic() > deadline:
                    raise BrokenError(f"{name} does not answer: {error}") from error
                await asyncio.sleep(_LOOK_S)
            else:
                return {node["metadata"]["name"]: node["metadata"]["uid"] for node in nodes}

    async def _settle_clients(self) -> None:
        """Let nobody write any more, and compare what clients were told with what there is."""
        for writer in self._writers:
            writer.cancel()
        for name, client in self._world.clients.items():
            if wrong := await client.faults():
                raise BrokenError(f"{name}: {'; '.join(wrong[:5])}")

    async def _until(self, missing: Callable[[], list[str]], what: str) -> None:
        deadline = time.monotonic() + _DONE_WITHIN_S
        while left := missing():
            if time.monotonic() > deadline:
                raise BrokenError(f"{what}: not after {_DONE_WITHIN_S:.0f} s: {left[:6]}")
            await asyncio.sleep(_LOOK_S)


async def _run(schedule: Schedule, folder: Path) -> None:
    async with World.running(folder) as world, TaskScope() as scope:
        await Run(world, schedule, scope).go()


def _check_nothing_left(folder: Path) -> None:
    """Raise BrokenError for a process, a socket or a cluster's frames."""
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if _mentions(path, folder)]
    left += [path for path in folder.rglob("*") if path.is_socket()]
    if left:
        raise BrokenError(f"left behind: {left}")
    for path in folder.glob("state/*.journal"):
        with contextlib.closing(sqlite3.connect(path)) as database:
            if database.execute("SELECT count(*) FROM frame").fetchone() != (0,):
                raise BrokenError(f"{path.name} holds frames of deleted clusters")


def _mentions(path: Path, folder: Path) -> bool:
    try:
        return str(folder).encode() in path.read_bytes()
    except OSError:
        return False


def run(seed: int) -> str:
    """Run the schedule of a seed; return what did not hold, or nothing."""
    schedule = draw(seed, workers=WORKERS)
    with tempfile.TemporaryDirectory(prefix="capim-chaos-") as folder:
        try:
            asyncio.run(_run(schedule, Path(folder)))
            _check_nothing_left(Path(folder))
        except (BrokenError, APIError, TimeoutError) as error:
            log = Path(folder, "manager.log").read_text(errors="replace").splitlines()[-_LOG_LINES:]
            return "\n".join([f"{error!r}", str(schedule), *log])
    return ""


def main(arguments: Iterable[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", default="0:500", help="first and last but one, as 0:500")
    parser.add_argument("--results", type=Path, help="one line of JSON a schedule; resumed from")
    parser.add_argument("--at-once", type=int, default=2, help="most schedules at a time")
    options = parser.parse_args(arguments)
    first, last = (int(word) for word in options.seeds.split(":"))
    known = _known(options.results)
    left = [seed for seed in range(first, last) if seed not in known]
    # a process gives its ports and its memory back after some schedules
    spawning = multiprocessing.get_context("spawn")
    with spawning.Pool(options.at_once, maxtasksperchild=10) as pool:
        for seed, found, took_s in pool.imap_unordered(_timed, left):
            known[seed] = found
            _tell(seed, known[seed], took_s, options.results)
    broken = [seed for seed in range(first, last) if known[seed]]
    print(f"{last - first} schedules, broken: {broken or 'none'}")  # noqa: T201
    return 1 if broken else 0


def _timed(seed: int) -> tuple[int, str, float]:
    logs.configure(verbosity=0, logging_format="text")
    began = time.monotonic()
    return seed, run(seed), time.monotonic() - began


def _known(results: Path | None) -> dict[int, str]:
    if results is None or not results.exists():
        return {}
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    return {line["seed"]: line["broken"] for line in lines}


def _tell(seed: int, broken: str, took_s: float, results: Path | None) -> None:
    print(f"seed {seed}: {took_s:.1f} s {broken or 'held'}", flush=True)  # noqa: T201
    if results is not None:
        line = json.dumps({"seed": seed, "broken": broken, "seconds": round(took_s, 1)})
        with results.open("a") as file:
            file.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
