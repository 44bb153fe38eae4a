"""As much OpenAPI v3 as kubectl needs to leave the checking of fields to the server. Pure.

kubectl refuses to create anything until it has found, for the kind at hand, a PATCH operation with the
query parameter `fieldValidation`. These documents say that and name the kinds: no fields, so `kubectl
explain` has little to show, and no strategic merge patch, so kubectl uses the types it has built in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource


def root_document(group_versions: list[str]) -> JsonObject:
    """List the documents by path: `api/v1`, `apis/apps/v1`."""
    return {
        "paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}"} for path in group_versions}
    }


def group_version_document(path: str, resources: list[Resource]) -> JsonObject:
    """Describe the kinds of one group and version, `path` being `api/v1` or `apis/apps/v1`."""
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": {_object_path(path, it): _patchable(it) for it in resources},
        "components": {
            "schemas": {f"{path.replace('/', '.')}.{it.kind}": _schema(it) for it in resources}
        },
    }


def _object_path(path: str, resource: Resource) -> str:
    namespace = "namespaces/{namespace}/" if resource.namespaced else ""
    return f"/{path}/{namespace}{resource.plural}/{{name}}"


def _kind(resource: Resource) -> JsonObject:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _schema(resource: Resource) -> JsonObject:
    return {
        "type": "object",
        "description": f"{resource.kind}, without its fields: a fake cluster does not describe them.",
        "x-kubernetes-group-version-kind": [_kind(resource)],
    }


def _patchable(resource: Resource) -> JsonObject:
    parameter = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
    answers = {"200": {"description": "OK"}}
    return {
        "patch": {
            "parameters": [parameter],
            "responses": answers,
            "x-kubernetes-group-version-kind": _kind(resource),
        }
    }
