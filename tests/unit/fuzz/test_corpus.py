"""The fuzz corpus and some inputs made of it come to documented ends; the fuzzer finds what is planted."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.fuzz.mutation import Mutator
from tests.fuzz.run import Fuzzer, corpus
from tests.fuzz.targets import TARGETS, Target

MUTATIONS = 40


@pytest.mark.parametrize("target", [pytest.param(target, id=target.name) for target in TARGETS])
def test_inputs_come_to_documented_ends(target: Target) -> None:
    pool = corpus(target.name)
    mutator = Mutator(random.Random(1), pool, target.words)  # noqa: S311
    inputs = [*pool, *(mutator.next() for _ in range(MUTATIONS))]

    async def feed_all() -> list[str]:
        feed = target.begin()
        return [feed(data) for data in inputs]

    assert len(set(asyncio.run(feed_all()))) > 1, "every input ends alike: nothing is reached"


def test_a_planted_fault_is_found_and_told() -> None:
    def feed(data: bytes) -> str:
        if data.count(b"a") > 3:
            raise ZeroDivisionError("planted")
        return "fine"

    fuzzer = Fuzzer(Target("selectors", lambda: feed), seed=1)
    told = fuzzer.run(seconds=30)
    assert told.startswith("ZeroDivisionError: planted")
    assert "b'" in told.splitlines()[-1]
