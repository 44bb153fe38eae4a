"""How objects end: deletion, what it waits for, and the write that removes the last finalizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api import errors
from capim.api.meta import format_time
from capim.runtime import graceful, remains
from capim.runtime.customresources import CLEANUP_FINALIZER, DEFINITIONS
from capim.runtime.definitions import mark_terminating
from capim.runtime.objects import encode
from capim.runtime.strategies import NAMESPACES, PODS

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.runtime.objects import DeleteOptions, EventType, Stored
    from capim.runtime.store import Store
    from capim.wire.managedfields import Entries

FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"
_PROPAGATION_FINALIZERS: Final = {"Foreground": FOREGROUND, "Orphan": ORPHAN, "Background": ""}
#: kinds whose dependents stay unless a client says otherwise, as they did before there was a choice
_ORPHANING: Final = frozenset({("batch", "jobs"), ("", "replicationcontrollers")})
#: a real API server's NamespaceLifecycle admission refuses to delete these
IMMORTAL_NAMESPACES: Final = frozenset({"default", "kube-system", "kube-public"})


class Lifecycle:
    """Deletes objects and stores changed ones. Settling what follows is the caller's."""

    def __init__(self, store: Store, clock: Callable[[], float], *, kubelets: bool = False) -> None:
        self._store = store
        self._clock = clock
        self._kubelets = kubelets  #: pods are given time to end, and somebody ends them

    def delete(self, stored: Stored, options: DeleteOptions) -> tuple[Stored, bool]:
        """Delete an object, or mark it as to be deleted where finalizers hold it.

        Returns: its last state, and whether it is gone.

        Raises:
            APIError: Conflict for a precondition, Forbidden for an immortal namespace, Invalid for
                an unknown propagation.
        """
        check_deletion(stored, options)
        body = stored.content()
        if stored.resource.group_resource == PODS:
            return self._delete_pod(stored, body, options)
        metadata = body["metadata"]
        finalizers = _finalizers_for(stored, options)
        if not finalizers and not _holds_contents(stored, body):
            return self._remove(stored, body, dry_run=options.dry_run), True
        unchanged = stored.deleting and finalizers == list(stored.finalizers)
        if unchanged:
            return stored, False
        metadata["finalizers"] = finalizers
        if not finalizers:
            del metadata["finalizers"]
        if not stored.deleting:
            self._mark(stored, body)
        if options.dry_run:
            return _tried(stored, body), False
        return self._store.commit("MODIFIED", stored.resource, body, stored), False

    def save(
        self,
        stored: Stored,
        body: JsonObject,
        resource: Resource | None = None,
        managed: Entries | None = None,
    ) -> tuple[Stored, bool]:
        """Store a new state of an object; one to be deleted that nothing holds any more goes.

        Args:
            stored: the state until now.
            body: the state from now on.
            resource: the version of a custom resource to store it in, if not the one it is in.
            managed: who manages its fields, if not who did until now.

        Returns: the new state, and whether it is gone.
        """
        metadata = body["metadata"]
        gone = (
            "deletionTimestamp" in metadata
            and not metadata.get("finalizers")
            and not graceful.is_given_time(body)
            and not _holds_contents(stored, body)
        )
        event: EventType = "DELETED" if gone else "MODIFIED"
        stored = self._store.commit(event, resource or stored.resource, body, stored, managed)
        return stored, gone

    def _delete_pod(
        self, stored: Stored, body: JsonObject, options: DeleteOptions
    ) -> tuple[Stored, bool]:
        """Give a pod time to end; without any it is marked and goes: watchers hear of both."""
        if not self._mark_pod(stored, body, options):
            return stored, False
        finalizers = _finalizers_for(stored, options)
        body["metadata"]["finalizers"] = finalizers
        if not finalizers:
            del body["metadata"]["finalizers"]
        stays = bool(finalizers) or graceful.is_given_time(body)
        if options.dry_run:
            return _tried(stored, body), not stays
        if body != stored.content():
            stored = self._store.commit("MODIFIED", stored.resource, body, stored)
        if stays:
            return stored, False
        return self._store.commit("DELETED", stored.resource, body, stored), True

    def _mark_pod(self, stored: Stored, body: JsonObject, options: DeleteOptions) -> bool:
        """Mark a pod as to be deleted; false: it is, and with no more time than is asked for."""
        now = self._clock()
        if not stored.deleting:
            seconds = graceful.period_s(body, options.grace_s) if self._kubelets else 0
            graceful.begin(body, seconds, now)
            return True
        return not graceful.is_given_time(body) or graceful.shorten(body, options.grace_s, now)

    def remains(self, namespace: JsonObject, contents: list[Stored]) -> list[JsonObject]:
        """Return the conditions of a namespace that is to end and still has these objects."""
        return remains.conditions(namespace, contents, self._clock())

    def _remove(self, stored: Stored, body: JsonObject, *, dry_run: bool) -> Stored:
        return stored if dry_run else self._store.commit("DELETED", stored.resource, body, stored)

    def _mark(self, stored: Stored, body: JsonObject) -> None:
        metadata = body["metadata"]
        metadata["deletionTimestamp"] = format_time(self._clock())
        kind = stored.resource.group_resource
        if kind == DEFINITIONS:
            mark_terminating(body, metadata["deletionTimestamp"], in_progress=False)
            return
        if metadata.get("generation"):
            metadata["generation"] += 1
        if kind == NAMESPACES:
            body["status"] = (body.get("status") or {}) | {"phase": "Terminating"}
        else:  # these two end by their contents, without a grace period
            metadata["deletionGracePeriodSeconds"] = 0


