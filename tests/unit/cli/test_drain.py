"""`capim drain` and `capim uncordon` against the embedded API and a manager's debug endpoint."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from capim.api.gvk import GVR
from capim.cli.commandline import CommandError
from capim.cli.draining import run_drain, run_rebalance, run_uncordon
from capim.embedded import kinds
from coordinator.draining import Wish, rebalance_until, wishes_of
from coordinator.kube.leader import LEASE_NAME, LEASES
from tests.support.management import World, world

if TYPE_CHECKING:
    from pathlib import Path

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource


def resource(gvr: GVR) -> Resource:
    return next(one for one in kinds.MANAGEMENT_RESOURCES if one.gvr == gvr)


def wanted(made: World) -> dict[str, Wish]:
    lease: JsonObject = made.api.group.get(resource(LEASES), "capim-system", LEASE_NAME).json()
    return wishes_of(lease)


async def leave(made: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Take the worker's cluster away once it is said that it is waited for."""
    async with asyncio.timeout(30):
        while "1 clusters left" not in capsys.readouterr().out:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.01)
    assert wanted(made) == {"worker-0": Wish.DRAINED}
    made.api.group.delete(resource(kinds.INFRA_CLUSTERS), "default", "one")


def test_a_worker_is_drained_until_nothing_names_it_and_taken_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as made:
            made.cluster("one")
            drained = run_drain("worker-0", made.where, cordon=False, timeout_s=30)
            code, _ = await asyncio.gather(drained, leave(made, capsys))
            assert code == 0
            assert await run_uncordon("worker-0", made.where) == 0
            assert wanted(made) == {}
            assert await run_uncordon("worker-0", made.where) == 1

    asyncio.run(scenario())


def test_a_worker_is_cordoned_and_who_does_not_wait_is_not_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, manager=False) as made:
            made.cluster("one")
            assert await run_drain("worker-0", made.where, cordon=True, timeout_s=9) == 0
            assert await run_drain("worker-1", made.where, cordon=False, timeout_s=0) == 0
            assert wanted(made) == {"worker-0": Wish.CORDONED, "worker-1": Wish.DRAINED}

    asyncio.run(scenario())


def test_clusters_are_spread_until_no_worker_has_two_more_than_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as made:
            made.cluster("one")
            assert await run_rebalance(made.where, timeout_s=30) == 0
            made.cluster("two")
            assert await run_rebalance(made.where, timeout_s=1) == 1
            lease = made.api.group.get(resource(LEASES), "capim-system", LEASE_NAME).json()
            assert rebalance_until(lease) == 0.0, "nobody wants it any more"

    asyncio.run(scenario())
    captured = capsys.readouterr()
    assert captured.out.splitlines() == ["worker-0 1, worker-1 0", "worker-0 2, worker-1 0"]
    assert "not spread evenly" in captured.err


def test_what_takes_too_long_and_who_is_unknown_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as made:
            made.cluster("one")
            assert await run_drain("worker-0", made.where, cordon=False, timeout_s=0.1) == 1
            with pytest.raises(CommandError, match="there are worker-0, worker-1"):
                await run_drain("worker-9", made.where, cordon=False, timeout_s=1)

    asyncio.run(scenario())
    assert "goes on being drained" in capsys.readouterr().err
