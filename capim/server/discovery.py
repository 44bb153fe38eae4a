"""What is served, as discovery documents: plain and aggregated, made once for each table. Pure.

Clusters without CustomResourceDefinitions share one table and so one set of documents. The aggregated
form (KEP-3352) is answered where `Accept` asks for it; as of 1.35 v2 alone, so that a client which
knows v2beta1 only is answered plainly.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from capim.server import health
from capim.server.openapi_documents import OpenApi

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource, ResourceTable, Subresource

_AGGREGATED_GROUP: Final = "apidiscovery.k8s.io"
_AGGREGATED_KIND: Final = "APIGroupDiscoveryList"
_AGGREGATED_VERSION: Final = "v2"
PLAIN: Final = b"application/json"
AGGREGATED: Final = (
    f"application/json;g={_AGGREGATED_GROUP};v={_AGGREGATED_VERSION};as={_AGGREGATED_KIND}".encode()
)
#: what GET / lists beside the groups and the health checks
_OTHER_PATHS: Final = (
    "/.well-known/openid-configuration",
    "/apis/",
    "/metrics",
    "/metrics/slis",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/",
    "/openid/v1/jwks",
    "/version",
)


class Document(NamedTuple):
    """A document as it is sent; `etag` is empty where a real server sends none."""

    body: bytes
    content_type: bytes = PLAIN
    etag: bytes = b""


class Discovery:
    """The discovery documents of one table of served kinds."""

    def __init__(self, table: ResourceTable) -> None:
        self._groups = table.groups()
        self._made: dict[tuple[str, bool], Document] = {}
        self.openapi: Final = OpenApi(table)

    def document(self, path: str, accept: str, address: str = "") -> Document | None:
        """Return the document at `path`, or None where there is none.

        Args:
            path: without a slash at its end.
            accept: the request's header.
            address: `host:port` of the server, named by the list of core versions.
        """
        aggregated = path in {"/api", "/apis"} and _wants_aggregated(accept)
        if path == "/api" and not aggregated:
            return Document(orjson.dumps(self._core_versions(address)) + b"\n")
        key = (path, aggregated)
        if key not in self._made:
            if not path.startswith("/api") or path not in self._group_paths():
                return None  # and nothing is remembered for paths that clients make up
            self._made[key] = self._make(path, aggregated=aggregated)
        return self._made[key]

    def paths(self) -> list[str]:
        """List what GET / lists, in order."""
        paths = self._group_paths().union(_OTHER_PATHS)
        for root in health.PATHS:
            paths.add(root)
            paths.update(f"{root}/{check}" for check in health.checks_of(root))
        return sorted(paths)

    def has_group(self, group: str) -> bool:
        """Tell whether anything built in is served under an API group."""
        return any(
            not resource.custom
            for resources in self._groups.get(group, {}).values()
            for resource in resources
        )

    def _group_paths(self) -> set[str]:
        paths = {"/api", "/apis"}
        for group, versions in self._groups.items():
            if group:
                paths.add(f"/apis/{group}")
            paths.update(f"{_root(group)}/{version}" for version in versions)
        return paths

    def _make(self, path: str, *, aggregated: bool) -> Document:
        if not aggregated:
            return Document(orjson.dumps(self._plain(path)) + b"\n")
        body = orjson.dumps(self._aggregated(path)) + b"\n"
        return Document(body, AGGREGATED, etag_of(body))

    def _core_versions(self, address: str) -> JsonObject:
        made: JsonObject = {"kind": "APIVersions", "versions": list(self._groups.get("", {}))}
        servers = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
        return made | {"serverAddressByClientCIDRs": servers}

    def _plain(self, path: str) -> JsonObject:
        if path == "/apis":
            groups = [_group(name, versions) for name, versions in self._groups.items() if name]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        parts = path.split("/")[2:]
        if path.startswith("/api/"):
            # without an apiVersion of its own, as every real server since 1.0
            return {"kind": "APIResourceList"} | _resources(parts[0], self._groups[""][parts[0]])
        if len(parts) == 1:
            group = _group(parts[0], self._groups[parts[0]])
            return {"kind": "APIGroup", "apiVersion": "v1", **group}
        resources = _resources("/".join(parts), self._groups[parts[0]][parts[1]])
        return {"kind": "APIResourceList", "apiVersion": "v1"} | resources

    def _aggregated(self, path: str) -> JsonObject:
        items = [
            {
                "metadata": {"name": group} if group else {},
                "versions": [
                    {
                        "version": name,
                        "resources": [_aggregated_resource(it) for it in resources],
                        "freshness": "Current",
                    }
                    for name, resources in versions.items()
                ],
            }
            for group, versions in self._groups.items()
            if bool(group) is (path == "/apis")
        ]
        return {
            "kind": _AGGREGATED_KIND,
            "apiVersion": f"{_AGGREGATED_GROUP}/{_AGGREGATED_VERSION}",
            "metadata": {},
            "items": items,
        }


@lru_cache(maxsize=64)
def discovery_of(table: ResourceTable) -> Discovery:
    """Return the documents of a table; clusters that share a table share them."""
    return Discovery(table)


def etag_of(body: bytes) -> bytes:
    """Return a document's entity tag, as a real server makes it."""
    return b'"%b"' % hashlib.sha512(body).hexdigest().upper().encode()


