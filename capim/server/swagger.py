"""OpenAPI v2 of a table of kinds, in JSON and in protobuf: the documents of version 3 told in the older form.

Made when it is first asked for, in 0.7 s of CPU; what is built in is made once a process and kept packed
(0.75 MiB), a cluster's custom resources are put beside it. Parameters stand where they are used, not in a
list of their own.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from capim.api.builtin_schemas import REFERENCE, by_definition
from capim.server.openapi_documents import Packed, group_version_document
from capim.wire.swaggerproto import encode_document

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.server.openapi_documents import OpenApi

PATH: Final = "/openapi/v2"
_KEPT: Final = 4
_LEVEL: Final = 5
_DEFINITIONS: Final = "#/definitions/"
_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch")
_HEAD: Final[JsonObject] = {
    "swagger": "2.0",
    "info": {"title": "Kubernetes", "version": "1.35"},
}
_TAIL: Final[JsonObject] = {
    "securityDefinitions": {
        "BearerToken": {
            "description": "Bearer Token authentication",
            "type": "apiKey",
            "name": "authorization",
            "in": "header",
        }
    },
    "security": [{"BearerToken": []}],
}
#: what version 2 has no words for
_LOST: Final = frozenset({"default", "nullable", "allOf", "anyOf", "oneOf", "not"})
_INT_OR_STRING: Final = "x-kubernetes-int-or-string"
_PRESERVES: Final = "x-kubernetes-preserve-unknown-fields"
_KIND: Final = "x-kubernetes-group-version-kind"
_BODY: Final = "*/*"
_JSON_TYPE: Final = b"application/json"
_PROTOBUF_TYPE: Final = b"application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


class Documents(NamedTuple):
    """One document in both forms."""

    json: Packed
    protobuf: Packed


class _Part(NamedTuple):
    """What some group versions add to a document, packed: members of its maps, and protobuf."""

    paths: bytes
    definitions: bytes
    protobuf: bytes


class _Key(NamedTuple):
    """Group versions as the key of a cache: `hashes` say what they are made from."""

    hashes: tuple[str, ...]
    roots: _Roots


class _Roots:
    """Kinds by group version; equal to any other, because the hashes beside it tell them apart."""

    def __init__(self, by_root: dict[str, list[Resource]]) -> None:
        self.by_root = by_root

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Roots)

    def __hash__(self) -> int:
        return 0


def documents(openapi: OpenApi) -> Documents:
    """Return the document of a table."""
    builtin, custom = openapi.split()
    return _documents(_key(openapi, builtin), _key(openapi, custom))


def etag_of(openapi: OpenApi) -> bytes:
    """Return the tag of a table's document without making it."""
    builtin, custom = openapi.split()
    return _etag(_key(openapi, builtin), _key(openapi, custom))


def _etag(builtin: _Key, custom: _Key) -> bytes:
    digest = hashlib.sha512("".join(builtin.hashes + custom.hashes).encode())
    return b'"%b"' % digest.hexdigest().upper().encode()


def _key(openapi: OpenApi, by_root: dict[str, list[Resource]]) -> _Key:
    hashes = (f"{root} {openapi.hash_of(root)}" for root in by_root)
    return _Key(tuple(hashes), _Roots(by_root))


@functools.lru_cache(maxsize=_KEPT)
def _documents(builtin: _Key, custom: _Key) -> Documents:
    parts = [_builtin(builtin)]
    if custom.hashes:
        parts.append(_part(custom.roots.by_root))
    etag = _etag(builtin, custom)
    maps = (_joined(part.paths for part in parts), _joined(part.definitions for part in parts))
    text = b'%b,"paths":{%b},"definitions":{%b},%b' % (
        orjson.dumps(_HEAD)[:-1],
        *maps,
        orjson.dumps(_TAIL)[1:],
    )
    protobuf = encode_document(_HEAD | _TAIL)
    protobuf += b"".join(gzip.decompress(part.protobuf) for part in parts)
    return Documents(
        Packed(_packed(text), _JSON_TYPE, etag), Packed(_packed(protobuf), _PROTOBUF_TYPE, etag)
    )


@functools.lru_cache(maxsize=_KEPT)
def _builtin(key: _Key) -> _Part:
    return _part(key.roots.by_root)


