"""Method and path to what is asked for, as k8s.io/apiserver's RequestInfo does it. Pure.

Paths that name nothing are 404, methods a resource lacks are 405, and tricks with empty segments,
dots or escaped slashes name nothing (a real server answers some of them with a redirect to the
cleaned path; no client of ours follows one).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import unquote, unquote_plus

from capim.api.errors import APIError, bad_request, method_not_allowed, no_such_resource, not_found
from capim.api.gvk import GVR
from capim.api.resources import Resource

if TYPE_CHECKING:
    from capim.api.resources import ResourceTable

Query: TypeAlias = Mapping[str, str]

#: parameters that may be given more than once
_LISTS: Final = frozenset({"dryRun"})
_NO_QUERY: Final[Query] = MappingProxyType({})
_PROXIED: Final = frozenset({"nodes", "pods", "services"})
_NAMESPACE_SUBRESOURCES: Final = frozenset({"status", "finalize"})
#: of a namespaced kind not done in all namespaces at once
_IN_A_NAMESPACE: Final = frozenset({"create", "deletecollection"})
#: method -> verb with a name, verb without one
_VERBS: Final = {
    "GET": ("get", "list"),
    "POST": ("", "create"),
    "PUT": ("update", ""),
    "PATCH": ("patch", ""),
    "DELETE": ("delete", "deletecollection"),
}


def _no_query() -> Query:
    return _NO_QUERY


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """A request for a resource."""

    verb: str  #: get, list, watch, create, update, patch, delete or deletecollection
    resource: Resource
    subresource: str = ""
    namespace: str | None = None  #: None: cluster scope, or all namespaces
    name: str = ""
    query: Query = field(default_factory=_no_query)


@dataclass(frozen=True, slots=True)
class PathInfo:
    """A request for anything else: discovery, health, version."""

    path: str
    query: Query = field(default_factory=_no_query)


class PageNotFound(APIError):
    """404 outside of every API group: a page of text, no Status."""

    def __init__(self) -> None:
        super().__init__("NotFound", 404, "404 page not found")


def is_true(text: str | None) -> bool:
    """Read a boolean option as apimachinery does: whatever is there and does not say no means yes."""
    return text is not None and text != "0" and text.lower() != "false"


def parse_query(text: str) -> Query:
    """Read a query string; of a repeated parameter the first value counts, as in Go.

    A parameter that is a list keeps all, one a line: see `values_of`.
    """
    if not text:
        return _NO_QUERY
    query: dict[str, str] = {}
    for part in text.split("&"):
        key, _, value = part.partition("=")
        if "%" in part or "+" in part:
            key, value = unquote_plus(key), unquote_plus(value)
        if key in _LISTS and key in query:
            query[key] += f"\n{value}"
        elif key:
            query.setdefault(key, value)
    return query


def values_of(query: Query, key: str) -> list[str]:
    """Return all values of a parameter that is a list."""
    return query[key].split("\n") if key in query else []


def parse_request(table: ResourceTable, method: str, target: str) -> RequestInfo | PathInfo:
    """Tell what a request asks for.

    Raises:
        APIError: 404 for what is not served, 405 for a method that the resource does not take.
    """
    path, _, query_text = target.partition("?")
    query = parse_query(query_text)
    segments = path.split("/")[1:]
    if segments[:1] == ["api"] and len(segments) > 2:
        group, rest = "", segments[1:]
    elif segments[:1] == ["apis"] and len(segments) > 3:
        group, rest = segments[1], segments[2:]
    else:
        return PathInfo(path, query)
    while len(rest) > 1 and not rest[-1]:
        rest.pop()  # a real server takes slashes at the end
    if len(rest) == 1:
        return PathInfo(path.rstrip("/"), query)
    for at in range(3, len(rest)):
        if rest[at] == "proxy" and rest[at - 2] in _PROXIED:
            rest = rest[: at + 1]  # what follows is for whom the proxy reaches
            break
    decoded = [_decode(segment) for segment in rest]
    return _parse_resource(table, method, group, decoded, query)


def _decode(segment: str) -> str:
    if "%" in segment:
        try:
            segment = unquote(segment, errors="strict")
        except UnicodeDecodeError:
            raise no_such_resource() from None
    if segment in {"", ".", ".."} or "/" in segment or "\0" in segment or "%" in segment:
        raise no_such_resource()
    return segment


def _parse_resource(
    table: ResourceTable, method: str, group: str, segments: list[str], query: Query
) -> RequestInfo:
    """Read `version[/watch][/namespaces/ns]/resource[/name[/subresource]]`."""
    version, parts = segments[0], segments[1:]
    old_watch = parts[0] == "watch" and len(parts) > 1
    if old_watch:
        parts = parts[1:]
    namespace: str | None = None
    if parts[0] == "namespaces" and len(parts) > 2 and not _of_namespace(parts):
        namespace, parts = parts[1], parts[2:]
    resource = table.by_gvr(GVR(group, version, parts[0]))
    if resource is None and all(group != it.group or it.custom for it in table):
        raise PageNotFound
    if resource is None or len(parts) > 3:
        raise no_such_resource()
    if resource.namespaced is (namespace is None) and not _everywhere(resource, parts):
        raise PageNotFound if resource.custom else no_such_resource()
    name = parts[1] if len(parts) > 1 else ""
    subresource = parts[2] if len(parts) > 2 else ""
    if name and not resource.stored and "get" not in resource.verbs:
        raise no_such_resource()  # what is only created has no names
    verb = _verb(method, resource, subresource, query, name=name, old_watch=old_watch)
    if verb in _IN_A_NAMESPACE and resource.namespaced and namespace is None:
        raise method_not_allowed() if resource.stored else no_such_resource()
    if verb == "watch" and name:
        query = _watch_one(query, name)
    return RequestInfo(verb, resource, subresource, namespace, name, query)


def _of_namespace(parts: list[str]) -> bool:
    """Tell `/namespaces/x/status` (of the namespace) from `/namespaces/x/pods` (in it)."""
    return len(parts) == 3 and parts[2] in _NAMESPACE_SUBRESOURCES


def _everywhere(resource: Resource, parts: list[str]) -> bool:
    """Without a namespace only whole collections of a namespaced kind exist."""
    return resource.namespaced and len(parts) == 1


def _verb(
    method: str,
    resource: Resource,
    subresource: str,
    query: Query,
    *,
    name: str,
    old_watch: bool,
) -> str:
    with_name, without_name = _VERBS.get(method, ("", ""))
    if old_watch and method != "GET":
        raise method_not_allowed()
    if subresource:
        return _subresource_verb(method, resource, name, subresource)
    verb = with_name if name else without_name
    if resource.custom and not verb:
        verb = _unnamed_verb(method)
    if old_watch or (verb == "list" and is_true(query.get("watch"))):
        verb = "watch"
    if not verb or verb not in resource.verbs:
        raise method_not_allowed()
    return verb


def _unnamed_verb(method: str) -> str:
    """Tell what a real server does to a custom resource where it refuses to do it to others."""
    if method in {"PUT", "PATCH"}:
        raise bad_request("name must be provided")
    return "create" if method == "POST" else ""


def _subresource_verb(method: str, resource: Resource, object_name: str, name: str) -> str:
    subresource = resource.subresource(name)
    if subresource is None:
        if resource.custom:
            raise not_found(resource.plural, resource.group, object_name)
        raise no_such_resource()
    verb = "create" if method == "POST" else _VERBS.get(method, ("", ""))[0]
    if not verb or verb not in subresource.verbs:
        raise method_not_allowed()
    return verb


def _watch_one(query: Query, name: str) -> Query:
    """Express the deprecated watch of one object as the field selector that replaced it."""
    selected = query.get("fieldSelector", "")
    if selected and selected not in {f"metadata.name={name}", f"metadata.name=={name}"}:
        raise bad_request("fieldSelector metadata.name doesn't match requested name")
    return {**query, "fieldSelector": f"metadata.name={name}"}
