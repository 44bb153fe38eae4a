"""Request bodies to JSON objects, by content type. Pure.

Refusals are worded as a real server's, whose decoders are Go's; only what libyaml says of YAML differs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, cast

import orjson
import yaml

from capim.api import builtin_types
from capim.api.canonical import go_kind
from capim.api.errors import (
    APIError,
    bad_request,
    invalid,
    invalid_options,
    request_too_large,
    unsupported_media_type,
)
from capim.api.gvk import GVK, split_api_version
from capim.runtime.resourcegroup import DeleteOptions, PatchType
from capim.server.listing import integer
from capim.server.options import Cause, dry_run_causes
from capim.server.routes import Query, is_true, values_of
from capim.server.yamltext import is_printable, load
from capim.wire import kubeproto
from capim.wire.gojson import syntax_error

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource

JSON: Final = "application/json"
YAML: Final = "application/yaml"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
APPLY: Final = "application/apply-patch+yaml"
_ACCEPTED: Final = ", ".join((JSON, YAML, PROTOBUF))
_CUSTOM_PATCHES: Final = ", ".join((PatchType.JSON, PatchType.MERGE, APPLY))
_PROPAGATIONS: Final = ("Foreground", "Background", "Orphan")
#: how much of a body a refusal shows
_SHOWN_BYTES: Final = 30
#: the struct that a real server reads apiVersion and kind into, as Go prints it
_TYPE_META: Final = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; '
    'Kind string "json:\\"kind,omitempty\\"" }'
)
#: where a real server's types are registered, as it names the place
_SCHEME: Final = "pkg/runtime/scheme.go:111"
_MAP: Final = "map[string]interface {}"
_CONTROL_CHARACTERS: Final = "yaml: control characters are not allowed"
_UNPRINTABLE: Final = "special characters are not allowed"  #: as PyYAML says it
_OPERATIONS: Final = "[]handlers.jsonPatchOp"
_OPERATIONS_LIMIT: Final = 10_000
_OPTION_TYPES: Final[dict[str, tuple[type, str]]] = {
    "dryRun": (list, "[]string"),
    "gracePeriodSeconds": (int, "int64"),
    "orphanDependents": (bool, "bool"),
    "preconditions": (dict, "v1.Preconditions"),
    "propagationPolicy": (str, "v1.DeletionPropagation"),
}
Propagation: TypeAlias = Literal["Foreground", "Background", "Orphan"]
_T = TypeVar("_T")


class BodyError(ValueError):
    """Bytes that are not what their content type says, in a real server's words."""


def decode_object(content_type: str, data: bytes, resource: Resource) -> JsonObject:
    """Decode a body as an object of this kind; one of a built-in kind need not say so.

    Raises:
        APIError: 415 for another format, 400 for a body that is not what it says, 400 or 422 for an object
            of another kind.
    """
    try:
        body = _decode(content_type, data)
        kind, api_version = _type_meta(body)
        if resource.custom and not kind:
            raise BodyError(f"Object 'Kind' is missing in '{data.decode(errors='replace')}'")
        if api_version.count("/") > 1:
            raise BodyError(f"unexpected GroupVersion string: {api_version}")
    except BodyError as error:
        told = f"the object provided is unrecognized (must be of type {resource.kind})"
        raise bad_request(f"{told}: {error} ({_summary(data)})") from error
    found: JsonObject = body or {}
    if not resource.custom:
        kind, api_version = kind or resource.kind, api_version or resource.api_version
    if (kind, api_version) != (resource.kind, resource.api_version):
        raise _other_kind(resource, kind, api_version, found)
    found["apiVersion"], found["kind"] = api_version, kind
    return found


def decode_yaml(data: bytes) -> JsonObject:
    """Decode an object written in YAML, which JSON is too. Raises BodyError: it is none."""
    try:
        body = orjson.loads(data)
        if not is_printable(data):  # what JSON may hold, and YAML not
            raise BodyError(f"error converting YAML to JSON: {_CONTROL_CHARACTERS}")
    except orjson.JSONDecodeError:
        try:
            body = _from_yaml(data)
        except BodyError as error:
            raise BodyError(f"error converting YAML to JSON: {error}") from error
    if body is None:
        return {}
    if not isinstance(body, dict):
        text = f"json: cannot unmarshal {go_kind(body)} into Go value of type {_MAP}"
        raise BodyError(f"error unmarshaling JSON: while decoding JSON: {text}")
    return body


def decode_patch(content_type: str, data: bytes, *, custom: bool) -> tuple[PatchType, object]:
    """Decode a patch and tell its kind by the content type.

    Raises:
        APIError: 415 for a content type that is no patch, 400 for a body that is none, 413 for too many
            operations.
    """
    media_type = media_type_of(content_type)
    try:
        patch_type = PatchType(media_type)
    except ValueError:
        raise _no_patch(custom=custom) from None
    if custom and patch_type is PatchType.STRATEGIC:
        raise _no_patch(custom=True)
    try:
        return patch_type, _checked_patch(patch_type, _from_json(data))
    except BodyError as error:
        prefix = "" if patch_type is PatchType.STRATEGIC else "error decoding patch: "
        raise bad_request(f"{prefix}{error}") from error


