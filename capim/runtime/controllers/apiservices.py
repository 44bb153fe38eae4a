"""APIServices: whether each is available, and one for every version that a definition serves.

Source: kube-aggregator's availability controllers, and the API server's registration of definitions.
Departure: behind a service nobody answers, so that its APIService is never available; but for the metrics
server, whose group is served by the API server itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.meta import format_time
from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.kinds import API_SERVICES, DEFINITIONS, SERVICES
from capim.runtime.metering import API_SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.objects import Change

_MANAGED: Final = "kube-aggregator.kubernetes.io/automanaged"
#: of groups that definitions make
_PRIORITY: Final = 1000
_VERSION_PRIORITY: Final = 100


def _reconcile(context: Context, _: str, name: str) -> None:
    body = context.get(API_SERVICES, "", name)
    version, _, group = name.partition(".")
    managed = body is None or (body["metadata"].get("labels") or {}).get(_MANAGED) == "true"
    if managed:
        defined = _is_defined(context, group, version)
        if body is None and defined:
            body = context.create(API_SERVICES, _registered(name, group, version))
        elif body is not None and not defined:
            context.delete(API_SERVICES, "", name)
            return
    if body is not None:
        _tell_available(context, body)


def _is_defined(context: Context, group: str, version: str) -> bool:
    """Tell whether a definition serves a version of a group."""
    for stored in context.stored(DEFINITIONS, None):
        spec = stored.json()["spec"]
        served = (it["name"] for it in spec["versions"] if it.get("served"))
        if spec["group"] == group and not stored.deleting and version in served:
            return True
    return False


def _registered(name: str, group: str, version: str) -> JsonObject:
    return {
        "metadata": {"name": name, "labels": {_MANAGED: "true"}},
        "spec": {
            "group": group,
            "version": version,
            "groupPriorityMinimum": _PRIORITY,
            "versionPriority": _VERSION_PRIORITY,
        },
    }


def _tell_available(context: Context, body: JsonObject) -> None:
    """Write down whether an APIService is available, and since when."""
    status, reason, message = _availability(context, body)
    known: JsonObject = body.get("status") or {}
    before: JsonObject = next(
        (it for it in known.get("conditions") or () if it["type"] == "Available"), {}
    )
    since = before.get("lastTransitionTime")
    if before.get("status") != status or since is None:
        since = format_time(context.now())
    condition = {
        "type": "Available",
        "status": status,
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }
    if condition != before:
        context.save(API_SERVICES, body | {"status": known | {"conditions": [condition]}})


def _availability(context: Context, body: JsonObject) -> tuple[str, str, str]:
    service: JsonObject | None = body["spec"].get("service")
    if service is None:
        return "True", "Local", "Local APIServices are always available"
    name, namespace = service.get("name", ""), service.get("namespace", "")
    if body["metadata"]["name"] == API_SERVICE:
        return "True", "Passed", "all checks passed"
    if context.get(SERVICES, namespace, name) is None:
        return "False", "ServiceNotFound", f'service/{name} in "{namespace}" is not present'
    text = f'cannot find endpointslices for service/{name} in "{namespace}"'
    return "False", "EndpointsNotFound", text


def _of_definition(_: Context, change: Change) -> Iterator[Key]:
    """Yield the versions that a definition serves, or served."""
    for stored in (change.stored, change.previous):
        if stored is not None:
            spec = stored.json()["spec"]
            yield from (("", f"{it['name']}.{spec['group']}") for it in spec["versions"])


def _of_service(context: Context, change: Change) -> Iterator[Key]:
    """Yield the APIServices behind a service; versions do not matter to them, only that it is there."""
    if change.type == "MODIFIED":
        return
    for own in context.group.store.table(API_SERVICES.group_resource).own():
        service = own.json()["spec"].get("service") or {}
        if (service.get("namespace"), service.get("name")) == (
            change.stored.namespace,
            change.stored.name,
        ):
            yield "", own.name


CONTROLLER: Final = Controller(
    "apiservices",
    API_SERVICES,
    _reconcile,
    watches=((DEFINITIONS, _of_definition), (SERVICES, _of_service)),
)
