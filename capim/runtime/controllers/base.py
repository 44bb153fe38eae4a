"""What a controller is, and what it may use of its cluster.

Controllers write through `Context`, as a client does that is never refused for a version: everything
happens in one loop turn, so nothing can change between a read and the write that follows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from capim.api.errors import APIError
from capim.api.resources import Resource
from capim.api.workload import Simulation
from capim.runtime.controllers.nodebook import NodeBook
from capim.runtime.controllers.selectors import SelectorBook
from capim.runtime.objects import Change, DeleteOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from capim.api.meta import JsonObject
    from capim.runtime.objects import Stored
    from capim.runtime.resourcegroup import ResourceGroup

Key: TypeAlias = tuple[str, str]  #: namespace and name
#: returns when to come back, seconds since the epoch, or None
Reconcile: TypeAlias = "Callable[[Context, str, str], float | None]"
Concerns: TypeAlias = "Callable[[Context, Change], Iterable[Key]]"

_BACKGROUND: Final = DeleteOptions(propagation="Background")
_AT_ONCE: Final = DeleteOptions(propagation="Background", grace_s=0)
#: reasons why an object cannot be made that trying again soon does not change
_GIVEN_UP: Final = frozenset({"AlreadyExists", "Forbidden", "NotFound"})


@dataclass(frozen=True, slots=True, eq=False)
class Controller:
    """One controller: whose keys it takes, and what brings a key into its queue."""

    name: str
    primary: Resource | None  #: every change of such an object brings its own key
    reconcile: Reconcile
    owns: tuple[Resource, ...] = ()  #: changes of these bring the key of the primary that owns them
    watches: tuple[tuple[Resource, Concerns], ...] = ()  #: other kinds, and whom they concern


class Context:
    """One cluster as its controllers see it. One loop, no lock."""

    def __init__(
        self, group: ResourceGroup, simulation: Simulation, root_ca: Callable[[], str]
    ) -> None:
        self.group = group
        self.simulation = simulation
        self.root_ca = root_ca  #: the cluster's CA, PEM
        #: primaries that own something by uid: what a change of their dependents concerns
        self.owners: dict[str, tuple[Controller, Key]] = {}
        self.nodes = NodeBook()
        self.services = SelectorBook()
        self.budgets = SelectorBook()
        #: nodes that others look after: the last heartbeat they posted, and when anything was heard
        self.heard: dict[str, tuple[str, float]] = {}
        self.taken_over: set[str] = set()  #: simulated nodes whose lease another one holds
        self.given_up: set[str] = set()  #: those of them that fell silent
        self.counted: dict[
            Key, float
        ] = {}  #: DaemonSets without pods, when their nodes were counted
        self.holding: set[str] = set()  #: nodes on which pods do not end
        self.tainted: dict[Key, float] = {}  #: pods on nodes with a taint NoExecute, since when

    @property
    def makes_pods(self) -> bool:
        """Whether workloads have pods."""
        return self.simulation is Simulation.PODS

    def now(self) -> float:
        """Return the cluster's time, in seconds since the epoch."""
        return self.group.now()

    def get(self, resource: Resource, namespace: str, name: str) -> JsonObject | None:
        """Return an object or None; the caller owns it."""
        stored = self.group.find(resource, namespace, name)
        return None if stored is None else stored.json()

    def stored(self, resource: Resource, namespace: str | None) -> list[Stored]:
        """Return the objects of a kind in a namespace, None for all."""
        return self.group.list(resource, namespace).items

    def controlled(self, owner: JsonObject, resource: Resource) -> list[JsonObject]:
        """Return the objects of a kind that have this one as their controller."""
        uid = owner["metadata"]["uid"]
        kind = resource.group_resource
        found = self.group.dependents(uid)
        bodies = (stored.json() for stored in found if stored.resource.group_resource == kind)
        return [body for body in bodies if controller_uid(body) == uid]

    def make(self, resource: Resource, body: JsonObject, *, complete: bool = False) -> JsonObject:
        """Make an object as a client does: defaulted, admitted, checked. Raises APIError.

        `complete` is for a body that needs none of that: it is stored as it is, with its status.
        """
        namespace = body["metadata"].get("namespace", "")
        return self.group.create(resource, namespace, body, keep_status=complete).json()

    def create(
        self, resource: Resource, body: JsonObject, *, complete: bool = False
    ) -> JsonObject | None:
        """Make an object, or return None where there is one or its namespace takes none.

        Raises:
            APIError: it is not valid.
        """
        try:
            return self.make(resource, body, complete=complete)
        except APIError as error:
            if error.reason not in _GIVEN_UP:
                raise
            return None

    def save(self, resource: Resource, body: JsonObject) -> JsonObject:
        """Write an object that is there as a whole, status included; one that is the same is no write.

        Returns: the object as it is now. Who has no use for it takes `write`.
        """
        return self.group.save_own(resource, body).json()

    def write(self, resource: Resource, body: JsonObject) -> None:
        """Do what `save` does, and return nothing."""
        self.group.save_own(resource, body)

    def save_status(self, resource: Resource, body: JsonObject, status: JsonObject) -> None:
        """Write an object's status, unless it says what was said before."""
        if status != body.get("status"):
            self.write(resource, body | {"status": status})

    def delete(
        self, resource: Resource, namespace: str, name: str, *, at_once: bool = False
    ) -> bool:
        """Delete an object in the background; false: it was gone.

        `at_once` gives a pod no time to end.
        """
        if self.group.find(resource, namespace, name) is None:
            return False
        self.group.delete(resource, namespace, name, _AT_ONCE if at_once else _BACKGROUND)
        return True


def controller_of(body: JsonObject) -> JsonObject | None:
    """Return the reference to an object's controller, or None."""
    for reference in body["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            found: JsonObject = reference
            return found
    return None


def controller_uid(body: JsonObject) -> str:
    """Return the uid of an object's controller, empty where it has none."""
    reference = controller_of(body)
    return "" if reference is None else str(reference["uid"])
