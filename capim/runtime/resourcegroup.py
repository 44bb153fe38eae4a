"""One workload cluster's objects behind the semantics of a Kubernetes API server, in memory.

Invariants. Versions are one counter for the whole group and only grow; every change takes the next one
and is announced once. An object is encoded when it is written and never again: reads, lists and watches
hand out those bytes. A write that changes nothing takes no version. Garbage collection is part of the
write that causes it (`gc`). Watches hear of changes in order, after the write (`subscriptions`).

Source: the Kubernetes API concepts page and k8s.io/apiserver's registry; texts of refusals are theirs.
Measured (CPython 3.11, Nodes of 1.5 kB): a write 20 to 40 us (a Pod 70), without managers of fields; a
list of 2 000 Nodes 2.2 ms; an object costs its bytes and 0.4 to 0.6 KiB, an empty group 3 KiB.
Defaults, checks and admission of built-in kinds are the `rules` an owner gives (`capim.runtime.kinds`).
Departure: a PUT never creates. Views: `capim.api.views`.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

from capim.api import errors
from capim.runtime import customobjects, listing, metering, strategies, writes
from capim.runtime.admitting import WHOLE, Admitting
from capim.runtime.customresources import DEFINITIONS
from capim.runtime.definitions import Definitions
from capim.runtime.fieldmanagement import FieldManagement
from capim.runtime.gc import GarbageCollector
from capim.runtime.lifecycle import Lifecycle
from capim.runtime.objects import (
    Admission,
    DeleteOptions,
    Page,
    PatchType,
    Stored,
    WatchEvent,
    encode,
)
from capim.runtime.patching import patched
from capim.runtime.selection import Selection
from capim.runtime.store import Store
from capim.runtime.subscriptions import Watch
from capim.runtime.views import changed_form, new_form
from capim.wire.managedfields import same_but_for_times

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource, ResourceTable
    from capim.runtime.baselayer import Base
    from capim.runtime.kinds.rules import BuiltinRules
    from capim.runtime.objects import Change
    from capim.runtime.watchlog import WatchLog
    from capim.wire.managedfields import Entries
    from capim.wire.selectors import FieldSelector, LabelSelector

__all__ = [
    "Admission",
    "DeleteOptions",
    "Page",
    "PatchType",
    "ResourceGroup",
    "Stored",
    "Watch",
    "WatchEvent",
]

#: the name `list` is taken inside the class
StoredList: TypeAlias = list[Stored]

#: the kind that is written when it is read
_LEASES: Final = "leases"
#: 8 MiB of encoded objects: some 4 000 Nodes
_HISTORY_BYTES: Final = 8 << 20


_NOBODY: Final[Mapping[str, str]] = MappingProxyType({})


def _nothing(namespace: str | None, name: str) -> None:
    """Do nothing."""


class ResourceGroup:
    """The objects of one cluster. One loop, no lock: calls are synchronous and never interleave."""

    def __init__(
        self,
        resources: ResourceTable,
        *,
        clock: Callable[[], float],
        new_uid: Callable[[], str],
        first_version: int,
        history_events: int = 4096,
        history_bytes: int = _HISTORY_BYTES,
        admission: Admission | None = None,
        require_namespace: bool = True,
        rules: BuiltinRules | None = None,
        track_fields: bool = True,
        kubelets: bool = False,
        base: Base | None = None,
    ) -> None:
        self._clock = clock
        self._new_uid = new_uid
        self._require_namespace = require_namespace
        self._store = Store(resources, first_version, history_events, history_bytes, base)
        self._fields = FieldManagement(clock, tracking=track_fields)
        self._lifecycle = Lifecycle(self._store, clock, kubelets=kubelets)
        self._gc = GarbageCollector(self._store, self._lifecycle)
        #: checks what is written; knows how strictly, and what the writer should be told
        self.admitting = Admitting(self._store, admission, rules)
        self._definitions = Definitions(self._store, clock)
        self._store.observe = self._observe
        #: told of every change as it is made; it may note it, but must not write
        self.on_change: Callable[[Change], None] | None = None
        #: told of who is about to read leases, by namespace and name: it may write them
        self.on_lease_read: Callable[[str | None, str], None] = _nothing
        #: by faults: nodes whose pods nobody may evict, with what the budget that forbids it is called
        self.unevictable: Mapping[str, str] = _NOBODY

    @property
    def resources(self) -> ResourceTable:
        """What is served; definitions of custom resources change it."""
        return self._store.resources

    @resources.setter
    def resources(self, table: ResourceTable) -> None:
        self._store.resources = table

    @property
    def resource_version(self) -> int:
        """The version of the last change."""
        return self._store.version

    @property
    def history(self) -> WatchLog:
        """The last changes, as far back as they are held."""
        return self._store.log

    @property
    def store(self) -> Store:
        """What the group keeps, for who writes it down and restores it; `settle` must follow that."""
        return self._store

    def empty(self) -> None:
        """Let go of everything: the cluster is gone. Nothing may be asked of the group any more."""
        self._store.empty()
        self.on_change = None

    @property
    def watches(self) -> int:
        """How many watches are open."""
        return len(self._store.subscriptions)

    def now(self) -> float:
        """Return the group's time, in seconds since the epoch."""
        return self._clock()

    # --- reads -------------------------------------------------------------------------------------

    def get(self, resource: Resource, namespace: str, name: str) -> Stored:
        """Return an object. Raises APIError: NotFound."""
        if resource.plural == _LEASES:
            self.on_lease_read(namespace, name)
        return self._find(resource, namespace, name).served_as(resource)

    def find(self, resource: Resource, namespace: str, name: str) -> Stored | None:
        """Return an object or None."""
        return self._store.find(resource, namespace, name)

    def dependents(self, uid: str) -> StoredList:
        """Return the objects that name this one among their owners, in no certain order."""
        return self._gc.dependents(uid)

    def list(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        labels: LabelSelector | None = None,
        fields: FieldSelector | None = None,
        limit: int = 0,
        continue_token: str = "",
        at: int | None = None,
    ) -> Page:
        """Return the selected objects in the order of namespace and name.

        Args:
            resource: the kind.
            namespace: None for all namespaces.
            labels: selector, None for all.
            fields: selector, None for all.
            limit: how many at most; 0 for all.
            continue_token: of the page before; all pages show the version of the first.
            at: an earlier version to show (resourceVersionMatch=Exact); None for the newest.

        Raises:
            APIError: BadRequest for a token or field; Expired where history is gone; Timeout for a
                version that is yet to come.
        """
        if resource.plural == _LEASES:
            self.on_lease_read(namespace, "")
        selection = Selection(resource, namespace, labels, fields)
        then = listing.begin(continue_token, at, self._store.version)
        self.check_not_future(then.resource_version)
        return listing.page_at(self._store, resource, selection, then, limit=limit)

    def check_not_future(self, resource_version: int) -> int:
        """Return a version that has been. Raises APIError: Timeout, as real servers do."""
        if resource_version <= self._store.version:
            return resource_version
        raise listing.too_large(resource_version, self._store.version)

    def watch(
        self,
        resource: Resource,
        namespace: str | None,
        on_event: Callable[[WatchEvent], None],
        *,
        labels: LabelSelector | None = None,
        fields: FieldSelector | None = None,
        since: int,
    ) -> Watch:
        """Deliver what happened after `since`, then everything that happens until the watch is closed.

        History is delivered before this returns. Selectors turn objects that enter or leave the
        selection into ADDED and DELETED.

        Raises:
            APIError: Expired for a version no longer or never held; BadRequest for a field.
        """
        selection = Selection(resource, namespace, labels, fields)
        store = self._store
        missed = list(store.log.since(since)) if since != store.version else []
        watch = Watch(resource, selection, on_event, store.subscriptions, since)
        watch.replay(missed, store.version)
        store.subscriptions.add(watch)
        if resource.plural == _LEASES:
            self.on_lease_read(namespace, "")
        return watch

    def is_watched(self, resource: Resource, namespace: str) -> bool:
        """Tell whether anybody watches objects of a kind in a namespace."""
        return self._store.subscriptions.is_watched(resource.group_resource, namespace)

    # --- writes ------------------------------------------------------------------------------------

    def create(
        self,
        resource: Resource,
        namespace: str,
        body: JsonObject,
        *,
        dry_run: bool = False,
        uid: str = "",
        keep_status: bool = False,
        manager: str = "",
        managed: Entries | None = None,
    ) -> Stored:
        """Store a new object.

        Args:
            resource: the kind.
            namespace: empty for cluster scope.
            body: the object; it is not changed.
            dry_run: check and return only.
            uid: instead of a new one.
            keep_status: the simulator's own objects may have a status from the start.
            manager: the client as the fields' manager; empty for a write that is not tracked.
            managed: who manages which fields, where that is known.

        Raises:
            APIError: AlreadyExists, Invalid, BadRequest; NotFound or Forbidden for the namespace.
        """
        made = writes.own_copy(resource, body)
        writes.own_namespace(resource, namespace, made["metadata"])
        customobjects.check_open(resource, made["metadata"].get("name", ""))
        self.check_namespace(resource, namespace, made["metadata"].get("name", ""))
        writes.name_new(made["metadata"], self._new_uid, partial(self.find, resource, namespace))
        made["metadata"] = writes.new_metadata(
            resource, made["metadata"], now=self._clock(), uid=uid or self._new_uid()
        )
        strategies.prepare_create(resource, made, keep_status=keep_status)
        if not keep_status:
            made = self.admitting.complete(resource, made, None)
            if managed is None:
                managed = self._fields.created(resource, made, body, manager)
        kept, made = new_form(self._store, resource, made)
        if not keep_status:
            self.admitting.prepare(kept, made, None)
        made = self.admitting.check(kept, made, None, own=keep_status)
        name = made["metadata"]["name"]
        if self._store.find(resource, made["metadata"].get("namespace", ""), name):
            raise errors.already_exists(resource.plural, resource.group, name)
        if dry_run:
            return encode(kept, made, 0, managed or ()).served_as(resource)
        kept, made = customobjects.stored_form(kept, made)
        stored = self._store.commit("ADDED", kept, made, None, managed)
        self.settle()
        return stored.served_as(resource)

    def update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: JsonObject,
        *,
        subresource: str = "",
        dry_run: bool = False,
        manager: str = "",
    ) -> Stored:
        """Replace an object, or the part of it that a subresource is.

        A body without resourceVersion is written whatever the object's version. Status is written
        through the status subresource alone, where the kind has one.

        Raises:
            APIError: NotFound, Conflict, Invalid, BadRequest.
        """
        writes.check_stated_name(name, body)
        current = self._find(resource, namespace, name).served_as(resource)
        old = current.content()
        return self._write(
            resource, namespace, current, old, body, subresource, dry_run=dry_run, manager=manager
        )

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: object,
        patch_type: PatchType,
        *,
        subresource: str = "",
        dry_run: bool = False,
        manager: str = "",
        check: Callable[[JsonObject], JsonObject] | None = None,
    ) -> Stored:
        """Change an object as a patch says; one that states a resourceVersion is an optimistic lock.

        `check` is given what the patch made of the object, or of the part that a subresource shows, and
        returns what is to be written.

        Raises:
            APIError: as `update`; UnsupportedMediaType for a strategic patch of a custom resource.
        """
        current = self._find(resource, namespace, name).served_as(resource)
        old = current.content()
        body = patched(resource, current, old, patch, patch_type, subresource)
        if check is not None:
            body = check(body)
        return self._write(
            resource, namespace, current, old, body, subresource, dry_run=dry_run, manager=manager
        )

    def apply(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        config: JsonObject,
        *,
        manager: str,
        subresource: str = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> tuple[Stored, bool]:
        """Apply a configuration on the server's side; an object that is not there is created.

        Returns: the object, and whether it is new.

        Raises:
            APIError: as `create` and `update`; Conflict where other managers own what would change.
        """
        found = self._store.find(resource, namespace, name)
        if found is None:
            config = writes.new_from_applied(resource, name, config)
            managed = self._fields.applied_new(resource, config, manager)
            return self.create(resource, namespace, config, dry_run=dry_run, managed=managed), True
        current = found.served_as(resource)
        old = current.content()
        writes.check_same_uid(resource, config, old)
        body, managed = self._fields.applied(
            resource,
            old,
            config,
            current.managed,
            subresource=subresource,
            manager=manager,
            force=force,
        )
        stored = self._write(
            resource, namespace, current, old, body, subresource, dry_run=dry_run, managed=managed
        )
        return stored, False

    def apply_own(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        mutate: Callable[[JsonObject], JsonObject | None],
    ) -> Stored | None:
        """Let the simulator write an object whole, status included, in one change.

        `mutate` is given the object, or a bare one with its name where there is none, and returns what
        it should be, or None to leave it. Returns what is stored, None where nothing is.
        """
        found = self._store.find(resource, namespace, name)
        if found is None:
            bare = {"apiVersion": resource.api_version, "kind": resource.kind}
            body = mutate(bare | {"metadata": {"name": name}})
            return self.create(resource, namespace, body, keep_status=True) if body else None
        current = found.served_as(resource)
        body = mutate(current.content())
        return current if body is None else self._write_own(resource, namespace, current, body)

    def save_own(self, resource: Resource, body: JsonObject) -> Stored:
        """Let the simulator write an object whole, status included, whatever its version."""
        metadata = body["metadata"]
        namespace = metadata.get("namespace", "")
        found = self._store.find(resource, namespace, metadata["name"])
        if found is None:
            return self.create(resource, namespace, body, keep_status=True)
        return self._write_own(resource, namespace, found.served_as(resource), body)

    def _write_own(
        self, resource: Resource, namespace: str, current: Stored, body: JsonObject
    ) -> Stored:
        old = current.content()
        locked = {"resourceVersion": old["metadata"]["resourceVersion"]}
        body = body | {"metadata": body["metadata"] | locked}
        return self._write(resource, namespace, current, old, body, WHOLE, dry_run=False)

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        options: DeleteOptions | None = None,
    ) -> tuple[Stored, bool]:
        """Delete an object; one with finalizers waits for them.

        Returns: its last state, and whether it is gone.

        Raises:
            APIError: NotFound; Conflict for a precondition; Forbidden for an immortal namespace.
        """
        current = self._find(resource, namespace, name)
        options = options or DeleteOptions()
        self.admitting.check_deletion(current)
        last, gone = self._lifecycle.delete(current, options)
        self.settle()
        after = self._store.find(resource, namespace, name)
        return last.served_as(resource), gone or after is None

    def delete_collection(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        labels: LabelSelector | None = None,
        fields: FieldSelector | None = None,
        limit: int = 0,
        continue_token: str = "",
        options: DeleteOptions | None = None,
    ) -> Page:
        """Delete what a list with these selectors and this limit returns. Returns that list."""
        page = self.list(
            resource,
            namespace,
            labels=labels,
            fields=fields,
            limit=limit,
            continue_token=continue_token,
        )
        for stored in page.items:
            if self._store.find(resource, stored.namespace, stored.name):
                self.delete(resource, stored.namespace, stored.name, options)
        return page

    def check_namespace(self, resource: Resource, namespace: str, name: str) -> None:
        """Refuse what would be new in a namespace that ends (403) or is not there (404)."""
        if not resource.namespaced:
            return
        if self._gc.is_ending(namespace):
            raise strategies.namespace_terminating(resource, namespace, name)
        if self._require_namespace and not self._store.table(strategies.NAMESPACES).get(namespace):
            raise errors.not_found("namespaces", "", namespace)

    def validate(self) -> None:
        """Raise AssertionError where an invariant is broken; for tests."""
        self._gc.validate()
        self._store.validate()

    def _find(self, resource: Resource, namespace: str, name: str) -> Stored:
        stored = self._store.find(resource, namespace, name)
        if stored is None:
            raise errors.not_found(resource.plural, resource.group, name)
        return stored

    def _write(
        self,
        resource: Resource,
        namespace: str,
        current: Stored,
        old: JsonObject,
        body: JsonObject,
        subresource: str,
        *,
        dry_run: bool,
        manager: str = "",
        managed: Entries | None = None,
    ) -> Stored:
        view = "" if subresource == WHOLE else subresource
        entries = current.managed
        made = self.admitting.wanted(resource, namespace, old, body, subresource)
        if managed is None:
            managed = self._fields.updated(
                resource, old, made, entries, body, subresource=view, manager=manager
            )
        kept, made, old, current = changed_form(self._store, resource, made, old, current, view)
        if not subresource:
            self.admitting.prepare(kept, made, old)
        made = self.admitting.check(kept, made, old, view, own=subresource != "")
        binds = subresource == WHOLE and resource.group_resource == strategies.PODS
        if (
            resource.generation
            and not binds
            and not writes.wants_the_same(resource, made, old, subresource)
        ):
            made["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        if made == old and same_but_for_times(managed, entries):
            return current.served_as(resource)
        if dry_run:
            made_up = encode(kept, made, current.resource_version, managed)
            return made_up.served_as(resource)
        storage, made = customobjects.stored_form(kept, made)
        stored, _ = self._lifecycle.save(current, made, storage, managed)
        self.settle()
        return stored.served_as(resource)

    def _observe(self, change: Change) -> None:
        self._gc.observe(change)
        if self.on_change is not None:
            self.on_change(change)
        self.admitting.observe(change)
        if change.stored.resource.group_resource == DEFINITIONS:
            self._definitions.observe(change)
        elif change.stored.resource.group_resource == metering.API_SERVICES:
            self.resources = metering.table_after(self.resources, change)

    def settle(self) -> None:
        """Do what follows from changes, and tell the watches; nothing, where all has come to rest."""
        self._gc.settle()
        self.admitting.settle(self._lifecycle)
        self._definitions.settle()
        self._store.subscriptions.deliver()
