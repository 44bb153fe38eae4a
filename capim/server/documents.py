"""Documents that clients keep: an answer with an entity tag, or 304 to who has it already. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capim.server.http import Response

if TYPE_CHECKING:
    from capim.server.discovery import Document
    from capim.server.http import Exchange


def cached_response(exchange: Exchange, document: Document) -> Response:
    """Answer with a document, or with its tag alone where the client names that."""
    if not document.etag:
        return Response(200, document.body, document.content_type)
    headers = ((b"Cache-Control", b"public"), (b"Etag", document.etag), (b"Vary", b"Accept"))
    if names_tag(exchange.headers.get(b"if-none-match", b""), document.etag):
        # clients put this type over the stored answer's
        return Response(304, b"", document.content_type, headers)
    return Response(200, document.body, document.content_type, headers)


def names_tag(if_none_match: bytes, etag: bytes) -> bool:
    """Tell whether an If-None-Match header covers an entity tag, weak or strong."""
    tags = [tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b",")]
    return etag in tags or tags == [b"*"]
