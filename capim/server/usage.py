"""Answers for metrics.k8s.io: the usage of nodes and pods that there are. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from capim.api.errors import not_found
from capim.api.gvk import GVR
from capim.runtime.metering import GROUP, node_metrics, pod_metrics
from capim.server.http import Response
from capim.server.listing import parse_selectors

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.runtime.objects import Stored
    from capim.server.endpoints import Asked

_PODS: Final = GVR("", "v1", "pods")
_NODES: Final = GVR("", "v1", "nodes")


def show_pods(asked: Asked) -> Response:
    """Show what pods use. Raises APIError: NotFound, BadRequest for a selector."""
    now = asked.control.clock()
    made = (pod_metrics(stored.json(), now) for stored in _found(asked, _PODS))
    return _shown(asked, [it for it in made if it is not None])


def show_nodes(asked: Asked) -> Response:
    """Show what nodes use. Raises APIError: NotFound, BadRequest for a selector."""
    group, now = asked.control.served.group, asked.control.clock()
    on: dict[str, list[JsonObject]] = {}
    for stored in group.list(_resource(asked, _PODS), None).items:
        pod = stored.json()
        on.setdefault(pod["spec"].get("nodeName", ""), []).append(pod)
    made = [
        node_metrics(stored.json(), on.get(stored.name, ()), now)
        for stored in _found(asked, _NODES)
    ]
    return _shown(asked, made)


def _found(asked: Asked, kind: GVR) -> list[Stored]:
    """Return the objects that are asked for."""
    info, group = asked.info, asked.control.served.group
    resource = _resource(asked, kind)
    if info.name:
        found = group.find(resource, info.namespace or "", info.name)
        return [] if found is None else [found]
    selectors = parse_selectors(info)
    page = group.list(resource, info.namespace, labels=selectors.labels, fields=selectors.fields)
    return page.items


def _shown(asked: Asked, items: list[JsonObject]) -> Response:
    info = asked.info
    if not info.name:
        body: Any = {"kind": f"{info.resource.kind}List", "apiVersion": info.resource.api_version}
        return Response(200, orjson.dumps(body | {"metadata": {}, "items": items}) + b"\n")
    if not items:
        name = f"{info.namespace}/{info.name}" if info.namespace else info.name
        raise not_found(info.resource.kind.lower(), GROUP, name)
    return Response(200, orjson.dumps(items[0]) + b"\n")


def _resource(asked: Asked, kind: GVR) -> Any:
    return asked.control.served.group.resources.by_gvr(kind)