def _part(by_root: dict[str, list[Resource]]) -> _Part:
    made: JsonObject = {"paths": {}, "definitions": {}}
    for root, resources in by_root.items():
        document = group_version_document(root, resources)
        made["paths"] |= {path: _path(item) for path, item in document["paths"].items()}
        made["definitions"] |= {
            name: schema_of(_without_fields(it))
            for name, it in document["components"]["schemas"].items()
            if not (resources[0].custom and name in by_definition())  # which stands there already
        }
    made["definitions"] = dict(sorted(made["definitions"].items()))
    paths, definitions = (_packed(orjson.dumps(value)[1:-1]) for value in made.values())
    return _Part(paths, definitions, _packed(encode_document(made)))


def _without_fields(schema: JsonObject) -> JsonObject:
    """Return a definition; of one whose fields are not all known only what it is.

    Clients of version 2 would take fields that are not named for wrong ones.
    """
    if not schema.get(_PRESERVES):
        return schema
    return {key: schema[key] for key in ("type", _KIND) if key in schema}


def _packed(data: bytes) -> bytes:
    return gzip.compress(data, _LEVEL, mtime=0)


def _joined(packed: Iterable[bytes]) -> bytes:
    return b",".join(filter(None, map(gzip.decompress, packed)))


def _path(item: JsonObject) -> JsonObject:
    made: JsonObject = {method: _operation(item[method]) for method in _METHODS if method in item}
    if "parameters" in item:
        made["parameters"] = [_parameter(it) for it in item["parameters"]]
    return made


def _operation(operation: JsonObject) -> JsonObject:
    content: JsonObject = operation.get("requestBody", {}).get("content", {})
    parameters = [_parameter(it) for it in operation.get("parameters", ())]
    if content:
        body = {"name": "body", "in": "body", "schema": schema_of(_first_schema(content))}
        required = {"required": True} if operation["requestBody"].get("required") else {}
        parameters.insert(0, body | required)
    responses: JsonObject = operation["responses"]
    media = (it for answer in responses.values() for it in answer.get("content", ()))
    produces = list(dict.fromkeys(media))
    made = {
        "description": operation["description"],
        "consumes": list(content) or ([_BODY] if "x-kubernetes-action" in operation else produces),
        "produces": produces,
        "schemes": ["https"],
        "tags": operation["tags"],
        "operationId": operation["operationId"],
        "parameters": parameters,
        "responses": {code: _response(answer) for code, answer in responses.items()},
    }
    made |= {key: value for key, value in operation.items() if key.startswith("x-")}
    return {key: value for key, value in made.items() if value}


def _first_schema(content: JsonObject) -> JsonObject:
    schema: JsonObject = next(iter(content.values()))["schema"]
    return schema


def _response(answer: JsonObject) -> JsonObject:
    made: JsonObject = {"description": answer["description"]}
    if content := answer.get("content"):
        made["schema"] = schema_of(_first_schema(content))
    return made


def _parameter(parameter: JsonObject) -> JsonObject:
    rest = {key: value for key, value in parameter.items() if key != "schema"}
    schema: JsonObject = parameter["schema"]
    return schema | rest


def schema_of(node: JsonObject) -> JsonObject:
    """Return a schema of version 3 in the words of version 2, with what these cannot say left out."""
    made: dict[str, Any] = {key: value for key, value in node.items() if key not in _LOST}
    if len(node.get("allOf", ())) == 1 and "$ref" in node["allOf"][0]:
        made |= node["allOf"][0]
    if "$ref" in made:
        made["$ref"] = _DEFINITIONS + made["$ref"].removeprefix(REFERENCE)
        return made
    if made.get(_INT_OR_STRING) or node.get("nullable"):
        made.pop("type", None)
    elif "oneOf" in node and "type" not in node:
        made["type"] = "string"
    if made.get(_PRESERVES) or node.get("nullable"):
        for key in ("items", "properties", "additionalProperties"):
            made.pop(key, None)
    _convert_inside(made)
    return made


def _convert_inside(made: dict[str, Any]) -> None:
    for key in ("items", "additionalProperties"):
        if isinstance(made.get(key), dict):
            made[key] = schema_of(made[key])
    if "properties" in made:
        made["properties"] = {key: schema_of(it) for key, it in made["properties"].items()}
