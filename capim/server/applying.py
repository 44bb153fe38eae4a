"""Server-side apply over HTTP, and who a client is as a manager of fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.errors import bad_request
from capim.runtime import subresources
from capim.server.bodies import decode_yaml
from capim.server.fieldvalidation import check_applied
from capim.server.options import check_write
from capim.server.routes import is_true

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.runtime.resourcegroup import ResourceGroup, Stored
    from capim.server.http import Exchange
    from capim.server.routes import Query, RequestInfo

_LONGEST_MANAGER: Final = 128


def manager_of(exchange: Exchange, query: Query) -> str:
    """Return who manages the fields that this request writes: what it says, else its user agent."""
    manager = query.get("fieldManager", "")
    return manager or _of_user_agent(exchange.headers.get(b"user-agent", b"").decode("latin-1"))


def apply(exchange: Exchange, info: RequestInfo, group: ResourceGroup) -> tuple[Stored, bool]:
    """Apply the body on the server's side.

    Returns: the object, and whether it is new.

    Raises:
        APIError: Invalid without a manager, BadRequest for a body that is no configuration of this
            kind, and what the resource group refuses.
    """
    dry_run = check_write("PatchOptions", info.query, apply=True)
    if info.subresource:  # a part of an object is never created by itself
        group.get(info.resource, info.namespace or "", info.name)
    config = _config(exchange.body, info)
    check_applied(exchange)
    return group.apply(
        info.resource,
        info.namespace or "",
        info.name,
        config,
        manager=info.query["fieldManager"],
        subresource=info.subresource,
        force=is_true(info.query.get("force")),
        dry_run=dry_run,
    )


def _config(data: bytes, info: RequestInfo) -> JsonObject:
    try:
        config = decode_yaml(data)
    except ValueError as error:
        raise bad_request(f"error decoding YAML: {error}") from error
    resource = subresources.view_resource(info.resource, info.subresource)
    api_version, kind = config.get("apiVersion"), config.get("kind")
    if (api_version, kind) != (resource.api_version, resource.kind):
        shown = f"{api_version or ''}, Kind={kind or ''}"
        group_version = shown if "/" in str(api_version) else f"/{shown}"
        raise bad_request(f"invalid object type: {group_version}")
    metadata = config.setdefault("metadata", {}) or {}
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    return config


def _of_user_agent(text: str) -> str:
    name = text.partition("/")[0]
    return "".join(char for char in name if char.isprintable())[:_LONGEST_MANAGER] or "unknown"
