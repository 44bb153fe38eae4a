"""Leader election by a Lease: one coordinator at a time, each reign with a higher number.

The rules are client-go's: a candidate takes a Lease whose holder let it run out, by the candidate's own
clock since it last saw the Lease change; a leader that cannot renew in time stops being one. The decision
is `plan`, which is pure. The Lease is also what names an installation: its UID.
"""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from capim.api.errors import APIError
from capim.api.gvk import GVR
from capim.api.meta import format_micro_time

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from capim.aio.clock import Clock
    from capim.api.meta import JsonObject
    from coordinator.kube.client import KubeClient

_log = structlog.get_logger(__name__)

LEASES: Final = GVR("coordination.k8s.io", "v1", "leases")
LEASE_NAME: Final = "inmemory-controller-leader-election-capi"

#: client-go adds up to this factor to the time between tries.
_JITTER: Final = 1.2


class LeadershipLostError(Exception):
    """Another coordinator may lead now: the process must end before it writes anything more."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The durations of `--leader-elect-*`, in seconds."""

    lease_duration_s: float
    renew_deadline_s: float
    retry_period_s: float


class Step(enum.Enum):
    """What a candidate does next."""

    CREATE = enum.auto()
    TAKE = enum.auto()
    RENEW = enum.auto()
    WAIT = enum.auto()


@dataclass(slots=True)
class Observation:
    """The Lease as last seen, and since when it has not changed, by our own clock."""

    version: str = ""
    since: float = 0.0

    def see(self, lease: JsonObject, now: float) -> None:
        """Note the Lease's version."""
        version = lease["metadata"]["resourceVersion"]
        if version != self.version:
            self.version, self.since = version, now


def plan(lease: JsonObject | None, identity: str, observed: Observation, now: float) -> Step:
    """Decide what to do about the Lease as it is."""
    if lease is None:
        return Step.CREATE
    spec = lease.get("spec") or {}
    holder = spec.get("holderIdentity") or ""
    if holder == identity:
        return Step.RENEW
    run_out = now >= observed.since + (spec.get("leaseDurationSeconds") or 0)
    return Step.TAKE if not holder or run_out else Step.WAIT


def taken(lease: JsonObject | None, identity: str, duration_s: float, now: float) -> JsonObject:
    """Return the Lease's spec after this identity created, took or renewed it."""
    before = (lease or {}).get("spec") or {}
    mine = before.get("holderIdentity") == identity
    transitions = before.get("leaseTransitions") or 0
    return {
        "holderIdentity": identity,
        "leaseDurationSeconds": int(duration_s),
        "acquireTime": before.get("acquireTime") if mine else format_micro_time(now),
        "renewTime": format_micro_time(now),
        # the number of the reign starts at 1: 0 is what a worker has that knows no coordinator
        "leaseTransitions": transitions if mine else transitions + 1,
    }


class LeaderElector:
    """Acquires the Lease, keeps it, gives it back. One loop, no lock."""

    def __init__(
        self,
        client: KubeClient,
        *,
        namespace: str,
        identity: str,
        terms: Terms,
        clock: Clock,
        steady: Clock,
        rng: random.Random,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._identity = identity
        self._terms = terms
        self._clock = clock  #: for what the Lease says; all else goes by the steady one
        self._steady = steady
        self._rng = rng
        self._observed = Observation()
        self._lease: JsonObject | None = None
        self._lowest = 0  #: the next renewal makes the number of this reign at least that
        self._renewed = asyncio.Event()
        #: called with the Lease whenever it was written: what people note in it is read this way
        self.on_renewed: Callable[[JsonObject], None] = lambda lease: None

    @property
    def epoch(self) -> int:
        """The number of this reign; valid once `acquire` has returned."""
        return int(self._lease["spec"]["leaseTransitions"]) if self._lease else 0

    async def raise_to(self, epoch: int) -> None:
        """Wait until a renewal has written that this reign's number is at least this.

        It is for `hold` to do: it alone writes the Lease, and ends the process when another has it.
        """
        self._lowest = max(self._lowest, epoch)
        while self.epoch < epoch:
            self._renewed.clear()
            await self._renewed.wait()

    async def acquire(self) -> None:
        """Wait until this process leads."""
        while not await self._try():  # noqa: ASYNC110 - what we wait for happens in the API
            await asyncio.sleep(self._terms.retry_period_s * (1 + _JITTER * self._rng.random()))
        _log.info("leading", identity=self._identity, epoch=self.epoch)

    async def hold(self) -> None:
        """Renew the Lease for ever.

        Raises:
            LeadershipLostError: it could not be renewed within the deadline, or somebody else has it.
        """
        while True:
            deadline = self._steady() + self._terms.renew_deadline_s
            await asyncio.sleep(self._terms.retry_period_s)
            while not await self._try(by=deadline):
                if self._steady() + self._terms.retry_period_s >= deadline:
                    raise LeadershipLostError(
                        "the leader election Lease could not be renewed in time"
                    )
                await asyncio.sleep(self._terms.retry_period_s)

    async def release(self) -> None:
        """Let the next candidate in at once; best effort."""
        if self._lease is None:
            return
        spec = dict(self._lease["spec"], holderIdentity="", leaseDurationSeconds=1)
        try:
            await self._client.update(
                LEASES, self._namespace, LEASE_NAME, dict(self._lease, spec=spec)
            )
        except APIError as error:
            _log.info("lease not released", error=error.message)

    async def _try(self, *, by: float | None = None) -> bool:
        limit_s = self._terms.renew_deadline_s if by is None else by - self._steady()
        try:
            async with asyncio.timeout(limit_s):
                return await self._try_once()
        except (APIError, TimeoutError) as error:
            _log.warning("leader election request failed", error=str(error))
            return False

    async def _try_once(self) -> bool:
        lease = await get_lease(self._client, self._namespace)
        now = self._steady()
        if lease is not None:
            self._observed.see(lease, now)
        step = plan(lease, self._identity, self._observed, now)
        if self._lease is not None and step in {Step.WAIT, Step.TAKE}:
            raise LeadershipLostError("another coordinator took the leader election Lease")
        if step is Step.WAIT:
            return False
        # a Lease that was deleted under its leader is made again with the same number
        spec = taken(
            lease or self._lease, self._identity, self._terms.lease_duration_s, self._clock()
        )
        spec["leaseTransitions"] = max(spec["leaseTransitions"], self._lowest)
        if lease is None:
            self._lease = await create_lease(self._client, self._namespace, spec)
        else:
            self._lease = await self._client.update(
                LEASES, self._namespace, LEASE_NAME, dict(lease, spec=spec)
            )
        self._renewed.set()
        self.on_renewed(self._lease)
        return True


async def get_lease(client: KubeClient, namespace: str) -> JsonObject | None:
    """Read the Lease, or None when there is none."""
    try:
        return await client.get(LEASES, namespace, LEASE_NAME)
    except APIError as error:
        if error.reason != "NotFound":
            raise
        return None


async def create_lease(client: KubeClient, namespace: str, spec: JsonObject) -> JsonObject:
    """Create the Lease with this spec."""
    body = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": namespace, "name": LEASE_NAME},
        "spec": spec,
    }
    return await client.create(LEASES, namespace, body)


async def installation_id(client: KubeClient, namespace: str) -> str:
    """Return the UID of the Lease, which is made without a holder where nobody elects a leader."""
    lease = await get_lease(client, namespace)
    if lease is None:
        lease = await create_lease(client, namespace, {})
    return str(lease["metadata"]["uid"])
