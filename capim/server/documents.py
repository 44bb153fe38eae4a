"""Documents that clients keep: an answer with an entity tag, or 304 to who has it already. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.server import swagger
from capim.server.exchange import TEXT, Response
from capim.server.openapi_documents import INDEX

if TYPE_CHECKING:
    from capim.server.discovery import Document
    from capim.server.http import Exchange
    from capim.server.openapi_documents import OpenApi, Packed
    from capim.server.routes import Query

_JSON_RANGES: Final = ("", "*/*", "application/*", "application/json")
#: by the version of OpenAPI, and how its `@` may be written
_PROTOBUF: Final = {
    version: tuple(
        f"application/com.github.proto-openapi.spec.{version}{at}v1.0+protobuf" for at in "@."
    )
    for version in ("v2", "v3")
}
_VARY: Final = ((b"Vary", b"Accept"),)
_CHECK_AGAIN: Final = ((b"Cache-Control", b"no-cache, private"),)
_FOR_EVER: Final = ((b"Cache-Control", b"public, immutable"),)


def cached_response(exchange: Exchange, document: Document) -> Response:
    """Answer with a document, or with its tag alone where the client names that."""
    if not document.etag:
        return Response(200, document.body, document.content_type)
    headers = ((b"Cache-Control", b"public"), (b"Etag", document.etag), *_VARY)
    if names_tag(exchange.headers.get(b"if-none-match", b""), document.etag):
        # clients put this type over the stored answer's
        return Response(304, b"", document.content_type, headers)
    return Response(200, document.body, document.content_type, headers)


def is_openapi(path: str) -> bool:
    """Tell whether a path is one of those that `openapi_response` answers."""
    return path in {INDEX, swagger.PATH} or path.startswith(f"{INDEX}/")


def openapi_response(exchange: Exchange, path: str, query: Query, openapi: OpenApi) -> Response:
    """Answer `/openapi/v2`, `/openapi/v3` and what is below; 404 has no body there, as on a real server."""
    if path == swagger.PATH:
        return _swagger_response(exchange, openapi)
    if path == INDEX:
        return Response(200, openapi.index(), TEXT, _CHECK_AGAIN)
    root = path.removeprefix(f"{INDEX}/")
    known_by = openapi.hash_of(root)
    if known_by is None:
        return Response(404, b"", b"", _CHECK_AGAIN)
    wanted = _form(exchange.headers.get(b"accept", b""), "v3")
    if wanted is None:
        return Response(406, b"", b"", _VARY)
    asked_for = query.get("hash", "")
    if asked_for and asked_for != known_by:
        target = f"{path}?hash={known_by}".encode()
        return Response(301, b"", headers=((b"Location", target), *_VARY))
    caching = _FOR_EVER if asked_for else _CHECK_AGAIN
    document = openapi.group_version(root, protobuf=bool(wanted))
    return packed_response(exchange, document, (*caching, *_VARY))


def _swagger_response(exchange: Exchange, openapi: OpenApi) -> Response:
    """Answer `/openapi/v2`: JSON, or protobuf where a client prefers it."""
    headers = (*_CHECK_AGAIN, *_VARY)
    wanted = _form(exchange.headers.get(b"accept", b""), "v2")
    if wanted is None:
        return Response(406, b"", b"", headers)
    etag = swagger.etag_of(openapi)
    if names_tag(exchange.headers.get(b"if-none-match", b""), etag):
        return Response(304, b"", b"application/json", (*headers, (b"Etag", etag)))
    return packed_response(exchange, swagger.documents(openapi)[wanted], headers)


def _form(accept: bytes, version: str) -> int | None:
    """Return the first form that a client takes: 0 for JSON, 1 for protobuf, None for no form there is."""
    for part in accept.decode("latin-1").split(","):
        name = part.partition(";")[0].strip()
        if name in _JSON_RANGES:
            return 0
        if name in _PROTOBUF[version]:
            return 1
    return None


def packed_response(
    exchange: Exchange, packed: Packed, headers: tuple[tuple[bytes, bytes], ...]
) -> Response:
    """Answer with a document that is kept packed, unpacked unless the client takes it so."""
    headers = (*headers, (b"Etag", packed.etag))
    if names_tag(exchange.headers.get(b"if-none-match", b""), packed.etag):
        return Response(304, b"", packed.content_type, headers)
    if b"gzip" in exchange.headers.get(b"accept-encoding", b""):
        headers = (*headers, (b"Content-Encoding", b"gzip"), (b"Vary", b"Accept-Encoding"))
        return Response(200, packed.gzipped, packed.content_type, headers)
    return Response(200, packed.body, packed.content_type, headers)


def names_tag(if_none_match: bytes, etag: bytes) -> bool:
    """Tell whether an If-None-Match header covers an entity tag, weak or strong."""
    tags = [tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b",")]
    return etag in tags or tags == [b"*"]