def _tried(stored: Stored, body: JsonObject) -> Stored:
    """Return an object as it would be, at the version that it has."""
    return encode(stored.resource, body, stored.resource_version, stored.managed)


def check_deletion(stored: Stored, options: DeleteOptions) -> None:
    """Refuse a deletion whose preconditions fail or that is never allowed. Raises APIError."""
    resource, name = stored.resource, stored.name
    if resource.group_resource == NAMESPACES:
        _check_namespace(stored, options)
    if options.uid is not None and options.uid != stored.uid:
        why = f"the UID in the precondition ({options.uid}) does not match the UID in record"
        why += f" ({stored.uid}). The object might have been deleted and then recreated"
        raise errors.conflict(resource.kind, resource.group, name, why)
    wanted = options.resource_version
    if wanted is not None and wanted != str(stored.resource_version):
        why = (
            f"the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion"
        )
        why += f" in record ({stored.resource_version}). The object might have been modified"
        raise errors.conflict(resource.kind, resource.group, name, why)
    if options.propagation is not None and options.propagation not in _PROPAGATION_FINALIZERS:
        text = f'Unsupported value: "{options.propagation}": supported values: '
        text += '"Foreground", "Background", "Orphan", "nil"'
        raise errors.invalid("DeleteOptions", "meta.k8s.io", "", [("propagationPolicy", text)])
    if resource.group_resource == NAMESPACES and name in IMMORTAL_NAMESPACES:
        raise errors.forbidden("namespaces", "", name, "this namespace may not be deleted")


def _check_namespace(stored: Stored, options: DeleteOptions) -> None:
    version = str(stored.resource_version)
    why = ""
    if options.uid not in {None, stored.uid}:
        why = f"UID in precondition: {options.uid}, UID in object meta: {stored.uid}"
    elif options.resource_version not in {None, version}:
        wanted = options.resource_version
        why = (
            f"ResourceVersion in precondition: {wanted}, ResourceVersion in object meta: {version}"
        )
    if why:
        raise errors.conflict("namespaces", "", stored.name, f"Precondition failed: {why}")


def _finalizers_for(stored: Stored, options: DeleteOptions) -> list[str]:
    if stored.resource.group_resource == DEFINITIONS:
        rest = (f for f in stored.finalizers if f != CLEANUP_FINALIZER)
        return [*rest, CLEANUP_FINALIZER]
    propagation = options.propagation
    if propagation is None and stored.resource.group_resource in _ORPHANING:
        asked = {FOREGROUND, ORPHAN} & set(stored.finalizers)
        propagation = None if asked else "Orphan"
    if propagation is None:
        return list(stored.finalizers)
    kept = [f for f in stored.finalizers if f not in {FOREGROUND, ORPHAN}]
    wanted = _PROPAGATION_FINALIZERS[propagation]
    return [*kept, wanted] if wanted else kept


def _holds_contents(stored: Stored, body: JsonObject) -> bool:
    """Tell whether a namespace's contents are still to be deleted."""
    if stored.resource.group_resource != NAMESPACES:
        return False
    return bool((body.get("spec") or {}).get("finalizers"))
