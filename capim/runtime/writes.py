"""From what a client sent to what is stored: pure, before anything is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from capim.api import errors
from capim.api.meta import format_time
from capim.runtime.metadatatypes import checked_metadata
from capim.runtime.typed import checked

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource

#: no vowels and no digits that look like them: names spell no words (apimachinery's rand.SafeEncode)
NAME_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH: Final = 5
_LONGEST_GENERATED: Final = 63 - _SUFFIX_LENGTH
#: how often a taken generated name is drawn anew, as a real API server does
_NAME_ATTEMPTS: Final = 8
_DEPLOYMENTS: Final = ("apps", "deployments")
#: set by the server alone
_SERVERS_OWN: Final = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
)
#: not kept: managers of fields are settled apart (`fieldmanagement`), selfLink is gone since 1.20
_DROPPED: Final = ("managedFields", "selfLink")
#: groups that etcd has folders of
_STORED_BY_GROUP: Final = frozenset({"apiextensions.k8s.io", "apiregistration.k8s.io"})
#: names of old
_STORED_AS: Final = {
    "nodes": "minions",
    "services": "services/specs",
    "endpoints": "services/endpoints",
    "replicationcontrollers": "controllers",
    "ingresses": "ingress",
}


def own_copy(resource: Resource, body: JsonObject) -> JsonObject:
    """Copy top level and metadata, leave out what is empty there, and check that the kind is right.

    Raises:
        APIError: BadRequest, for another kind or version, a body that is no object of any, or a value
            of another type than its field.
    """
    _check_kind(resource, body)
    kept = checked_metadata(resource, body.get("metadata"))
    for key in _DROPPED:
        kept.pop(key, None)
    copied = {key: value for key, value in body.items() if value is not None}
    copied["apiVersion"], copied["kind"] = resource.api_version, resource.kind
    copied["metadata"] = kept
    return checked(resource, copied)


def own_namespace(resource: Resource, namespace: str, metadata: JsonObject) -> None:
    """Put the object into the request's namespace. Raises APIError: BadRequest for another one."""
    stated = metadata.get("namespace", "")
    expected = namespace if resource.namespaced else ""
    if stated and stated != expected:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if expected:
        metadata["namespace"] = expected


def new_metadata(resource: Resource, metadata: JsonObject, *, now: float, uid: str) -> JsonObject:
    """Return the metadata of a new object, in the order a reader expects."""
    if metadata.get("resourceVersion"):
        text = "resourceVersion should not be set on objects to be created"
        raise errors.APIError("", 500, text)
    rest = {key: value for key, value in metadata.items() if key not in _SERVERS_OWN}
    made: dict[str, Any] = {"name": rest.pop("name", "")} | rest
    made["uid"] = uid
    made["creationTimestamp"] = format_time(now)
    if resource.generation:
        made["generation"] = 1
    return made


def name_new(
    metadata: JsonObject, new_seed: Callable[[], str], find: Callable[[str], object | None]
) -> None:
    """Give a new object that asks for a generated name one that none of its kind has."""
    prefix = metadata.get("generateName")
    if metadata.get("name") or not prefix:
        return
    for _ in range(_NAME_ATTEMPTS):
        metadata["name"] = generated_name(prefix, new_seed())
        if find(metadata["name"]) is None:
            return


def generated_name(prefix: str, seed: str) -> str:
    """Return a name for `generateName`; the seed is any text drawn at random."""
    number, suffix = crc32(seed.encode()), ""
    for _ in range(_SUFFIX_LENGTH):
        number, index = divmod(number, len(NAME_LETTERS))
        suffix += NAME_LETTERS[index]
    return prefix[:_LONGEST_GENERATED] + suffix


def check_same_object(resource: Resource, name: str, body: JsonObject, old: JsonObject) -> None:
    """Refuse an update meant for another object or an older version. Raises APIError."""
    new, was = body["metadata"], old["metadata"]
    _check_name(name, new)
    check_uid(resource, new.get("uid"), was)
    version = new.get("resourceVersion", "0")
    if not (version.isascii() and version.isdigit()):
        # a real server does not expect it either
        raise errors.APIError("", 500, f'strconv.ParseUint: parsing "{version}": invalid syntax')
    if version == "0" and resource.custom and body.get("kind") == resource.kind:
        cause = ("metadata.resourceVersion", "Invalid value: 0: must be specified for an update")
        raise errors.invalid(resource.plural, resource.group, name, [cause])
    if version not in {was["resourceVersion"], "0"}:
        raise errors.conflict(resource.plural, resource.group, name)


