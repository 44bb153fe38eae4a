"""The verbs: what each request does to the resource group, and how the answer looks. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from capim.api.errors import APIError, method_not_allowed
from capim.runtime import subresources
from capim.runtime.customscale import check_shown
from capim.runtime.eviction import evict
from capim.runtime.listing import list_body
from capim.runtime.typed import UnreadableError
from capim.server.applying import apply, manager_of
from capim.server.bodies import APPLY, decode_delete_options, decode_patch, media_type_of
from capim.server.exchange import PAGE_NOT_FOUND, Response
from capim.server.fieldvalidation import PatchCheck, request_object
from capim.server.listing import (
    check_version,
    exact_version,
    limit_of,
    parse_options,
    parse_selectors,
    version_number,
)
from capim.server.negotiation import Media
from capim.server.options import check_write
from capim.server.routes import PageNotFound
from capim.server.writers import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.runtime.resourcegroup import PatchType, ResourceGroup, Stored
    from capim.server.http import Exchange
    from capim.server.routes import RequestInfo

#: the code for a content type that nobody reads; it comes before the object is looked for
_UNSUPPORTED: Final = 415


def respond(exchange: Exchange, info: RequestInfo, group: ResourceGroup) -> Response:
    """Do what a request for a resource asks and return the answer.

    Raises:
        APIError: the refusal.
    """
    if info.subresource:
        return _SUBRESOURCES.get(info.subresource, _subresource)(exchange, info, group)
    return _HANDLERS[info.verb](exchange, info, group)


def _get(_: Exchange, info: RequestInfo, group: ResourceGroup) -> Response:
    if "resourceVersion" in info.query:
        _check_own_version(info, group)
    return _shown(group.get(info.resource, info.namespace or "", info.name), info)


def _check_own_version(info: RequestInfo, group: ResourceGroup) -> None:
    try:
        version = version_number(info.query["resourceVersion"])
    except ValueError as error:
        raise APIError("", 500, str(error)) from error  # a real server calls it its own fault
    group.check_not_future(version)


def _list(_: Exchange, info: RequestInfo, group: ResourceGroup) -> Response:
    if not info.query:
        return Response(200, list_body(info.resource, group.list(info.resource, info.namespace)))
    selectors = parse_selectors(info)
    options = parse_options(info.query)
    page = group.list(
        info.resource,
        info.namespace,
        labels=selectors.labels,
        fields=selectors.fields,
        limit=limit_of(options),
        continue_token=options.continue_token,
        at=exact_version(options, check_version(info.query, group)),
    )
    return Response(200, list_body(info.resource, page))


def _create(exchange: Exchange, info: RequestInfo, group: ResourceGroup) -> Response:
    dry_run = check_write("CreateOptions", info.query)
    manager = manager_of(exchange, info.query)
    body = request_object(exchange, info.resource)
    stored = group.create(
        info.resource, info.namespace or "", body, dry_run=dry_run, manager=manager
    )
    return Response(201, stored.document())


def _update(exchange: Exchange, info: RequestInfo, group: ResourceGroup) -> Response:
    dry_run = check_write("UpdateOptions", info.query)
    manager = manager_of(exchange, info.query)
    body = request_object(exchange, subresources.view_resource(info.resource, info.subresource))
    stored = group.update(
        info.resource,
        info.namespace or "",
        info.name,
        body,
        subresource=info.subresource,
        dry_run=dry_run,
        manager=manager,
    )
    return _shown(stored, info)


def _patch(exchange: Exchange, info: RequestInfo, group: ResourceGroup) -> Response:
    if media_type_of(_content_type(exchange)) == APPLY:
        stored, created = apply(exchange, info, group)
        return _shown(stored, info, 201 if created else 200)
    dry_run = check_write("PatchOptions", info.query)
    manager = manager_of(exchange, info.query)
    patch_type, patch = _patch_of(exchange, info, group)
    resource = subresources.view_resource(info.resource, info.subresource)
    check = PatchCheck(exchange, resource, patch_type, patch)
    try:
        stored = group.patch(
            info.resource,
            info.namespace or "",
            info.name,
            patch,
            patch_type,
            subresource=info.subresource,
            dry_run=dry_run,
            manager=manager,
            check=check,
        )
    except UnreadableError as error:
        raise check.unreadable(error) from error
    return _shown(stored, info)


def _patch_of(
    exchange: Exchange, info: RequestInfo, group: ResourceGroup
) -> tuple[PatchType, object]:
    """Return the patch; of an object that is not there, that is said before the patch is looked at."""
    custom = info.resource.custom
    try:
        return decode_patch(_content_type(exchange), exchange.body, custom=custom)
    except APIError as error:
        if error.code != _UNSUPPORTED:
            group.get(info.resource, info.namespace or "", info.name)
        raise


def _delete(exchange: Exchange, info: RequestInfo, group: ResourceGroup) -> Response:
    options = decode_delete_options(_content_type(exchange), exchange.body, info.query)
    stored, gone = group.delete(info.resource, info.namespace or "", info.name, options)
    if not gone or stored.deleting or info.resource.returned_when_deleted:
        return Response(200, stored.document())
    return Response(200, _deleted_status(stored))


def _delete_collection(exchange: Exchange, info: RequestInfo, group: ResourceGroup) -> Response:
    options = decode_delete_options(_content_type(exchange), exchange.body, info.query)
    selectors, listed = parse_selectors(info), parse_options(info.query)
    page = group.delete_collection(
        info.resource,
        info.namespace,
        labels=selectors.labels,
        fields=selectors.fields,
        limit=listed.limit,
        continue_token=listed.continue_token,
        options=options,
    )
    return Response(200, list_body(info.resource, page))


def _subresource(exchange: Exchange, info: RequestInfo, group: ResourceGroup) -> Response:
    """Read or write a part of the object that has a path of its own: status, scale, finalize."""
    if info.verb not in _OBJECT_VERBS or info.subresource in _RUN_SOMETHING:
        raise method_not_allowed()
    return _OBJECT_VERBS[info.verb](exchange, info, group)


def _shown(stored: Stored, info: RequestInfo, code: int = 200) -> Response:
    """Answer with an object, as its subresource shows it."""
    if info.subresource != "scale":
        return Response(code, stored.document())
    scale = subresources.view(info.resource, stored.json(), info.subresource)
    check_shown(info.resource, scale)
    return Response(200, encode(scale, Media.JSON))


def _evict(exchange: Exchange, info: RequestInfo, group: ResourceGroup) -> Response:
    body = request_object(exchange, subresources.view_resource(info.resource, info.subresource))
    raw = orjson.dumps(body.get("deleteOptions") or {})
    options = decode_delete_options("application/json", raw, info.query)
    dry_run = check_write("CreateOptions", info.query) or options.dry_run
    status = evict(group, info.namespace or "", info.name, body, dry_run=dry_run)
    return Response(201, encode(status, Media.JSON))


def _log(_: Exchange, info: RequestInfo, group: ResourceGroup) -> Response:
    """Show the log of a container that never ran: it is empty, and missing pods are still 404."""
    group.get(info.resource, info.namespace or "", info.name)
    return Response(200, b"", b"text/plain")


_OBJECT_VERBS: Final[dict[str, Callable[[Exchange, RequestInfo, ResourceGroup], Response]]] = {
    "get": _get,
    "update": _update,
    "patch": _patch,
}
_HANDLERS: Final[dict[str, Callable[[Exchange, RequestInfo, ResourceGroup], Response]]] = {
    **_OBJECT_VERBS,
    "list": _list,
    "create": _create,
    "delete": _delete,
    "deletecollection": _delete_collection,
}
_SUBRESOURCES: Final[dict[str, Callable[[Exchange, RequestInfo, ResourceGroup], Response]]] = {
    "eviction": _evict,
    "log": _log,
}
#: what a container would have to do
_RUN_SOMETHING: Final = frozenset({"attach", "exec", "portforward", "proxy"})


def _content_type(exchange: Exchange) -> str:
    return exchange.headers.get(b"content-type", b"").decode("latin-1")


def _deleted_status(stored: Stored) -> bytes:
    resource = stored.resource
    details = {"name": stored.name, "kind": resource.plural, "uid": stored.uid}
    if resource.group:
        details["group"] = resource.group
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return encode({**status, "details": details}, Media.JSON)


def error_response(error: APIError, media: Media = Media.JSON, *, pretty: bool = False) -> Response:
    """Answer with the refusal's Status; the one place that turns an error into HTTP."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if isinstance(error, PageNotFound):
        return PAGE_NOT_FOUND
    if error.retry_after_s is not None:
        headers = ((b"Retry-After", b"%d" % error.retry_after_s),)
    body = encode(error.status(), media, pretty=pretty)
    return Response(error.code, body, media.value.encode(), headers)