def decode_delete_options(content_type: str, data: bytes, query: Query) -> DeleteOptions:
    """Read DeleteOptions from the body, or where there is none from the query.

    Raises:
        APIError: 400 or 415 for a body that is no DeleteOptions, 400 or 422 for values it cannot have.
    """
    body = _delete_options(content_type, data) if data else _options_of_query(query)
    preconditions = _typed(body, "preconditions", dict) or {}
    propagation = _typed(body, "propagationPolicy", str)
    orphan = _typed(body, "orphanDependents", bool)
    dry_run = _typed(body, "dryRun", list) or []
    causes = dry_run_causes(dry_run) + _propagation_causes(propagation, orphan)
    if causes:
        raise invalid_options("DeleteOptions", causes)
    if orphan is not None:
        propagation = "Orphan" if orphan else "Background"
    return DeleteOptions(
        uid=_precondition(preconditions, "uid", "types.UID"),
        resource_version=_precondition(preconditions, "resourceVersion", "string"),
        propagation=cast("Propagation | None", propagation or None),
        dry_run=bool(dry_run),
        grace_s=_typed(body, "gracePeriodSeconds", int),
    )


def media_type_of(content_type: str) -> str:
    """Strip the parameters of a content type."""
    return content_type.partition(";")[0].strip().lower()


def _decode(content_type: str, data: bytes) -> Any:
    """Decode a body: an object, or None where it is empty on purpose.

    Raises:
        APIError: 415.
        BodyError: it is not what it says.
    """
    media_type, *parameters = content_type.split(";")
    if not all("=" in parameter for parameter in parameters):
        raise unsupported_media_type(_ACCEPTED)
    match media_type.strip().lower():
        case "" | "application/json":
            return _from_json(data, "couldn't get version/kind; json parse error: ")
        case "application/yaml":
            return _from_yaml(data)
        case "application/vnd.kubernetes.protobuf":
            return _from_protobuf(data)
    raise unsupported_media_type(_ACCEPTED)


def _from_json(data: bytes, prefix: str = "") -> Any:
    try:
        return orjson.loads(data)
    except ValueError:
        if why := syntax_error(data):
            raise BodyError(f"{prefix}{why}") from None
    return _lenient(data, prefix)


def _lenient(data: bytes, prefix: str) -> Any:
    """Decode what Go takes and a strict decoder does not: bytes that are no UTF-8, half characters."""
    try:
        value = json.loads(data.decode(errors="replace"))
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        return orjson.loads(text.encode(errors="replace"))
    except (ValueError, RecursionError) as error:
        raise BodyError(f"{prefix}json: unsupported value: {error}") from error


