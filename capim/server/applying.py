"""Server-side apply over HTTP, and who a client is as a manager of fields."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from capim.api.errors import bad_request, invalid_options
from capim.runtime import subresources
from capim.server.bodies import decode_yaml, dry_run_of
from capim.server.routes import is_true

if TYPE_CHECKING:
    from capim.api.errors import APIError
    from capim.api.meta import JsonObject
    from capim.runtime.resourcegroup import ResourceGroup, Stored
    from capim.server.http import Exchange
    from capim.server.routes import RequestInfo

_LONGEST_MANAGER: Final = 128
_OPTIONS: Final = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}


def manager_of(exchange: Exchange, info: RequestInfo) -> str:
    """Return who manages the fields that this request writes: what it says, else its user agent.

    Raises:
        APIError: Invalid, for a manager that cannot be one.
    """
    manager = info.query.get("fieldManager", "")
    if not manager:
        return _of_user_agent(exchange.headers.get(b"user-agent", b"").decode("latin-1"))
    if len(manager.encode()) > _LONGEST_MANAGER:
        what = f"Too long: may not be more than {_LONGEST_MANAGER} bytes"
        raise _invalid(info, "fieldManager", what)
    for index, char in enumerate(manager):
        if not char.isprintable():
            what = (
                f"Invalid value: {_quoted(manager)}: invalid character "
                f"U+{ord(char):04X} (at position {index})"
            )
            raise _invalid(info, "fieldManager", what)
    return manager


def apply(exchange: Exchange, info: RequestInfo, group: ResourceGroup) -> tuple[Stored, bool]:
    """Apply the body on the server's side.

    Returns: the object, and whether it is new.

    Raises:
        APIError: Invalid without a manager, BadRequest for a body that is no configuration of this
            kind, and what the resource group refuses.
    """
    if not info.query.get("fieldManager"):
        what = "Required value: is required for apply patch"
        raise _invalid(info, "fieldManager", what)
    manager = manager_of(exchange, info)
    dry_run = dry_run_of(info.query)
    if info.subresource:  # a part of an object is never created by itself
        group.get(info.resource, info.namespace or "", info.name)
    config = _config(exchange.body, info)
    return group.apply(
        info.resource,
        info.namespace or "",
        info.name,
        config,
        manager=manager,
        subresource=info.subresource,
        force=is_true(info.query.get("force")),
        dry_run=dry_run,
    )


def check_not_forced(info: RequestInfo) -> None:
    """Refuse `force` of a patch that is no apply. Raises APIError: Invalid."""
    if "force" in info.query:
        what = "Forbidden: may not be specified for non-apply patch"
        raise _invalid(info, "force", what)


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


def _quoted(text: str) -> str:
    """Quote as Go does."""
    escapes = {"\a": "\\a", "\v": "\\v"}
    shown = [escapes.get(char) or json.dumps(char, ensure_ascii=False)[1:-1] for char in text]
    return f'"{"".join(shown)}"'


def _invalid(info: RequestInfo, field: str, what: str) -> APIError:
    return invalid_options(_OPTIONS[info.verb], [(field, what)])