def _root(group: str) -> str:
    return f"/apis/{group}" if group else "/api"


def _group(name: str, versions: dict[str, list[Resource]]) -> JsonObject:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _resources(group_version: str, resources: list[Resource]) -> JsonObject:
    rows: list[JsonObject] = []
    for resource in resources:
        row: dict[str, Any] = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": list(resource.verbs),
        }
        row |= _names(resource)
        if resource.stored:
            row["storageVersionHash"] = resource.storage_version_hash
        rows += [row, *(_plain_subresource(resource, it) for it in resource.subresources)]
    return {"groupVersion": group_version, "resources": rows}


def _names(resource: Resource) -> JsonObject:
    names = {"shortNames": resource.short_names, "categories": resource.categories}
    return {field: list(value) for field, value in names.items() if value}


def _plain_subresource(resource: Resource, subresource: Subresource) -> JsonObject:
    row: dict[str, Any] = {
        "name": f"{resource.plural}/{subresource.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
    }
    if subresource.group:
        row |= {"group": subresource.group, "version": subresource.version}
    return row | {"kind": subresource.kind, "verbs": list(subresource.verbs)}


def _aggregated_resource(resource: Resource) -> JsonObject:
    # a built-in kind of the version's own group leaves group and version empty, a custom one does not
    group, version = (resource.group, resource.version) if resource.custom else ("", "")
    row: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": _kind(group, version, resource.kind),
        "scope": resource.scope.value,
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    row |= _names(resource)
    if resource.subresources:
        row["subresources"] = [
            {
                "subresource": it.name,
                "responseKind": _kind(it.group or group, it.version or version, it.kind),
                "verbs": list(it.verbs),
            }
            for it in resource.subresources
        ]
    return row


def _kind(group: str, version: str, kind: str) -> JsonObject:
    return {"group": group, "version": version, "kind": kind}


def _wants_aggregated(accept: str) -> bool:
    """Tell whether a client prefers the aggregated form, in the version that is spoken."""
    for media_range in accept.split(","):
        name, *parameters = (part.strip() for part in media_range.split(";"))
        if name not in {"application/json", "*/*"}:
            continue
        wanted = dict(part.partition("=")[::2] for part in parameters)
        if "as" not in wanted:
            return False
        is_ours = wanted.get("g") == _AGGREGATED_GROUP and wanted["as"] == _AGGREGATED_KIND
        if is_ours and wanted.get("v") == _AGGREGATED_VERSION:
            return True
    return False
