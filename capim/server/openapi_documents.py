"""OpenAPI documents of a table of kinds: made when they are first asked for, kept packed, shared.

A document is known by a fingerprint of what it is made from, so that an index can name documents
nobody asked for yet, and clusters whose tables have a group version in common share its document.
Measured (CPython 3.11, one core): the document of core/v1, the largest, takes 150 ms when nothing is cached
(its prose is read from the source of the installed client library), and 80 KiB are kept of it.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from capim.server.openapi import paths_of
from capim.server.openapi_schemas import closure, custom_schemas
from capim.wire.openapi3proto import encode_document

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource, ResourceTable

INDEX: Final = "/openapi/v3"
_KEPT: Final = 64
_LEVEL: Final = 5
#: of the kube-apiserver whose documents these are
_INFO: Final = {"title": "Kubernetes", "version": "1.35"}
_PROTOBUF: Final = b"application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
_CUSTOM_INFO: Final = {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}
_BEARER: Final = {
    "type": "apiKey",
    "description": "Bearer Token authentication",
    "name": "authorization",
    "in": "header",
}


class Packed(NamedTuple):
    """A document as it is kept."""

    gzipped: bytes
    content_type: bytes
    etag: bytes  #: with quotes

    @property
    def body(self) -> bytes:
        """The document itself."""
        return gzip.decompress(self.gzipped)


class OpenApi:
    """The documents of one table."""

    def __init__(self, table: ResourceTable) -> None:
        self._roots = {
            f"apis/{group}/{version}" if group else f"api/{version}": resources
            for group, versions in table.groups().items()
            for version, resources in versions.items()
        }
        self._hashes: dict[str, str] = {}

    def index(self) -> bytes:
        """List the documents by path (`api/v1`, `apis/apps/v1`), each with its hash."""
        paths = {
            root: {"serverRelativeURL": f"{INDEX}/{root}?hash={self.hash_of(root)}"}
            for root in sorted(self._roots)
        }
        return orjson.dumps({"paths": paths})

    def hash_of(self, root: str) -> str | None:
        """Return what a document is known by, None where there is none."""
        if root not in self._roots:
            return None
        if root not in self._hashes:
            self._hashes[root] = fingerprint(self._roots[root])
        return self._hashes[root]

    def split(self) -> tuple[dict[str, list[Resource]], dict[str, list[Resource]]]:
        """Return the built-in kinds and the custom ones, by what their documents are called."""
        parts: tuple[dict[str, list[Resource]], dict[str, list[Resource]]] = ({}, {})
        for root, resources in sorted(self._roots.items()):
            parts[resources[0].custom][root] = resources
        return parts

    def group_version(self, root: str, *, protobuf: bool = False) -> Packed:
        """Return the document of a group version that has a hash, in JSON or in protobuf."""
        key = _Resources(self._roots[root], self._hashes[root])
        return (_group_version_protobuf if protobuf else _group_version)(root, key)


class _Resources:
    """Kinds of a group version as the key of a cache: equal when made from the same."""

    def __init__(self, resources: list[Resource], made_from: str) -> None:
        self.resources = resources
        self.made_from = made_from

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Resources) and other.made_from == self.made_from

    def __hash__(self) -> int:
        return hash(self.made_from)


def fingerprint(resources: list[Resource]) -> str:
    """Return a hash of everything a document is made from."""
    digest = hashlib.sha512()
    for resource in resources:
        digest.update(repr(resource).encode())
        digest.update(orjson.dumps(resource.schema, option=orjson.OPT_SORT_KEYS))
    return digest.hexdigest().upper()


@functools.lru_cache(maxsize=_KEPT)
def _group_version(root: str, key: _Resources) -> Packed:
    document = group_version_document(root, key.resources)
    return Packed(
        gzip.compress(orjson.dumps(document), _LEVEL, mtime=0),
        b"application/json",
        b'"%b"' % key.made_from.encode(),
    )


@functools.lru_cache(maxsize=_KEPT)
def _group_version_protobuf(root: str, key: _Resources) -> Packed:
    json = _group_version(root, key)
    document = encode_document(orjson.loads(json.body))
    return Packed(gzip.compress(document, _LEVEL, mtime=0), _PROTOBUF, json.etag)


def group_version_document(root: str, resources: list[Resource]) -> JsonObject:
    """Describe the kinds of one group and version, `root` being `api/v1` or `apis/apps/v1`."""
    custom = resources[0].custom
    paths = paths_of(f"/{root}", resources)
    components: JsonObject = {"schemas": closure(paths, custom_schemas(resources))}
    if not custom:
        components["securitySchemes"] = {"BearerToken": _BEARER}
    return {
        "openapi": "3.0.0",
        "info": _CUSTOM_INFO if custom else _INFO,
        "paths": paths,
        "components": components,
    }
