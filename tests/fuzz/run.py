"""The fuzzer: `python -m tests.fuzz.run [--seconds 180] [--seed N] [TARGET ...]`.

Inputs that come to a new end join the pool they are made from, so it finds its way inside without
looking at the code. A finding ends the run of its target, is printed as a line for the corpus, and makes
the exit code 1: an undocumented error, an answer that blames the server, an input that takes longer than
some seconds of CPU time, memory that grows.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import random
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import structlog

from tests.fuzz.mutation import Mutator
from tests.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from types import FrameType

    from tests.fuzz.targets import Feed, Target

CORPUS: Final = Path(__file__).with_name("corpus")
#: inputs that share one server: enough that they meet, few enough that nothing piles up
BATCH: Final = 500
_HANG_S: Final = 10
_GROWTH_KIB: Final = 64 << 10
_POOL_LIMIT: Final = 5000


#: the last traceback that the server logged
logged: list[str] = []


class HungError(Exception):
    """An input took too long."""


def corpus(name: str) -> list[bytes]:
    """Return the committed inputs of a target: a bytes literal a line."""
    lines = CORPUS.joinpath(f"{name}.txt").read_text(encoding="ascii").splitlines()
    return [ast.literal_eval(line) for line in lines]


class Fuzzer:
    """Runs one target until its time is over or something is found."""

    def __init__(self, target: Target, seed: int) -> None:
        self._target = target
        self._pool = corpus(target.name)
        self._seen: set[str] = set()
        self._mutator = Mutator(random.Random(seed), self._pool, target.words)  # noqa: S311
        self.inputs = 0

    def run(self, seconds: float) -> str:
        """Return what was found, or nothing."""
        end = time.monotonic() + seconds
        warm_kib = 0
        while time.monotonic() < end:
            if found := asyncio.run(self._batch()):
                return found
            kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            if time.monotonic() < end - seconds * 3 / 4:
                warm_kib = kib
            elif warm_kib and kib > warm_kib + _GROWTH_KIB:
                return f"memory grew from {warm_kib} to {kib} KiB"
        return ""

    async def _batch(self) -> str:
        feed = self._target.begin()
        for number in range(BATCH):
            data = self._pool[number] if self.inputs < len(self._pool) else self._mutator.next()
            if found := self._try(feed, data):
                return found
            if number % 50 == 0:
                await asyncio.sleep(0)
        return ""

    def _try(self, feed: Feed, data: bytes) -> str:
        self.inputs += 1
        signal.setitimer(signal.ITIMER_PROF, _HANG_S)  # not the wall clock: the machine may be busy
        try:
            outcome = feed(data)
        except Exception as error:
            told = "".join(logged[-1:]) or traceback.format_exc()
            return f"{type(error).__name__}: {error}\n{told}{data!r}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        if outcome not in self._seen and len(self._pool) < _POOL_LIMIT:
            self._seen.add(outcome)
            self._pool.append(data)
        return ""


def _remember(_: object, __: str, event: MutableMapping[str, Any]) -> NoReturn:
    """Keep the last traceback that was logged, and be quiet otherwise."""
    if event.get("exc_info"):
        logged[:] = [traceback.format_exc()]
    raise structlog.DropEvent


def _hung(_: int, __: FrameType | None) -> None:
    raise HungError(f"more than {_HANG_S} s")


def main() -> int:
    """Run the targets that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))  # noqa: S311
    parser.add_argument("targets", nargs="*", help="names; all where there are none")
    asked = parser.parse_args()
    signal.signal(signal.SIGPROF, _hung)
    structlog.configure(processors=[_remember])
    failed = 0
    for target in TARGETS:
        if asked.targets and target.name not in asked.targets:
            continue
        fuzzer = Fuzzer(target, asked.seed)
        found = fuzzer.run(asked.seconds)
        told = found or "nothing found"
        sys.stdout.write(f"{target.name} seed {asked.seed}: {fuzzer.inputs} inputs, {told}\n")
        sys.stdout.flush()
        failed += bool(found)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
