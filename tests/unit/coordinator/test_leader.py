"""Leader election: who may take the Lease and when, what a reign's number is, how it is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from capim.aio.clock import ManualClock, wall_clock
from capim.aio.tasks import TaskScope
from coordinator.kube.leader import (
    LEASE_NAME,
    LEASES,
    LeaderElector,
    LeadershipLostError,
    Observation,
    Step,
    Terms,
    installation_id,
    plan,
    taken,
)
from tests.support.kubeapi import Calm, KubeApi, serve

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from coordinator.kube.client import KubeClient

NOW = 1_700_000_000.0
QUICK = Terms(lease_duration_s=1.0, renew_deadline_s=0.5, retry_period_s=0.01)


def lease(**spec: Any) -> JsonObject:
    return {"metadata": {"resourceVersion": "7", "uid": "lease-uid"}, "spec": spec}


HELD = lease(holderIdentity="other", leaseDurationSeconds=15, leaseTransitions=3)


@pytest.mark.parametrize(
    ("held", "seen_since", "step"),
    [
        pytest.param(None, NOW, Step.CREATE, id="no-lease"),
        pytest.param(lease(holderIdentity="me"), NOW, Step.RENEW, id="mine"),
        pytest.param(lease(), NOW, Step.TAKE, id="never-held"),
        pytest.param(lease(holderIdentity=""), NOW, Step.TAKE, id="given-back"),
        pytest.param(HELD, NOW - 14.9, Step.WAIT, id="held"),
        pytest.param(HELD, NOW - 15, Step.TAKE, id="run-out"),
    ],
)
def test_who_may_have_it(held: JsonObject | None, seen_since: float, step: Step) -> None:
    assert plan(held, "me", Observation("7", seen_since), NOW) is step


def test_a_renewal_seen_starts_the_wait_anew() -> None:
    observed = Observation()
    observed.see(HELD, NOW)
    observed.see(HELD, NOW + 10)
    assert plan(HELD, "me", observed, NOW + 15) is Step.TAKE
    renewed = {**HELD, "metadata": {"resourceVersion": "8"}}
    observed.see(renewed, NOW + 12)
    assert plan(renewed, "me", observed, NOW + 15) is Step.WAIT


@pytest.mark.parametrize(
    ("held", "transitions"),
    [
        pytest.param(None, 1, id="created"),
        pytest.param(HELD, 4, id="taken"),
        pytest.param(lease(holderIdentity="me", leaseTransitions=3), 3, id="renewed"),
    ],
)
def test_each_reign_has_a_higher_number(held: JsonObject | None, transitions: int) -> None:
    spec = taken(held, "me", 15.0, NOW)
    assert spec["leaseTransitions"] == transitions
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("me", 15)


def elector(client: KubeClient, identity: str, clock: Any = wall_clock) -> LeaderElector:
    return LeaderElector(
        client,
        namespace="default",
        identity=identity,
        terms=QUICK,
        clock=clock,
        steady=clock,
        rng=Calm(),
    )


def test_a_lease_given_back_is_taken_at_once_with_the_next_number() -> None:
    async def scenario() -> None:
        api = KubeApi()
        async with serve(api) as client:
            first, second = elector(client, "one"), elector(client, "two")
            await first.acquire()
            await first.release()
            await second.acquire()
            assert (first.epoch, second.epoch) == (1, 2)
            assert api.read(LEASES, LEASE_NAME)["spec"]["holderIdentity"] == "two"

    asyncio.run(scenario())


def test_a_lease_that_ran_out_is_taken_and_its_old_holder_loses() -> None:
    async def scenario() -> None:
        api, clock = KubeApi(), ManualClock(NOW)
        async with serve(api) as client:
            first, second = elector(client, "one"), elector(client, "two", clock)
            await first.acquire()
            assert not await second._try()
            clock.advance(QUICK.lease_duration_s)
            assert await second._try()
            with pytest.raises(LeadershipLostError, match="another coordinator"):
                await first.hold()
            await first.release()  # as it does when it ends
            assert api.read(LEASES, LEASE_NAME)["spec"]["holderIdentity"] == "two"

    asyncio.run(scenario())


def test_a_lease_that_cannot_be_renewed_in_time_is_lost() -> None:
    async def scenario() -> None:
        api = KubeApi()
        async with serve(api) as client:
            leader = elector(client, "one")
            await leader.acquire()
            api.faults = [403] * 1000
            with pytest.raises(LeadershipLostError, match="in time"):
                await leader.hold()

    asyncio.run(scenario())


def test_a_lease_deleted_under_its_leader_is_made_again_with_the_same_number() -> None:
    async def scenario() -> None:
        api = KubeApi()
        async with serve(api) as client:
            before, leader = elector(client, "one"), elector(client, "two")
            await before.acquire()
            await before.release()
            await leader.acquire()
            api.group.delete(api.resource(LEASES), "default", LEASE_NAME)
            assert await leader._try()
            assert leader.epoch == 2

    asyncio.run(scenario())


def test_a_reign_gets_a_higher_number_with_its_next_renewal() -> None:
    async def scenario() -> None:
        api = KubeApi()
        async with serve(api) as client, TaskScope() as scope:
            leader = elector(client, "one")
            await leader.acquire()
            scope.spawn(leader.hold(), name="hold")
            await leader.raise_to(9)
            assert leader.epoch == 9
            assert api.read(LEASES, LEASE_NAME)["spec"]["leaseTransitions"] == 9
            await leader.raise_to(4)
            assert leader.epoch == 9

    asyncio.run(scenario())


def test_a_reign_that_is_over_gets_no_higher_number() -> None:
    async def scenario() -> None:
        api, clock = KubeApi(), ManualClock(NOW)
        async with serve(api) as client, TaskScope() as scope:
            first, second = elector(client, "one"), elector(client, "two", clock)
            await first.acquire()
            assert not await second._try()
            clock.advance(QUICK.lease_duration_s)
            assert await second._try()
            raising = scope.spawn(first.raise_to(9), name="raise")
            with pytest.raises(LeadershipLostError, match="another coordinator"):
                await first.hold()
            assert not raising.done()
            assert (first.epoch, second.epoch) == (1, 2)

    asyncio.run(scenario())


def test_the_installation_is_the_lease_and_stays() -> None:
    async def scenario() -> None:
        api = KubeApi()
        async with serve(api) as client:
            first = await installation_id(client, "default")
            await elector(client, "one").acquire()
            assert await installation_id(client, "default") == first
            assert first == api.read(LEASES, LEASE_NAME)["metadata"]["uid"]

    asyncio.run(scenario())
