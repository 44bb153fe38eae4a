"""The parameters that a binding gives to its policy: objects of the kind that the policy names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capim.api.gvk import GVK, split_api_version
from capim.runtime.subresources import selector_text
from capim.wire.selectors import LabelSelector

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.runtime.objects import Stored
    from capim.runtime.store import Store


class ConfigurationError(ValueError):
    """A policy and its binding that do not fit, or parameters that are not there."""


def params_of(
    store: Store, policy: JsonObject, binding: JsonObject, namespace: str
) -> list[JsonObject | None]:
    """Return what the policy is to be judged with, once each; None: without parameters.

    Raises:
        ConfigurationError: says what is missing.
    """
    kind, ref = policy.get("paramKind"), binding.get("paramRef")
    if not kind or not ref:
        return [None]
    group, version = split_api_version(kind["apiVersion"])
    resource = store.resources.by_gvk(GVK(group, version, kind["kind"]))
    if resource is None:
        told = f"{group}/{version}, Kind={kind['kind']}"
        raise ConfigurationError(f"failed to find resource referenced by paramKind: '{told}'")
    found = _found(store, resource, ref, ref.get("namespace") or namespace)
    if found:
        return [stored.served_as(resource).json() for stored in found]
    if ref.get("parameterNotFoundAction") == "Allow":
        return []
    raise ConfigurationError(
        "no params found for policy binding with `Deny` parameterNotFoundAction"
    )


def _found(store: Store, resource: Resource, ref: JsonObject, namespace: str) -> list[Stored]:
    where = namespace if resource.namespaced else ""
    if name := ref.get("name"):
        stored = store.find(resource, where, name)
        return [] if stored is None else [stored]
    selector = LabelSelector.parse(selector_text(ref.get("selector") or {}))
    table = store.table(resource.group_resource)
    return [
        stored
        for stored in table.slice(*table.span(where or None, ""))
        if selector.matches(stored.labels)
    ]
