"""What is served, as discovery documents: plain and aggregated, made once for each table. Pure.

Clusters without CustomResourceDefinitions share one table and so one set of documents. The aggregated
form (KEP-3352) is answered where `Accept` asks for it, v2 before v2beta1; controller-runtime and
kubectl ask for both and fall back to the plain form.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from capim.server.openapi import group_version_document, root_document

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource, ResourceTable

_AGGREGATED_GROUP: Final = "apidiscovery.k8s.io"
_AGGREGATED_KIND: Final = "APIGroupDiscoveryList"
_OPENAPI: Final = "/openapi/v3"
PLAIN: Final = b"application/json"
HEALTH_PATHS: Final = ("/healthz", "/livez", "/readyz")
CHECKS: Final = ("ping", "log", "etcd", "informer-sync")


class Discovery:
    """The discovery documents of one table of served kinds."""

    def __init__(self, table: ResourceTable) -> None:
        self._groups = table.groups()
        self._made: dict[tuple[str, str], bytes] = {}

    def document(self, path: str, accept: str) -> tuple[bytes, bytes] | None:
        """Return the document at `path` and its content type, or None where there is none."""
        version = _aggregated_version(accept) if path in {"/api", "/apis"} else ""
        key = (path, version)
        if key not in self._made:
            if not self._is_path(path):
                return None  # and nothing is remembered for paths that clients make up
            made = self._aggregated(path, version) if version else self._plain(path)
            self._made[key] = orjson.dumps(made)
        return self._made[key], _aggregated_type(version) if version else PLAIN

    def paths(self) -> list[str]:
        """List what GET / lists, in order."""
        paths = {"/api", "/apis", "/version", *HEALTH_PATHS}
        for group, versions in self._groups.items():
            if group:
                paths.add(f"/apis/{group}")
            paths.update(f"{_root(group)}/{version}" for version in versions)
        return sorted(paths)

    def _is_path(self, path: str) -> bool:
        if path.startswith(_OPENAPI):
            return path == _OPENAPI or path.removeprefix(f"{_OPENAPI}/") in self._by_path()
        return path.startswith("/api") and path in self.paths()

    def _by_path(self) -> dict[str, list[Resource]]:
        """Return the resources by `api/v1` or `apis/apps/v1`."""
        return {
            f"{_root(group)}/{version}".strip("/"): resources
            for group, versions in self._groups.items()
            for version, resources in versions.items()
        }

    def _openapi(self, path: str) -> JsonObject:
        roots = self._by_path()
        return group_version_document(path, roots[path]) if path else root_document(list(roots))

    def _plain(self, path: str) -> JsonObject:
        if path.startswith(_OPENAPI):
            return self._openapi(path.removeprefix(_OPENAPI).strip("/"))
        if path == "/api":
            return {"kind": "APIVersions", "versions": list(self._groups.get("", {}))}
        if path == "/apis":
            groups = [_group(name, versions) for name, versions in self._groups.items() if name]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        parts = path.split("/")[2:]
        if path.startswith("/api/"):
            return _resource_list(parts[0], self._groups[""][parts[0]])
        if len(parts) == 1:
            group = _group(parts[0], self._groups[parts[0]])
            return {"kind": "APIGroup", "apiVersion": "v1", **group}
        return _resource_list("/".join(parts), self._groups[parts[0]][parts[1]])

    def _aggregated(self, path: str, version: str) -> JsonObject:
        items = [
            {
                "metadata": {"name": group, "creationTimestamp": None},
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
        api_version = f"{_AGGREGATED_GROUP}/{version}"
        return {
            "kind": _AGGREGATED_KIND,
            "apiVersion": api_version,
            "metadata": {},
            "items": items,
        }


@lru_cache(maxsize=64)
def discovery_of(table: ResourceTable) -> Discovery:
    """Return the documents of a table; clusters that share a table share them."""
    return Discovery(table)


def version_document(git_version: str) -> bytes:
    """Make the body of /version for a Kubernetes version such as `v1.29.0`."""
    major, _, rest = git_version.removeprefix("v").partition(".")
    return orjson.dumps(
        {
            "major": major,
            "minor": rest.partition(".")[0],
            "gitVersion": git_version,
            "gitCommit": "",
            "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": "",
            "compiler": "",
            "platform": "linux/amd64",
        }
    )


def health_document(path: str, *, verbose: bool) -> bytes:
    """Make the text of a health check that passes."""
    if not verbose:
        return b"ok"
    lines = [f"[+]{check} ok" for check in CHECKS]
    return "\n".join([*lines, f"{path.strip('/')} check passed", ""]).encode()


def _root(group: str) -> str:
    return f"/apis/{group}" if group else "/api"


def _group(name: str, versions: dict[str, list[Resource]]) -> JsonObject:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _resource_list(group_version: str, resources: list[Resource]) -> JsonObject:
    rows: list[JsonObject] = []
    for resource in resources:
        row: dict[str, Any] = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": list(resource.verbs),
        }
        if resource.short_names:
            row["shortNames"] = list(resource.short_names)
        if resource.categories:
            row["categories"] = list(resource.categories)
        rows += [row, *_plain_subresources(resource)]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": rows,
    }


def _plain_subresources(resource: Resource) -> list[JsonObject]:
    rows: list[JsonObject] = []
    for subresource in resource.subresources:
        row: dict[str, Any] = {
            "name": f"{resource.plural}/{subresource.name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": subresource.kind,
            "verbs": list(subresource.verbs),
        }
        if subresource.group:
            row["group"] = subresource.group
        if subresource.version:
            row["version"] = subresource.version
        rows.append(row)
    return rows


def _aggregated_resource(resource: Resource) -> JsonObject:
    row: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": _kind(resource.group, resource.version, resource.kind),
        "scope": resource.scope.value,
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        row["shortNames"] = list(resource.short_names)
    if resource.categories:
        row["categories"] = list(resource.categories)
    if resource.subresources:
        row["subresources"] = [
            {
                "subresource": it.name,
                "responseKind": _kind(
                    it.group or resource.group, it.version or resource.version, it.kind
                ),
                "verbs": list(it.verbs),
            }
            for it in resource.subresources
        ]
    return row


def _kind(group: str, version: str, kind: str) -> JsonObject:
    return {"group": group, "version": version, "kind": kind}


def _aggregated_version(accept: str) -> str:
    """Return the aggregated version that a client prefers and we speak; empty: the plain form."""
    for media_range in accept.split(","):
        name, *parameters = (part.strip() for part in media_range.split(";"))
        if name not in {"application/json", "*/*"}:
            continue
        wanted = dict(part.partition("=")[::2] for part in parameters)
        if wanted.get("as") is None:
            return ""
        is_ours = wanted.get("g") == _AGGREGATED_GROUP and wanted["as"] == _AGGREGATED_KIND
        if is_ours and wanted.get("v") in {"v2", "v2beta1"}:
            return wanted["v"]
    return ""


def _aggregated_type(version: str) -> bytes:
    return f"application/json;g={_AGGREGATED_GROUP};v={version};as={_AGGREGATED_KIND}".encode()
