"""Request bodies to JSON objects, by content type. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, cast

import orjson
import yaml

from capim.api.errors import APIError, bad_request, invalid_options, unsupported_media_type
from capim.runtime.resourcegroup import DeleteOptions, PatchType
from capim.server.routes import Query, is_true
from capim.wire import kubeproto

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

JSON: Final = "application/json"
YAML: Final = "application/yaml"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
APPLY: Final = "application/apply-patch+yaml"
_ACCEPTED: Final = ", ".join((JSON, YAML, PROTOBUF))
_CUSTOM_PATCHES: Final = ", ".join((PatchType.JSON, PatchType.MERGE, APPLY))
_GO_KINDS: Final = {list: "array", str: "string", bool: "bool"}
_PROPAGATIONS: Final = ("Foreground", "Background", "Orphan")
Propagation: TypeAlias = Literal["Foreground", "Background", "Orphan"]
_T = TypeVar("_T")


class _Loader(yaml.SafeLoader):
    """YAML as JSON knows it: what looks like a time stays text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the base class declares it so
        first: [(tag, pattern) for tag, pattern in rows if tag != "tag:yaml.org,2002:timestamp"]
        for first, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def decode_body(content_type: str, data: bytes) -> JsonObject:
    """Decode an object as a client sent it; no content type means JSON, as in a real server.

    Raises:
        APIError: 415 for another format, 400 for a body that is not what it says.
    """
    media_type = media_type_of(content_type)
    try:
        match media_type:
            case "" | "application/json":
                body = orjson.loads(data)
            case "application/vnd.kubernetes.protobuf":
                body = kubeproto.decode(data)
            case "application/yaml":
                body = yaml.load(data, _Loader)  # noqa: S506 - it is a safe loader
            case _:
                raise unsupported_media_type(_ACCEPTED)
    except (ValueError, yaml.YAMLError) as error:
        raise bad_request(f"the object provided is unrecognized: {error}") from error
    if not isinstance(body, dict):
        raise bad_request("the object provided is unrecognized: it is not an object")
    return body


def decode_yaml(data: bytes) -> JsonObject:
    """Decode an object written in YAML, which JSON is too. Raises ValueError: it is none."""
    try:
        body = orjson.loads(data)
    except ValueError:
        try:
            body = yaml.load(data, _Loader)  # noqa: S506 - it is a safe loader
        except yaml.YAMLError as error:
            raise ValueError(str(error)) from error
    if body is None:
        return {}
    if not isinstance(body, dict):
        what = _GO_KINDS.get(type(body), "number")
        text = f"json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"
        raise ValueError(f"error unmarshaling JSON: while decoding JSON: {text}")
    return body


def decode_patch(
    content_type: str, data: bytes, *, custom: bool = False
) -> tuple[PatchType, object]:
    """Decode a patch and tell its kind by the content type.

    Raises:
        APIError: 415 for a content type that is no patch, 400 for a body that is not JSON.
    """
    media_type = media_type_of(content_type)
    try:
        patch_type = PatchType(media_type)
    except ValueError:
        raise _no_patch(custom=custom) from None
    try:
        return patch_type, orjson.loads(data)
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from error


def _no_patch(*, custom: bool) -> APIError:
    """415: routes of built-in kinds refuse what is no patch before a handler can say what would be."""
    if custom:
        return unsupported_media_type(_CUSTOM_PATCHES)
    return APIError("UnsupportedMediaType", 415, "415: Unsupported Media Type", details={})


def decode_delete_options(content_type: str, data: bytes, query: Query) -> DeleteOptions:
    """Read DeleteOptions from the body, or where there is none from the query.

    Raises:
        APIError: 400 or 415 for a body that is no DeleteOptions, 400 or 422 for values it cannot have.
    """
    body = decode_body(content_type, data) if data else _options_of_query(query)
    if body.get("kind", "DeleteOptions") != "DeleteOptions":
        raise bad_request(f"the body of a delete is DeleteOptions, not {body['kind']}")
    preconditions = _typed(body, "preconditions", dict) or {}
    propagation = _typed(body, "propagationPolicy", str)
    if propagation is None and (orphan := _typed(body, "orphanDependents", bool)) is not None:
        propagation = "Orphan" if orphan else "Background"
    if propagation is not None and propagation not in _PROPAGATIONS:
        listed = ", ".join(f'"{it}"' for it in (*_PROPAGATIONS, "nil"))
        why = f'Unsupported value: "{propagation}": supported values: {listed}'
        raise invalid_options("DeleteOptions", [("propagationPolicy", why)])
    dry_run = _typed(body, "dryRun", list) or []
    return DeleteOptions(
        uid=_typed(preconditions, "uid", str),
        resource_version=_typed(preconditions, "resourceVersion", str),
        propagation=cast("Propagation | None", propagation),
        dry_run=_dry_run(dry_run) or dry_run_of(query),
    )


def dry_run_of(query: Query) -> bool:
    """Tell whether a write is only tried.

    Raises:
        APIError: 400 for anything but `All`.
    """
    value = query.get("dryRun")
    return _dry_run([value]) if value else False


def media_type_of(content_type: str) -> str:
    """Strip the parameters of a content type."""
    return content_type.partition(";")[0].strip().lower()


def _options_of_query(query: Query) -> JsonObject:
    options: dict[str, Any] = {}
    if policy := query.get("propagationPolicy"):
        options["propagationPolicy"] = policy
    if orphan := query.get("orphanDependents"):
        options["orphanDependents"] = is_true(orphan)
    return options


def _dry_run(values: list[object]) -> bool:
    if any(value != "All" for value in values):
        raise bad_request(f"dryRun: Unsupported value: {values}: supported values: All")
    return bool(values)


def _typed(body: JsonObject, field: str, kind: type[_T]) -> _T | None:
    value = body.get(field)
    if value is None:
        return None
    if not isinstance(value, kind):
        raise bad_request(f"DeleteOptions: {field} has a value of the wrong type")
    return value
