"""Turn after turn of a fleet, with clients that read and samples of what CAPIM has."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from capim.aio.tasks import TaskScope
from tests.soak.population import Population
from tests.soak.readers import Reader, Told

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.fleet import Fleet
    from tests.soak.measuring import Gauge
    from tests.soak.trend import Sample

_SAMPLE_S: Final = 10.0
#: at least so long nothing is asked for between two turns
_REST_S: Final = 30.0
#: of a rest, at its begin: controllers finish what nobody waits for
_SETTLE_S: Final = 10.0


class Soak:
    """One run on a fleet. One loop, no lock."""

    def __init__(self, fleet: Fleet, gauge: Gauge, results: Path) -> None:
        self._fleet = fleet
        self._population = Population(fleet)
        self._gauge = gauge
        self._results = results
        self._readers: dict[str, Reader] = {}
        self._began = time.monotonic()
        self._resting = False
        self.told = Told()
        self.samples: list[Sample] = []
        self.turns = 0

    @property
    def age_s(self) -> float:
        """How long the run has been going on."""
        return time.monotonic() - self._began

    async def run(self, length_s: float, period_s: float) -> None:
        """Take turns for so long, one a period, or until one does not come to its end."""
        await self._population.fill()
        await self._follow()
        self._began = time.monotonic()
        async with TaskScope() as scope:
            sampling = scope.spawn(self._sample(), name="samples")
            try:
                while self.age_s < length_s and not sampling.done():
                    await self._take_turn(period_s)
            except AssertionError as error:
                self.told.errors.append(str(error))
            if scope.failed.is_set():
                await scope.wait_failed()
        for name in list(self._readers):
            await self._readers.pop(name).stop()

    async def _take_turn(self, period_s: float) -> None:
        began = self.age_s
        await self._turn()
        await self._rest(max(began + period_s, self.age_s + _REST_S))
        self.turns += 1
        told = self.told
        counts = f"{told.requests} requests, {len(told.errors)} errors"
        sys.stdout.write(f"turn {self.turns}: at {self.age_s:.0f} s, {counts}\n")
        sys.stdout.flush()

    async def _turn(self) -> None:
        await self._readers.pop(self._population.names[-1]).stop()
        await self._population.turn()
        await self._follow()

    async def _rest(self, until_s: float) -> None:
        await asyncio.sleep(_SETTLE_S)
        self._resting = True
        await asyncio.sleep(max(until_s - self.age_s, 0))
        self._resting = False

    async def _follow(self) -> None:
        """Read in the clusters that are new."""
        for name in self._population.names:
            if name not in self._readers:
                config = await asyncio.to_thread(self._fleet.kubeconfig, name)
                self._readers[name] = reader = Reader(name, config, self.told)
                await reader.start()

    async def _sample(self) -> None:
        with self._results.open("a") as file:
            while True:
                found = await asyncio.to_thread(
                    self._gauge.look, self.age_s, self.turns, resting=self._resting
                )
                self.samples += found
                file.writelines(json.dumps(asdict(sample)) + "\n" for sample in found)
                file.flush()
                await asyncio.sleep(_SAMPLE_S)
