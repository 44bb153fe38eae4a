"""Paths that are no resources: discovery, health, version, and the page that is not there. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from capim.api.errors import method_not_allowed, no_such_resource
from capim.server import clustermetrics, health, version
from capim.server.accounts import key_set, openid_configuration
from capim.server.discovery import discovery_of
from capim.server.documents import cached_response, is_openapi, openapi_response
from capim.server.exchange import NO_SNIFF, PAGE_NOT_FOUND, TEXT, Response

if TYPE_CHECKING:
    from capim.server.discovery import Discovery
    from capim.server.endpoints import Control
    from capim.server.http import Exchange
    from capim.server.routes import PathInfo

_READ_ONLY: Final = ("/api", "/version")
_OBSERVED: Final = (*health.PATHS, "/metrics")
_OPENID: Final = "/.well-known/openid-configuration"
_KEYS: Final = "/openid/v1/jwks"


def answer(exchange: Exchange, info: PathInfo, control: Control) -> Response:
    """Answer a path that is no resource; most take any method, as in a real server.

    Raises:
        APIError: NotFound below /api or of a known group, MethodNotAllowed.
    """
    path = info.path.rstrip("/") or "/"
    if info.path.startswith(_OBSERVED):
        return _observed(exchange, info.path, control)
    table = discovery_of(control.served.group.resources)
    if is_openapi(info.path):
        return openapi_response(exchange, info.path, info.query, table.openapi)
    if path == "/":
        paths = orjson.dumps({"paths": table.paths()}, option=orjson.OPT_INDENT_2)
        return Response(200, paths)
    if path in _READ_ONLY or path.startswith("/api/") or path.count("/") > 2:
        _check_read(exchange, path, table)
    if path == "/version":
        return Response(200, version.document(control.served.kubernetes_version()))
    address = exchange.headers.get(b"host", b"").decode("latin-1")
    if path in {_OPENID, _KEYS}:
        if exchange.method != "GET":
            raise method_not_allowed()
        accounts = control.authenticator.accounts
        return key_set(accounts) if path == _KEYS else openid_configuration(accounts, address)
    accept = exchange.headers.get(b"accept", b"").decode("latin-1")
    found = table.document(path, accept, address)
    return cached_response(exchange, found) if found else _absent(path, table)


def _check_read(exchange: Exchange, path: str, table: Discovery) -> None:
    """Refuse to write what is only read, where it is."""
    known = path == "/version" or table.document(path, "") is not None
    if exchange.method != "GET" and known:
        raise method_not_allowed()


def _absent(path: str, table: Discovery) -> Response:
    """Answer what is not there: a Status where a group answers, a page of text elsewhere."""
    if not path.startswith("/"):
        return PAGE_NOT_FOUND  # `*`, and what CONNECT names
    parts = path.split("/")[1:]
    known = parts[0] in {"api", "version"} or (parts[0] == "apis" and table.has_group(parts[1]))
    if known:
        raise no_such_resource()
    return PAGE_NOT_FOUND


def _observed(exchange: Exchange, path: str, control: Control) -> Response:
    """Answer who watches over the server."""
    if path in clustermetrics.PATHS:
        return clustermetrics.answer(path, control)
    if not health.is_health(path):
        return PAGE_NOT_FOUND
    query = exchange.target.partition(b"?")[2].decode("latin-1")
    headers = (NO_SNIFF,) if path in health.PATHS else ()
    return Response(200, health.document(path, query), TEXT, headers)