def check_uid(resource: Resource, uid: str | None, was: JsonObject) -> None:
    """Refuse a write meant for an object of another uid than this metadata's. Raises APIError."""
    if uid is None or uid == was["uid"]:
        return
    place = "/".join(filter(None, (was.get("namespace"), was["name"])))
    why = (
        f"StorageError: invalid object, Code: 4, Key: /registry/{_stored_at(resource)}/{place}, "
        "ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: "
        f"UID in precondition: {uid}, UID in object meta: {was['uid']}"
    )
    raise errors.conflict(resource.plural, resource.group, was["name"], why)


def _stored_at(resource: Resource) -> str:
    """Return where etcd has a kind's objects."""
    group, plural = resource.group_resource
    if resource.custom or group in _STORED_BY_GROUP:
        return f"{group}/{plural}"
    return _STORED_AS.get(plural, plural)


def check_same_uid(resource: Resource, body: JsonObject, old: JsonObject) -> None:
    """Refuse a patch that changes the uid. Raises APIError: Invalid."""
    uid = (body.get("metadata") or {}).get("uid")
    if uid and uid != old["metadata"]["uid"]:
        cause = ("metadata.uid", f'Invalid value: "{uid}": field is immutable')
        # said by the checks of all objects and by those of their kind
        raise errors.invalid(resource.kind, resource.group, old["metadata"]["name"], [cause, cause])


def new_from_applied(resource: Resource, name: str, body: JsonObject) -> JsonObject:
    """Return the object that an apply creates, which may ask for any version.

    Raises:
        APIError: Conflict or BadRequest, it is meant for another object.
    """
    metadata = body.get("metadata") or {}
    if uid := metadata.get("uid"):
        why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise errors.conflict(resource.plural, resource.group, name, why)
    _check_name(name, metadata)
    return {**body, "metadata": {k: v for k, v in metadata.items() if k != "resourceVersion"}}


def check_stated_name(name: str, body: JsonObject) -> None:
    """Refuse an update whose body is about another object. Raises APIError: BadRequest."""
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        _check_name(name, metadata)


def _check_name(name: str, metadata: JsonObject) -> None:
    stated = metadata.get("name", "")
    if not stated:
        text = f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        raise errors.bad_request(text)
    if stated != name:
        text = f"the name of the object ({stated}) does not match the name on the URL ({name})"
        raise errors.bad_request(text)


def carry_over(body: JsonObject, old: JsonObject) -> None:
    """Give an update the metadata that only the server sets, as it was."""
    metadata, was = body["metadata"], old["metadata"]
    for key in (*_SERVERS_OWN, "resourceVersion"):
        if key in was:
            metadata[key] = was[key]
        else:
            metadata.pop(key, None)


def keep_field(body: JsonObject, old: JsonObject, field: str) -> None:
    """Give an update a top-level field as it was, or as absent as it was."""
    if field in old:
        body[field] = old[field]
    else:
        body.pop(field, None)


def wants_the_same(
    resource: Resource, body: JsonObject, old: JsonObject, subresource: str = ""
) -> bool:
    """Tell whether two states differ in metadata and status at most: then generation stays.

    A Deployment's annotations are part of what is wanted where a client writes the object itself.
    """
    if resource.group_resource == _DEPLOYMENTS and not subresource:
        annotations = (it["metadata"].get("annotations") or {} for it in (body, old))
        if next(annotations) != next(annotations):
            return False
    ignored = {"metadata", "status"}
    if resource.custom and resource.subresource("status") is None:
        ignored = {"metadata"}
    keys = (body.keys() | old.keys()) - ignored
    changed = [key for key in keys if body.get(key) != old.get(key)]
    return not changed or (
        resource.plural == "pods" and changed == ["spec"] and _is_bound(body, old)
    )


def _is_bound(pod: JsonObject, old: JsonObject) -> bool:
    """Tell whether a pod was given its node and nothing else: nobody wants something new of it."""
    spec, was = pod.get("spec") or {}, old.get("spec") or {}
    return "nodeName" in spec and spec == {**was, "nodeName": spec["nodeName"]}


def _check_kind(resource: Resource, body: JsonObject) -> None:
    if not isinstance(body, dict):
        raise errors.bad_request("the body of the request is not an object")
    kind = body.get("kind") or resource.kind
    api_version = body.get("apiVersion") or resource.api_version
    if (kind, api_version) == (resource.kind, resource.api_version):
        return
    if resource.custom and kind == resource.kind:
        text = f"the API version in the data ({api_version}) does not match"
        raise errors.bad_request(f"{text} the expected API version ({resource.api_version})")
    version = str(api_version).rpartition("/")[2]
    text = f'{kind} in version "{version}" cannot be handled as a {resource.kind}'
    detail = f"got {api_version} {kind}, expected {resource.api_version} {resource.kind}"
    raise errors.bad_request(f"{text}: {detail}")
