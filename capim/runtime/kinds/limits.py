"""LimitRanger: what a namespace's LimitRanges give to its pods, and what they refuse.

Cheap where there are none: one look-up a pod. Source: k8s.io/kubernetes `plugin/pkg/admission/limitranger`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api import errors
from capim.api.quantities import Quantity, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.runtime.store import Store

_ANNOTATION: Final = "kubernetes.io/limit-ranger"
_KEYS: Final = ("containers", "initContainers")


def apply_limits(store: Store, pod: JsonObject) -> None:
    """Give a new pod's containers what is set for them, in place. Raises APIError: Forbidden."""
    table = store.table(("", "limitranges"))
    if not len(table):
        return
    ranges = table.slice(*table.span(pod["metadata"]["namespace"]))
    items = [item for held in ranges for item in held.json()["spec"]["limits"]]
    told = [text for item in items if item["type"] == "Container" for text in _complete(pod, item)]
    if told:
        text = f"LimitRanger plugin set: {'; '.join(told)}"
        metadata = pod["metadata"]
        metadata["annotations"] = (metadata.get("annotations") or {}) | {_ANNOTATION: text}
    refused = [text for item in items for text in _refusals(pod["spec"], item)]
    if refused:
        why = refused[0] if len(refused) == 1 else f"[{', '.join(refused)}]"
        raise errors.forbidden("pods", "", pod["metadata"]["name"], why)


def _complete(pod: JsonObject, item: JsonObject) -> Iterator[str]:
    for key in _KEYS:
        kind = "container" if key == "containers" else "init container"
        for container in pod["spec"].get(key) or ():
            resources = container.setdefault("resources", {})
            asked = (
                ("requests", "defaultRequest", "request"),
                ("limits", "default", "limit"),
            )
            for field, source, word in asked:
                held = resources.get(field) or {}
                missing = sorted((item.get(source) or {}).keys() - held.keys())
                if missing:
                    given = {name: item[source][name] for name in missing}
                    resources[field] = held | given
                    named = ", ".join(missing)
                    yield f"{named} {word} for {kind} {container['name']}"


def _refusals(spec: JsonObject, item: JsonObject) -> Iterator[str]:
    containers = [c.get("resources") or {} for key in _KEYS for c in spec.get(key) or ()]
    if item["type"] == "Container":
        for resources in containers:
            yield from _broken(resources, item)
    elif item["type"] == "Pod":
        total = {field: _total(containers, field) for field in ("requests", "limits")}
        yield from _broken(total, item)


def _total(containers: list[JsonObject], field: str) -> JsonObject:
    """Add up what containers say; a name that one of them leaves out is unbounded, so left out."""
    held = [resources.get(field) or {} for resources in containers]
    names = set.intersection(*(set(each) for each in held)) if held else set()
    return {
        name: str(
            Quantity(
                sum(parse_quantity(each[name]).nanos for each in held),
                parse_quantity(held[0][name]).family,
            )
        )
        for name in sorted(names)
    }


def _broken(resources: JsonObject, item: JsonObject) -> Iterator[str]:
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for name, bound in (item.get("min") or {}).items():
        text = f"minimum {name} usage per {item['type']} is {bound}"
        if name not in requests:
            yield f"{text}.  No request is specified"
        elif _amount(requests[name]) < _amount(bound):
            yield f"{text}, but request is {requests[name]}"
        elif name in limits and _amount(limits[name]) < _amount(bound):
            yield f"{text}, but limit is {limits[name]}"
    for name, bound in (item.get("max") or {}).items():
        text = f"maximum {name} usage per {item['type']} is {bound}"
        if name not in limits:
            yield f"{text}.  No limit is specified"
        elif _amount(limits[name]) > _amount(bound):
            yield f"{text}, but limit is {limits[name]}"
        elif name in requests and _amount(requests[name]) > _amount(bound):
            yield f"{text}, but request is {requests[name]}"


def _amount(text: str) -> int:
    return parse_quantity(text).nanos
