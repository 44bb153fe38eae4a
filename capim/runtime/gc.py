"""The garbage collector: what becomes of objects whose owners, namespace or definition go.

A real cluster's controllers do this some time later; here it is part of the write that causes it, so a
reader never sees the time between. Work is a queue of objects to look at, in no recursion; what is
decided for one is what kube-controller-manager's garbage collector decides for it: dependents whose
owners are all absent are deleted, references to absent owners are dropped where another owner stands,
an owner that cannot be looked up (a kind that is not served) counts as standing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from capim.api.gvk import GVK, split_api_version
from capim.runtime.customresources import CLEANUP_FINALIZER, DEFINITIONS
from capim.runtime.definitions import mark_terminating
from capim.runtime.kinds.protection import PROTECTIONS, in_use
from capim.runtime.lifecycle import FOREGROUND, ORPHAN
from capim.runtime.objects import DeleteOptions
from capim.runtime.store import ref_of
from capim.runtime.strategies import NAMESPACE_FINALIZER, NAMESPACES

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.runtime.lifecycle import Lifecycle
    from capim.runtime.objects import Change, Stored
    from capim.runtime.store import ObjectRef, Store

Standing: TypeAlias = Literal["solid", "waiting", "absent"]

_BACKGROUND: Final = DeleteOptions(propagation="Background")


class GarbageCollector:
    """Observes every change and, when asked to settle, does all that follows from them."""

    def __init__(self, store: Store, lifecycle: Lifecycle) -> None:
        self._store = store
        self._lifecycle = lifecycle
        self._dependents: dict[str, dict[ObjectRef, None]] = {}  # by uid of the owner
        self._waiting: dict[str, ObjectRef] = {}  # owners in foreground deletion, by uid
        self._ending_namespaces: dict[str, ObjectRef] = {}
        self._ending_kinds: dict[tuple[str, str], ObjectRef] = {}
        self._protected: dict[ObjectRef, None] = {}  # to be deleted, held by those who use them
        self._queue: dict[ObjectRef, None] = {}  # an ordered set

    def observe(self, change: Change) -> None:
        """Index a change and queue the objects it concerns."""
        stored, previous = change.stored, change.previous
        ref = ref_of(stored)
        gone = change.type == "DELETED"
        owners = () if gone else stored.owners
        if owners != (previous.owners if previous else ()):
            self._index(ref, previous.owners if previous else (), owners)
            if owners:
                self._queue[ref] = None
        if self._waiting:
            self._queue.update(
                (self._waiting[u], None) for u in stored.owners if u in self._waiting
            )
        if gone:
            self._observe_end(ref, stored)
        elif stored.deleting:
            self._observe_ending(ref, stored)

    def settle(self) -> None:
        """Work until nothing is left to do."""
        while self._queue:
            ref = next(iter(self._queue))
            del self._queue[ref]
            stored = self._store.at(ref)
            if stored is not None:
                self._process(stored)

    def is_ending(self, namespace: str) -> bool:
        """Tell whether a namespace is being deleted."""
        return namespace in self._ending_namespaces

    def dependents(self, uid: str) -> list[Stored]:
        """Return the objects that name this uid among their owners."""
        found = map(self._store.at, tuple(self._dependents.get(uid, ())))
        return [dependent for dependent in found if dependent is not None]

    def validate(self) -> None:
        """Raise AssertionError where an invariant is broken; for tests."""
        expected: dict[str, dict[ObjectRef, None]] = {}
        for table in self._store.tables():
            for stored in table.slice(0, len(table)):
                for uid in stored.owners:
                    expected.setdefault(uid, {})[ref_of(stored)] = None
        assert self._dependents == expected  # noqa: S101
        assert not self._queue  # noqa: S101

    def _index(self, ref: ObjectRef, before: tuple[str, ...], after: tuple[str, ...]) -> None:
        for uid in before:
            dependents = self._dependents.get(uid, {})
            dependents.pop(ref, None)
            if not dependents:
                self._dependents.pop(uid, None)
        for uid in after:
            self._dependents.setdefault(uid, {})[ref] = None

    def _observe_end(self, ref: ObjectRef, stored: Stored) -> None:
        self._waiting.pop(stored.uid, None)
        self._queue.update(self._dependents.get(stored.uid, {}))
        if self._protected:
            self._protected.pop(ref, None)
            self._queue.update(self._protected)
        if stored.namespace in self._ending_namespaces:
            self._queue[self._ending_namespaces[stored.namespace]] = None
        if ref.group_resource in self._ending_kinds:
            self._queue[self._ending_kinds[ref.group_resource]] = None
        if ref.group_resource == NAMESPACES:
            self._ending_namespaces.pop(stored.name, None)
        elif ref.group_resource == DEFINITIONS:
            self._ending_kinds.pop(_defined(stored), None)

    def _observe_ending(self, ref: ObjectRef, stored: Stored) -> None:
        self._queue[ref] = None
        if FOREGROUND in stored.finalizers:
            self._waiting[stored.uid] = ref
        if ref.group_resource == NAMESPACES:
            self._ending_namespaces[stored.name] = ref
        elif ref.group_resource == DEFINITIONS:
            self._ending_kinds[_defined(stored)] = ref

    def _process(self, stored: Stored) -> None:
        kind = stored.resource.group_resource
        if not stored.deleting:
            if stored.owners:
                self._collect(stored)
        elif ORPHAN in stored.finalizers:
            self._orphan_dependents(stored)
        elif FOREGROUND in stored.finalizers:
            self._delete_dependents(stored)
        elif kind == NAMESPACES:
            self._empty_namespace(stored)
        elif kind in PROTECTIONS and PROTECTIONS[kind] in stored.finalizers:
            self._release(stored)
        elif kind == DEFINITIONS and CLEANUP_FINALIZER in stored.finalizers:
            self._empty_kind(stored)

    def _collect(self, stored: Stored) -> None:
        """Delete an object none of whose owners stands; drop references to those that do not."""
        body = stored.json()
        owners: list[JsonObject] = body["metadata"]["ownerReferences"]
        standings = [self._standing(owner, stored) for owner in owners]
        if "solid" in standings:
            solid = [o for o, how in zip(owners, standings, strict=True) if how == "solid"]
            if len(solid) < len(owners):
                body["metadata"]["ownerReferences"] = solid
                self._lifecycle.save(stored, body)
        elif "waiting" in standings and stored.uid in self._dependents:
            self._delete_waiting(stored, body)
        else:
            self._lifecycle.delete(stored, DeleteOptions(propagation=_own_propagation(stored)))

    def _delete_waiting(self, stored: Stored, body: JsonObject) -> None:
        """Delete in the foreground what an owner in foreground deletion waits for."""
        if any(dependent in self._waiting.values() for dependent in self._dependents[stored.uid]):
            # a circle of owners would wait for ever: this one no longer blocks the others
            for owner in body["metadata"]["ownerReferences"]:
                owner["blockOwnerDeletion"] = False
            stored, _ = self._lifecycle.save(stored, body)
        self._lifecycle.delete(stored, DeleteOptions(propagation="Foreground"))

    def _standing(self, owner: JsonObject, dependent: Stored) -> Standing:
        gvk = GVK(*split_api_version(owner["apiVersion"]), owner["kind"])
        resource = self._store.resources.by_gvk(gvk)
        if resource is None or (resource.namespaced and not dependent.namespace):
            return "solid"  # a real collector cannot look it up and tries again for ever
        namespace = dependent.namespace if resource.namespaced else ""
        found = self._store.find(resource, namespace, owner["name"])
        if found is None or found.uid != owner["uid"]:
            return "absent"
        return "waiting" if found.deleting and FOREGROUND in found.finalizers else "solid"

    def _orphan_dependents(self, stored: Stored) -> None:
        for dependent in self.dependents(stored.uid):
            body = dependent.json()
            owners = body["metadata"]["ownerReferences"]
            body["metadata"]["ownerReferences"] = [o for o in owners if o["uid"] != stored.uid]
            if not body["metadata"]["ownerReferences"]:
                del body["metadata"]["ownerReferences"]
            self._lifecycle.save(dependent, body)
        self._drop_finalizer(stored, ORPHAN)

    def _delete_dependents(self, stored: Stored) -> None:
        blocked = False
        for dependent in self.dependents(stored.uid):
            owners = dependent.json()["metadata"]["ownerReferences"]
            blocked |= any(o["uid"] == stored.uid and o.get("blockOwnerDeletion") for o in owners)
            if not dependent.deleting:
                self._queue[ref_of(dependent)] = None
        if not blocked:
            self._drop_finalizer(stored, FOREGROUND)

    def _release(self, stored: Stored) -> None:
        """Let go what is protected while it is used, once nobody uses it."""
        if in_use(self._store, stored):
            self._protected[ref_of(stored)] = None
        else:
            self._drop_finalizer(stored, PROTECTIONS[stored.resource.group_resource])

    def _empty_namespace(self, stored: Stored) -> None:
        for content in self._contents(stored.name):
            self._end(content)
        left = self._contents(stored.name)
        body = stored.json()
        if not left:
            finalizers = body["spec"]["finalizers"]
            body["spec"]["finalizers"] = [f for f in finalizers if f != NAMESPACE_FINALIZER]
        status = body.get("status") or {}
        if left or status.get("conditions"):
            body["status"] = status | {"conditions": self._lifecycle.remains(body, left)}
        if body != stored.json():
            self._lifecycle.save(stored, body)

    def _contents(self, namespace: str) -> list[Stored]:
        return [
            content
            for table in self._store.tables()
            for content in table.slice(*table.span(namespace))
        ]

    def _empty_kind(self, stored: Stored) -> None:
        body = stored.json()
        mark_terminating(body, body["metadata"]["deletionTimestamp"], in_progress=True)
        if body != stored.json():
            stored, _ = self._lifecycle.save(stored, body)
        table = self._store.table(_defined(stored))
        contents = list(table.slice(0, len(table)))
        for content in contents:
            self._end(content)
        if not contents:
            self._drop_finalizer(stored, CLEANUP_FINALIZER)

    def _end(self, stored: Stored) -> None:
        current = self._store.at(ref_of(stored))
        if current is not None and not current.deleting:
            self._lifecycle.delete(current, _BACKGROUND)

    def _drop_finalizer(self, stored: Stored, finalizer: str) -> None:
        body = stored.json()
        finalizers = [f for f in stored.finalizers if f != finalizer]
        body["metadata"]["finalizers"] = finalizers
        if not finalizers:
            del body["metadata"]["finalizers"]
        self._waiting.pop(stored.uid, None)
        self._lifecycle.save(stored, body)


def _own_propagation(stored: Stored) -> Literal["Foreground", "Background", "Orphan"]:
    if ORPHAN in stored.finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in stored.finalizers else "Background"


def _defined(definition: Stored) -> tuple[str, str]:
    """Return the storage of the kind that a definition defines: its name is `plural.group`."""
    plural, _, group = definition.name.partition(".")
    return group, plural
