"""componentstatuses: the deprecated view of a control plane's parts, all of them well. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from capim.api.errors import not_found
from capim.server.http import Response

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.server.endpoints import Asked

_PARTS: Final = ("scheduler", "controller-manager", "etcd-0")


def component_statuses(asked: Asked) -> Response:
    """Answer one part or all.

    Raises:
        APIError: NotFound, a control plane has no such part.
    """
    name = asked.info.name
    if name and name not in _PARTS:
        raise not_found("componentstatus", "", name)
    head: JsonObject = {"kind": "ComponentStatus", "apiVersion": "v1"}
    if name:
        return _shown({**head, **_part(name)})
    head["kind"] = "ComponentStatusList"
    return _shown({**head, "metadata": {}, "items": [_part(name) for name in _PARTS]})


def _part(name: str) -> JsonObject:
    healthy = {"type": "Healthy", "status": "True", "message": "ok"}
    return {"metadata": {"name": name}, "conditions": [healthy]}


def _shown(body: JsonObject) -> Response:
    return Response(200, orjson.dumps(body))