def _from_yaml(data: bytes) -> Any:
    try:
        return load(data)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BodyError(f"yaml: line {line}: {error.problem}") from error
    except yaml.reader.ReaderError as error:
        if error.reason == _UNPRINTABLE:
            raise BodyError(_CONTROL_CHARACTERS) from error
        raise BodyError(f"yaml: {error}") from error
    except (ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise BodyError(f"yaml: {error}") from error


def _from_protobuf(data: bytes) -> Any:
    if not data:
        raise BodyError("empty data")
    if not data.startswith(kubeproto.MAGIC):
        numbers = " ".join(str(byte) for byte in kubeproto.MAGIC)
        told = "provided data does not appear to be a protobuf message"
        raise BodyError(f"{told}, expected prefix [{numbers}]")
    if data == kubeproto.MAGIC:
        raise BodyError("empty body")
    try:
        return kubeproto.decode(data)
    except kubeproto.KubeProtoError as error:
        damaged = "damaged" in str(error)
        raise BodyError("unexpected EOF" if damaged else str(error)) from error


def _type_meta(body: Any) -> tuple[str, str]:
    """Return kind and apiVersion as the body states them. Raises BodyError."""
    prefix = "couldn't get version/kind; json parse error: json: cannot unmarshal"
    if body is None:
        return "", ""
    if not isinstance(body, dict):
        raise BodyError(f"{prefix} {go_kind(body)} into Go value of type {_TYPE_META}")
    for key in ("apiVersion", "kind"):
        value = body.get(key)
        if value is not None and not isinstance(value, str):
            raise BodyError(f"{prefix} {go_kind(value)} into Go struct field .{key} of type string")
    return body.get("kind") or "", body.get("apiVersion") or ""


def _summary(data: bytes) -> str:
    """Return the beginning of a body as a refusal shows it."""
    if not data:
        return "<empty>"
    shown = data[:_SHOWN_BYTES]
    text = shown.decode(errors="replace") if data.startswith(b"{") else shown.hex()
    return f"{text} ..." if len(data) > _SHOWN_BYTES else text


def _other_kind(resource: Resource, kind: str, api_version: str, body: JsonObject) -> APIError:
    group, version = split_api_version(api_version)
    expected = f"the expected API version ({resource.api_version})"
    other_version = f"the API version in the data ({api_version}) does not match {expected}"
    if resource.custom and api_version == resource.api_version:
        cause = ("kind", f'Invalid value: "{kind}": must be {resource.kind}')
        return invalid(kind, group, _name_in(body), [cause])
    registered = builtin_types.kind(GVK(group, version, kind)) is not None
    same_kind = (group, kind) == (resource.group, resource.kind) and registered
    if resource.custom or same_kind:
        return bad_request(other_version)
    why = f'no kind "{kind}" is registered for version "{api_version}" in scheme "{_SCHEME}"'
    if registered:
        package = resource.group.partition(".")[0] or "core"
        why = f"converting ({version}.{kind}) to ({package}.{resource.kind}): unknown conversion"
    text = f'{kind} in version "{version}" cannot be handled as a {resource.kind}'
    return bad_request(f"{text}: {why}")


def _name_in(body: JsonObject) -> str:
    metadata = body.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else ""
    return name if isinstance(name, str) else ""


def _checked_patch(patch_type: PatchType, patch: Any) -> object:
    """Return a patch that has the shape of its type. Raises BodyError, or APIError: 413."""
    json_patch = patch_type is PatchType.JSON
    shape, named = (list, _OPERATIONS) if json_patch else (dict, _MAP)
    if patch is None and patch_type is not PatchType.MERGE:
        return shape()
    if patch is None:
        raise bad_request("Invalid JSON Patch")
    if not isinstance(patch, shape):
        raise BodyError(f"json: cannot unmarshal {go_kind(patch)} into Go value of type {named}")
    if json_patch and len(patch) > _OPERATIONS_LIMIT:
        most = f"The allowed maximum operations in a JSON patch is {_OPERATIONS_LIMIT}"
        raise request_too_large(f"{most}, got {len(patch)}")
    return cast("object", patch)


def _no_patch(*, custom: bool) -> APIError:
    """415: routes of built-in kinds refuse what is no patch before a handler can say what would be."""
    if custom:
        return unsupported_media_type(_CUSTOM_PATCHES)
    return APIError("UnsupportedMediaType", 415, "415: Unsupported Media Type", details={})


def _delete_options(content_type: str, data: bytes) -> JsonObject:
    try:
        body = _decode(content_type, data)
        kind, api_version = _type_meta(body)
    except BodyError as error:
        raise bad_request(str(error)) from error
    kind, api_version = kind or "DeleteOptions", api_version or "v1"
    gvk = GVK(*split_api_version(api_version), kind)
    if kind != "DeleteOptions" or builtin_types.kind(gvk) is None:
        named = f'no kind "{kind}" is registered for version "{api_version}"'
        raise bad_request(f'{named} in scheme "{_SCHEME}"')
    return body or {}


def _options_of_query(query: Query) -> JsonObject:
    options: dict[str, Any] = {}
    if policy := query.get("propagationPolicy"):
        options["propagationPolicy"] = policy
    if orphan := query.get("orphanDependents"):
        options["orphanDependents"] = is_true(orphan)
    if "dryRun" in query:
        options["dryRun"] = values_of(query, "dryRun")
    if query.get("gracePeriodSeconds"):
        options["gracePeriodSeconds"] = integer(query, "gracePeriodSeconds")
    return options


def _propagation_causes(propagation: str | None, orphan: bool | None) -> list[Cause]:
    if propagation and propagation not in _PROPAGATIONS:
        listed = ", ".join(f'"{it}"' for it in (*_PROPAGATIONS, "nil"))
        why = f'Unsupported value: "{propagation}": supported values: {listed}'
    elif propagation and orphan is not None:
        both = "orphanDependents and deletionPropagation cannot be both set"
        why = f'Invalid value: "{propagation}": {both}'
    else:
        return []
    return [("propagationPolicy", why)]


def _typed(body: JsonObject, field: str, kind: type[_T]) -> _T | None:
    value = body.get(field)
    if value is None:
        return None
    if type(value) is not kind:
        wanted = _OPTION_TYPES[field][1]
        text = f"json: cannot unmarshal {go_kind(value)} into Go struct field DeleteOptions.{field}"
        raise bad_request(f"{text} of type {wanted}")
    return value


def _precondition(preconditions: JsonObject, field: str, wanted: str) -> str | None:
    value = preconditions.get(field)
    if value is None or isinstance(value, str):
        return value
    text = f"json: cannot unmarshal {go_kind(value)} into Go struct field"
    raise bad_request(f"{text} Preconditions.preconditions.{field} of type {wanted}")
