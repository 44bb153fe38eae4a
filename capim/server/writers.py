"""Answers in another form than they are stored in: other media types, partial objects, Tables. Pure.

An answer is made of the JSON that a client without a taste of its own would get: one object, a list or
a line of a watch. A kind that a transformation does not know, such as a Status, stays what it is.
Nothing here is on the way of plain JSON, and nothing is kept: who asks for another form pays for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import orjson

from capim.api.errors import APIError
from capim.runtime.subresources import view_resource
from capim.server import yamltext
from capim.server.negotiation import Form, Media
from capim.server.tables import Tables
from capim.wire import kubeproto

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.server.http import Response
    from capim.server.routes import RequestInfo

JSON: Final = b"application/json"


class Transformation(Protocol):
    """Makes something else of an object or a list."""

    def of(self, shown: JsonObject) -> JsonObject:
        """Return what is made of it; what is not of the kind is returned itself."""


class Writer:
    """Writes the answers of one request."""

    def __init__(self, form: Form, transformation: Transformation | None, *, pretty: bool) -> None:
        self._media = form.media
        self._transformation = transformation
        self._pretty = pretty

    @property
    def stream_type(self) -> bytes:
        """The content type of a watch."""
        return JSON if self._media is Media.JSON else f"{self._media.value};stream=watch".encode()

    def response(self, response: Response) -> Response:
        """Return the answer in this form."""
        if response.content_type != JSON:
            return response
        body = orjson.loads(response.body)
        if self._transformation is not None:
            body = self._transformation.of(body)
        return response._replace(
            body=encode(body, self._media, pretty=self._pretty),
            content_type=self._media.value.encode(),
        )

    def line(self, line: bytes) -> bytes:
        """Return a watch event in this form, framed as its media type frames it."""
        event = orjson.loads(line)
        if self._transformation is not None:
            event["object"] = self._transformation.of(event["object"])
        if self._media is Media.JSON:
            return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
        return kubeproto.encode_event(event["type"], event["object"])


class PartialObjects:
    """Makes metadata of objects and lists: PartialObjectMetadata and its list."""

    def __init__(self, resource: Resource, form: Form) -> None:
        self._resource = resource
        self._wants_list = form.kind == "PartialObjectMetadataList"
        self._api_version = f"meta.k8s.io/{form.version}"

    def of(self, shown: JsonObject) -> JsonObject:
        """Return the metadata. Raises APIError: 406 where a list is asked for as an object."""
        kind = shown.get("kind")
        if kind == self._resource.list_kind:
            self._check(is_list=True)
            items = [self._partial(item) for item in shown["items"]]
            metadata = {key: value for key, value in shown["metadata"].items() if value}
            made = self._made("PartialObjectMetadataList", {"metadata": metadata})
            return made | {"items": items}
        if kind != self._resource.kind:
            return shown
        self._check(is_list=False)
        return self._partial(shown)

    def _partial(self, obj: JsonObject) -> JsonObject:
        return self._made("PartialObjectMetadata", obj)

    def _made(self, kind: str, shown: JsonObject) -> JsonObject:
        metadata = shown.get("metadata") or {}
        if metadata.get("continue") == "":
            metadata = {key: value for key, value in metadata.items() if key != "continue"}
        return {"kind": kind, "apiVersion": self._api_version, "metadata": metadata}

    def _check(self, *, is_list: bool) -> None:
        if is_list == self._wants_list:
            return
        resource = self._resource
        group = resource.group.partition(".")[0] or "core"
        kind = resource.list_kind if is_list else resource.kind
        named = f"{group}.{kind}"
        if resource.custom:
            named = f"unstructured.Unstructured{'List' if is_list else ''}"
        asked, is_one = ("PartialObjectMetadata", "is a list")
        if self._wants_list:
            asked, is_one = ("PartialObjectMetadataList", "is not a list")
        why = f"you requested {asked}, but the requested object {is_one} (*{named})"
        raise APIError("NotAcceptable", 406, why)


def writer_for(
    form: Form, info: RequestInfo, clock: Callable[[], float], *, pretty: bool
) -> Writer:
    """Return what writes the answers to a request.

    Raises:
        APIError: 400 for options of a Table that there are not.
    """
    resource = view_resource(info.resource, info.subresource)
    transformation: Transformation | None = None
    if form.kind == "Table":
        transformation = Tables(resource, info.query, clock, form.version)
    elif form.kind:
        transformation = PartialObjects(resource, form)
    return Writer(form, transformation, pretty=pretty)


def encode(body: JsonObject, media: Media, *, pretty: bool = False) -> bytes:
    """Return an object's bytes.

    Raises:
        APIError: 406 for a kind that has no protobuf.
    """
    if media is Media.JSON:
        option = orjson.OPT_INDENT_2 if pretty else orjson.OPT_APPEND_NEWLINE
        return orjson.dumps(body, option=option)
    if media is Media.YAML:
        return yamltext.dump(body)
    try:
        return kubeproto.encode(body)
    except kubeproto.KubeProtoError as error:
        raise APIError("NotAcceptable", 406, str(error)) from error
