"""Says of each InMemoryMachineTemplate what its machines have, so that an autoscaler can begin from zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api import infrastructure as infra
from capim.api.nodeform import ARCHITECTURE, OPERATING_SYSTEM, PLAIN, capacity_of
from coordinator.controllers import gates
from coordinator.controllers.patches import status_difference
from coordinator.kube.dispatch import Dispatcher, Result
from coordinator.kube.informers import name_of

if TYPE_CHECKING:
    from capim.aio.clock import Clock
    from capim.aio.tasks import TaskScope
    from capim.api.gvk import NamespacedName
    from capim.api.meta import JsonObject
    from coordinator.controllers.objects import Objects
    from coordinator.kube.dispatch import Observe

_CONCURRENCY: Final = 2


def size_of(machine_spec: JsonObject) -> JsonObject:
    """Return the status fields that tell the size of machines of this spec."""
    form = infra.node_form_of(machine_spec) or PLAIN
    architecture = form.architecture or ARCHITECTURE
    return {
        "capacity": capacity_of(form),
        "nodeInfo": {"architecture": architecture, "operatingSystem": OPERATING_SYSTEM},
    }


class TemplateController:
    """All InMemoryMachineTemplates."""

    def __init__(
        self,
        objects: Objects,
        *,
        steady: Clock,
        scope: TaskScope,
        observe: Observe,
        watch_filter: str,
    ) -> None:
        self._objects = objects
        self._watch_filter = watch_filter
        self._queue: Dispatcher[NamespacedName] = Dispatcher(
            infra.MACHINE_TEMPLATE_KIND,
            self.reconcile,
            concurrency=_CONCURRENCY,
            clock=steady,
            scope=scope,
            observe=observe,
        )

    def listen(self) -> None:
        """Hear of templates from now on."""
        self._objects.templates.on_change(self._changed)

    def start(self) -> None:
        """Begin to write statuses."""
        self._queue.start()

    def close(self) -> None:
        """Write nothing any more."""
        self._queue.close()

    def _changed(self, _: JsonObject | None, after: JsonObject | None) -> None:
        if after is not None:
            self._queue.add(name_of(after))

    async def reconcile(self, key: NamespacedName) -> Result:
        """Make a template's status true."""
        obj = self._objects.templates.get(key)
        if obj is None or not gates.watched(obj, self._watch_filter):
            return Result()
        spec = ((obj.get("spec") or {}).get("template") or {}).get("spec") or {}
        if patch := status_difference(obj, size_of(spec)):
            await self._objects.write(self._objects.templates, obj, patch, subresource="status")
        return Result()
