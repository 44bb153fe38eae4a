"""ResourceQuota: what a namespace's quotas count, refuse and show as used.

Cheap where there are none: one look-up a creation. What is used is counted from the objects there are, so
it cannot drift. Source: k8s.io/kubernetes `pkg/quota/v1`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from capim.api import errors
from capim.api.quantities import NANO, Quantity, parse_quantity
from capim.runtime.graceful import has_ended
from capim.runtime.kinds.quotascopes import is_counted, is_scoped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.runtime.lifecycle import Lifecycle
    from capim.runtime.objects import Change, Stored
    from capim.runtime.store import Store

QUOTAS: Final = ("", "resourcequotas")
_PODS: Final = ("", "pods")
_CLAIMS: Final = ("", "persistentvolumeclaims")
_SERVICES: Final = ("", "services")
#: kinds that are counted by their bare names as well as by `count/`
_BARE: Final = frozenset(
    {
        "configmaps",
        "persistentvolumeclaims",
        "pods",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
    }
)
_COMPUTE: Final = ("cpu", "memory", "ephemeral-storage")


class Quotas:
    """The quotas of one cluster. One loop, no lock."""

    def __init__(self) -> None:
        self._changed: dict[str, None] = {}  # namespaces, in their order

    def enforce(self, store: Store, resource: Resource, body: JsonObject) -> None:
        """Refuse an object for which a quota has no room. Raises APIError: Forbidden."""
        if not resource.namespaced or not len(store.table(QUOTAS)):
            return
        metadata = body["metadata"]
        wanted = _usage(resource.group_resource, body)
        for quota in _quotas_of(store, metadata["namespace"]):
            if not is_counted(quota, resource.group_resource, body):
                continue
            why = _refusal(store, quota, wanted, resource.group_resource, body)
            if why:
                name = metadata["name"]
                raise errors.forbidden(resource.plural, resource.group, name, why)

    def observe(self, store: Store, change: Change) -> None:
        """Note a change of what is counted."""
        if change.stored.namespace and len(store.table(QUOTAS)):
            self._changed[change.stored.namespace] = None

    def settle(self, store: Store, lifecycle: Lifecycle) -> None:
        """Write down what is used where that has changed."""
        while self._changed:
            namespace = next(iter(self._changed))
            del self._changed[namespace]
            for stored in store.table(QUOTAS).slice(*store.table(QUOTAS).span(namespace)):
                body = stored.json()
                hard = (body.get("spec") or {}).get("hard") or {}
                status = {"hard": hard, "used": _used(store, namespace, hard, body)}
                if body.get("status") != status:
                    lifecycle.save(stored, body | {"status": status})
            self._changed.pop(namespace, None)  # by these writes themselves


def _quotas_of(store: Store, namespace: str) -> Iterator[JsonObject]:
    table = store.table(QUOTAS)
    for stored in table.slice(*table.span(namespace)):
        yield stored.json()


def _refusal(
    store: Store, quota: JsonObject, wanted: Counter[str], kind: tuple[str, str], body: JsonObject
) -> str:
    hard: JsonObject = (quota.get("spec") or {}).get("hard") or {}
    name = quota["metadata"]["name"]
    if kind == _PODS:
        missing = _unspecified(hard, body["spec"])
        if missing:
            return f"failed quota: {name}: must specify {missing}"
    concerned = sorted(key for key in hard if wanted[key])
    if not concerned:
        return ""
    limits = {key: hard[key] for key in concerned}
    used = _used(store, body["metadata"]["namespace"], limits, quota)
    over = [
        key
        for key in concerned
        if parse_quantity(used[key]).nanos + wanted[key] > parse_quantity(hard[key]).nanos
    ]
    if not over:
        return ""
    requested = ",".join(f"{key}={_shown(wanted[key], hard[key])}" for key in over)
    before = ",".join(f"{key}={used[key]}" for key in over)
    limited = ",".join(f"{key}={hard[key]}" for key in over)
    return f"exceeded quota: {name}, requested: {requested}, used: {before}, limited: {limited}"


def _unspecified(hard: JsonObject, spec: JsonObject) -> str:
    """Say which containers leave open what a quota counts."""
    texts = []
    for key in sorted(hard):
        field, _, name = key.rpartition(".")
        field = field or "requests"
        if name not in _COMPUTE[:2] or field not in {"requests", "limits"}:
            continue
        silent = [
            container["name"]
            for container in spec.get("containers") or ()
            if name not in ((container.get("resources") or {}).get(field) or {})
        ]
        if silent:
            texts.append(f"{key} for: {','.join(silent)}")
    return "; ".join(texts)


def _used(store: Store, namespace: str, hard: JsonObject, quota: JsonObject) -> JsonObject:
    """Count what is in the scopes of a quota, in the order and family of the limits."""
    total: Counter[str] = Counter()
    scoped = is_scoped(quota)
    for table in [store.table(_PODS)] if scoped else store.tables():
        for stored in table.slice(*table.span(namespace)):
            if not scoped or is_counted(quota, _PODS, stored.json()):
                total.update(_usage_of(stored))
    return {key: _shown(total[key], limit) for key, limit in hard.items()}


def _usage_of(stored: Stored) -> Counter[str]:
    kind = stored.resource.group_resource
    if kind in {_PODS, _CLAIMS, _SERVICES}:
        return _usage(kind, stored.json())
    return _counted(kind)


def _shown(nanos: int, limit: str) -> str:
    return str(Quantity(nanos, parse_quantity(limit).family))


def _counted(kind: tuple[str, str]) -> Counter[str]:
    group, plural = kind
    usage = Counter({f"count/{plural}.{group}" if group else f"count/{plural}": NANO})
    if not group and plural in _BARE:
        usage[plural] = NANO
    return usage


def _usage(kind: tuple[str, str], body: JsonObject) -> Counter[str]:
    """Return what one object takes, in nanos."""
    usage, spec = _counted(kind), body.get("spec") or {}
    if kind == _PODS:
        if has_ended(body):
            return Counter({"count/pods": NANO})
        _add_compute(usage, spec)
    elif kind == _CLAIMS:
        size = ((spec.get("resources") or {}).get("requests") or {}).get("storage", "0")
        usage["requests.storage"] = parse_quantity(size).nanos
    elif kind == _SERVICES:
        usage["services.loadbalancers"] = NANO * (spec.get("type") == "LoadBalancer")
        usage["services.nodeports"] = NANO * sum(
            1 for port in spec.get("ports") or () if port.get("nodePort")
        )
    return usage


def _add_compute(usage: Counter[str], spec: JsonObject) -> None:
    for container in spec.get("containers") or ():
        for field in ("requests", "limits"):
            held = (container.get("resources") or {}).get(field) or {}
            for name, text in held.items():
                usage[f"{field}.{name}"] += parse_quantity(text).nanos
                if field == "requests" and name in _COMPUTE:
                    usage[name] += parse_quantity(text).nanos
