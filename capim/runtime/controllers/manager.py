"""Runs a cluster's controllers: a change brings keys into a queue, and the owner lets it be worked off.

Nothing runs inside the write that caused it: a change only queues keys (a storm of changes is one key),
and asks the owner, once, to call `run` soon. `run` does a bounded number of keys, so that a big rollout in
one cluster does not hold up the others. What fails is tried again with a growing delay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.errors import APIError
from capim.api.workload import Simulation
from capim.runtime.controllers import kubelet, leases, namespaces, nodelifecycle
from capim.runtime.controllers.base import Context
from capim.runtime.controllers.catalog import handlers
from capim.runtime.controllers.kinds import LEASES, NAMESPACES, PODS
from capim.runtime.controllers.scheduler import bound_to
from capim.runtime.manifests.defaults import NODE_LEASE
from capim.runtime.workqueue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.runtime.controllers.base import Controller, Key
    from capim.runtime.objects import Change
    from capim.runtime.resourcegroup import ResourceGroup

#: keys in one call of `run`: some 10 ms of work
_KEYS_AT_ONCE: Final = 64


class ControllerManager:
    """The controllers of one cluster. One loop, no lock."""

    def __init__(
        self, group: ResourceGroup, simulation: Simulation, *, root_ca: Callable[[], str]
    ) -> None:
        self.context = Context(group, simulation, root_ca)
        self.wake: Callable[[], None] = lambda: None  #: called when there is work again
        self._handlers = handlers(simulation)
        self._queue: WorkQueue[tuple[Controller, Key]] = WorkQueue()
        self._awake = False
        group.on_change = self._observe
        if simulation is not Simulation.OFF:
            group.on_lease_read = self._refresh_leases

    def clock_set_back(self) -> None:
        """Look at everything that waits: its times are of a clock that was ahead."""
        self._queue.hurry()

    def next_deadline(self) -> float | None:
        """Return when `run` has something to do (the past: now), None for never."""
        return 0.0 if len(self._queue) else self._queue.next_due()

    def silence(self, node: str) -> None:
        """Let a simulated node's kubelet say nothing any more; after a time the node counts as lost."""
        context = self.context
        context.heard.setdefault(node, ("", context.now()))
        context.taken_over.add(node)
        self._look_at_node(node)

    def hear(self, node: str) -> None:
        """Let a silenced kubelet post its status again."""
        self.context.taken_over.discard(node)
        self.context.heard.pop(node, None)
        self._look_at_node(node)
        self._look_at_pods(node)

    def hold_pods(self, node: str, *, held: bool) -> None:
        """Let pods on a node not end that are deleted; or let them, those that wait as well."""
        if held:
            self.context.holding.add(node)
            return
        self.context.holding.discard(node)
        self._look_at_pods(node)

    def _look_at_node(self, node: str) -> None:
        if self.context.simulation is not Simulation.OFF:
            self._queue.add((nodelifecycle.CONTROLLER, ("", node)))
            self._wake_up()

    def _look_at_pods(self, node: str) -> None:
        if not self.context.makes_pods:
            return
        for pod in self.context.stored(PODS, None):
            if bound_to(pod) == node:
                self._queue.add((kubelet.CONTROLLER, (pod.namespace, pod.name)))
        self._wake_up()

    def publish_root_ca(self) -> None:
        """Let every namespace have the cluster's authority as it is now."""
        for namespace in self.context.stored(NAMESPACES, None):
            self._queue.add((namespaces.CONTROLLER, ("", namespace.name)))
        self._wake_up()

    def run(self) -> None:
        """Do what is due, or a part of it: `next_deadline` tells whether there is more."""
        self._awake = True  # what is caused from here on is seen by `next_deadline`
        try:
            for _ in range(_KEYS_AT_ONCE):
                item = self._queue.take(self.context.now())
                if item is None:
                    break
                self._reconcile(*item)
                self._queue.done(item)
        finally:
            self._awake = False

    def _reconcile(self, controller: Controller, key: Key) -> None:
        item = (controller, key)
        try:
            again_at = controller.reconcile(self.context, *key)
        except APIError:
            self._queue.retry(item, self.context.now())
            return
        self._queue.forget(item)
        self._queue.plan(item, again_at)

    def _refresh_leases(self, namespace: str | None, name: str) -> None:
        """Bring leases up to date that are about to be read; those that are watched stay so."""
        if namespace not in {None, NODE_LEASE}:
            return
        leases.refresh(self.context, name)
        if not name and self.context.group.is_watched(LEASES, NODE_LEASE):
            for node in leases.names(self.context):
                self._queue.add((leases.CONTROLLER, (NODE_LEASE, node)))
            self._wake_up()

    def _observe(self, change: Change) -> None:
        handler = self._handlers.get(change.stored.resource.group_resource)
        if handler is None:
            return
        for item in handler.concerned(self.context, change):
            self._queue.add(item)
        self._wake_up()

    def _wake_up(self) -> None:
        if not self._awake and len(self._queue):
            self._awake = True
            self.wake()
