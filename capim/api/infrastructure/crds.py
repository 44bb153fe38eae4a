"""CustomResourceDefinitions of our kinds, as the API server takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.infrastructure.kinds import KINDS, Column, Kind
from capim.api.infrastructure.names import GROUP, VERSION

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

#: Cluster API finds the version that speaks its contract by these; one version speaks both.
CONTRACT_LABELS: Final = {
    "cluster.x-k8s.io/v1beta1": VERSION,
    "cluster.x-k8s.io/v1beta2": VERSION,
}


def crds() -> list[JsonObject]:
    """Return the definitions of all our kinds, in the order of their names."""
    return [crd(kind) for kind in KINDS.values()]


def crd(kind: Kind) -> JsonObject:
    """Return the CustomResourceDefinition of one kind."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}", "labels": dict(CONTRACT_LABELS)},
        "spec": {
            "group": GROUP,
            "names": {
                "categories": ["cluster-api"],
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.singular,
            },
            "scope": "Namespaced",
            "versions": [_version(kind)],
        },
    }


def _version(kind: Kind) -> JsonObject:
    version: JsonObject = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
        "schema": {"openAPIV3Schema": kind.schema()},
    }
    if kind.status is not None:
        version["subresources"] = {"status": {}}
    return version


def _column(column: Column) -> JsonObject:
    printed: JsonObject = {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.json_path,
        "description": column.description,
    }
    if column.priority:
        printed["priority"] = column.priority
    return printed
