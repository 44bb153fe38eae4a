"""The coordinator process: wires everything, runs until a signal or a failure, stops in order.

The order of the start: webhooks and health (other processes wait for those) -> leadership -> who we are
-> informers -> workers -> everything restored, then `begin` -> controllers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import signal
import socket
import sys
from typing import TYPE_CHECKING, Final

import structlog
import uvloop

from capim import __version__
from capim.aio import logs
from capim.aio.clock import steady_clock, wall_clock
from capim.aio.descriptors import raise_limit
from capim.aio.process import settle
from capim.aio.tasks import TaskScope
from capim.api import infrastructure as infra
from capim.api.errors import APIError
from coordinator.controllers.clusterplan import ClusterPlanner
from coordinator.controllers.objects import cluster_api_version, make_objects
from coordinator.controllers.wiring import Controllers, Limits
from coordinator.diagnostics import Metrics
from coordinator.fleet import Fleet
from coordinator.fleetmetrics import FleetMetrics
from coordinator.kube import config, leader
from coordinator.kube.client import KubeClient
from coordinator.kube.credentials import Credentials
from coordinator.placement import Placements
from coordinator.readiness import Readiness
from coordinator.recorder import Recorder
from coordinator.servers import Servers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import TypeVar

    from capim.aio.clock import Clock
    from capim.api.gvk import NamespacedName
    from capim.api.meta import JsonObject
    from coordinator.controllers.objects import Objects
    from coordinator.draining import Drainer
    from coordinator.kube.dispatch import Dispatcher
    from coordinator.options import Options

    Value = TypeVar("Value")

_log = structlog.get_logger(__name__)

_START_RETRY_S: Final = 5.0
#: where nobody renews a Lease, which reads it
_WISHES_EVERY_S: Final = 5.0


class Manager:
    """One coordinator process. One loop, no lock."""

    def __init__(
        self, options: Options, client: KubeClient, *, clock: Clock, scope: TaskScope
    ) -> None:
        self._options = options
        self._client = client
        self._clock = clock
        self._scope = scope
        self._rng = random.Random()  # noqa: S311 - jitter, not secrets
        self._metrics = Metrics()
        self._fleet = Fleet(options, steady_clock, scope)
        self._readiness = Readiness([name for name, _ in options.remote_workers])
        self._readiness.leads = not options.leader_elect  # nobody else could be the leader
        self._servers = Servers(
            options,
            client,
            self._fleet,
            self._metrics,
            clock=clock,
            readiness={"synced": self._readiness.synced, "fleet": self._readiness.staffed},
        )
        self._recorder = Recorder(
            client, instance=socket.gethostname(), clock=clock, steady=steady_clock
        )
        self._elector: leader.LeaderElector | None = None
        self._controllers: Controllers | None = None
        self._fleet_started = False
        self._metrics.registry.register(
            FleetMetrics(self._fleet, self._queues, lambda: self._recorder.dropped)
        )

    async def start(self) -> None:
        """Come up and reconcile.

        Raises:
            ValueError: something this process was told cannot be had; the message names the flag.
        """
        options = self._options
        await self._servers.start()
        if options.leader_elect:
            await self._lead()
        self._readiness.leads = True
        namespace = config.own_namespace()
        installation = await self._insist(lambda: leader.installation_id(self._client, namespace))
        version = await self._insist(self._find_cluster_api)
        objects = make_objects(
            self._client,
            version=version,
            namespace=options.namespace,
            resync_s=options.sync_period,
            rng=self._rng,
            on_written=self._written,
        )
        self._scope.spawn(self._recorder.run(), name="events")
        self._readiness.in_step = [informer.synced for informer in objects.informers()]
        placements = Placements(installation, [worker.name for worker in self._fleet.workers()])
        planner = ClusterPlanner(
            host=options.advertise_host,
            ports=options.port_range,
            placements=placements,
            watch_filter=options.watch_filter,
            remote_hosts=dict(options.remote_workers),
            ports_by_host=options.ports_by_host,
        )
        controllers = self._make_controllers(objects, planner)
        await self._follow(objects)
        await self._fleet.start(installation=installation, reign=self._elector)
        self._fleet_started = True
        await self._insist(controllers.restore)
        self._controllers = controllers
        await self._insist(lambda: self._follow_wishes(controllers.drainer, namespace))
        self._readiness.workers = self._fleet.workers
        controllers.start()
        _log.info("reconciling", installation=installation, cluster_api=version)

    async def _follow_wishes(self, drainer: Drainer, namespace: str) -> None:
        """Do what people want of workers, as the Lease says it: now, and whenever it changes."""
        await self._read_wishes(drainer, namespace)
        if self._elector is not None:
            self._elector.on_renewed = drainer.follow
        else:
            self._scope.spawn(self._keep_reading_wishes(drainer, namespace), name="wishes")

    async def _keep_reading_wishes(self, drainer: Drainer, namespace: str) -> None:
        while True:
            await asyncio.sleep(_WISHES_EVERY_S)
            try:
                await self._read_wishes(drainer, namespace)
            except APIError as error:
                _log.warning("what is wanted of workers is not known", error=error.message)

    async def _read_wishes(self, drainer: Drainer, namespace: str) -> None:
        lease = await leader.get_lease(self._client, namespace)
        if lease is not None:
            drainer.follow(lease)

    def _make_controllers(self, objects: Objects, planner: ClusterPlanner) -> Controllers:
        options = self._options
        limits = Limits(
            options.watch_filter,
            options.namespace,
            options.cluster_concurrency,
            options.machine_concurrency,
        )
        return Controllers(
            objects,
            self._fleet,
            planner,
            limits=limits,
            clock=self._clock,
            steady=steady_clock,
            scope=self._scope,
            observe=self._metrics.observe,
            rng=self._rng,
            tell=self._recorder.note,
        )

    def _written(self, before: JsonObject, after: JsonObject) -> None:
        """Something of ours was written: those who count and those who tell learn of it."""
        self._metrics.written(before, after, self._clock())
        self._recorder.changed(before, after)

    def _queues(self) -> Iterable[tuple[str, Dispatcher[NamespacedName]]]:
        if self._controllers is not None:
            yield infra.CLUSTER_KIND, self._controllers.clusters
            yield infra.MACHINE_KIND, self._controllers.machines

    async def _follow(self, objects: Objects) -> None:
        """Run the informers and wait until all are in step."""
        for informer in objects.informers():
            resource = informer.scope.gvr.resource
            self._scope.spawn(informer.run(), name=f"informer {resource}")
            self._scope.spawn(informer.resync(), name=f"resync {resource}")
        await asyncio.gather(*(informer.synced.wait() for informer in objects.informers()))

    async def _lead(self) -> None:
        options = self._options
        self._elector = leader.LeaderElector(
            self._client,
            namespace=config.own_namespace(),
            identity=f"{socket.gethostname()}_{secrets.token_hex(8)}",
            terms=leader.Terms(
                options.leader_elect_lease_duration,
                options.leader_elect_renew_deadline,
                options.leader_elect_retry_period,
            ),
            clock=self._clock,
            steady=steady_clock,
            rng=self._rng,
        )
        await self._elector.acquire()
        self._scope.spawn(self._elector.hold(), name="leader election")

    async def _find_cluster_api(self) -> str:
        version = await cluster_api_version(self._client)
        if version is None:
            raise APIError("NotFound", 404, "the management cluster has no Cluster API yet")
        return version

    async def _insist(self, ask: Callable[[], Awaitable[Value]]) -> Value:
        """Ask until there is an answer: the management API may come up after us."""
        while True:
            try:
                return await ask()
            except APIError as error:
                _log.warning("not started yet", error=error.message, retry_in_s=_START_RETRY_S)
                await asyncio.sleep(_START_RETRY_S)

    async def stop(self) -> None:
        """Go down in order: no reconcile writes after the workers were told to end."""
        if self._controllers is not None:
            self._controllers.close()
        if self._fleet_started:
            await self._fleet.stop()
        await self._scope.close()
        if self._elector is not None:
            await self._elector.release()
        await self._servers.stop()


async def run(options: Options) -> int:
    """Run the manager; return the exit code: 0 after a signal, 1 after a failure, 2 for bad options."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.set_debug(options.contention_profiling)
    try:
        access = await config.load(options.kubeconfig)
    except config.ConfigError as error:
        return _refuse(error)
    client = KubeClient(
        access.configuration,
        user_agent=f"capim-manager/{__version__}",
        qps=options.kube_api_qps,
        burst=options.kube_api_burst,
        clock=steady_clock,
        rng=random.Random(),  # noqa: S311 - backoff, not secrets
    )
    config.remove_key_files()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(client.close)
        scope = await stack.enter_async_context(TaskScope())
        scope.spawn(Credentials(client, access).follow(), name="credentials")
        manager = Manager(options, client, clock=wall_clock, scope=scope)
        stack.push_async_callback(manager.stop)
        settle()
        return await _run_until_stopped(manager, scope, stop)


async def _run_until_stopped(manager: Manager, scope: TaskScope, stop: asyncio.Event) -> int:
    # not of the scope, which would log what a person is to read as a failed task
    async with TaskScope() as waits:
        starting = asyncio.get_running_loop().create_task(manager.start(), name="start")
        stopped = waits.spawn(stop.wait(), name="signal")
        failed = waits.spawn(scope.failed.wait(), name="failure")
        first = {starting, stopped, failed}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        elif (error := starting.exception()) is not None:
            if isinstance(error, ValueError):
                return _refuse(error)
            raise error
        else:
            await asyncio.wait({stopped, failed}, return_when=asyncio.FIRST_COMPLETED)
    return 1 if scope.failed.is_set() else 0


def _refuse(error: Exception) -> int:
    sys.stderr.write(f"capim manager: {error}\n")
    return 2


def main(options: Options) -> int:
    """Run `capim manager` in this process."""
    os.umask(0o077)  # whatever is made from here on, sockets as well, is ours alone
    logs.configure(verbosity=options.verbosity, logging_format=options.logging_format)
    _log.info("capacity", fits=str(raise_limit()))  # its workers inherit the limit
    return uvloop.run(run(options))
