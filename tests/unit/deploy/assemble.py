"""What kustomize would make of an overlay, as far as ours go: enough to check them where kubectl is absent.

Names and namespace of `default`, resources of components, their patches by target. Patches are applied with
the project's own patches, which real API servers have been compared with.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from capim.api.gvk import GVK
from capim.wire.patch import json_patch, strategic_merge_patch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from capim.api.meta import JsonObject

DEPLOY = Path(__file__).parents[3] / "deploy"
PREFIX = "capim-"


def load(path: Path) -> list[JsonObject]:
    return [document for document in yaml.safe_load_all(path.read_text("utf-8")) if document]


def kustomization(folder: Path) -> JsonObject:
    (found,) = load(folder / "kustomization.yaml")
    return found


def resource_files(folder: Path) -> Iterator[Path]:
    """Yield every manifest that a kustomization builds from, following it into other folders."""
    spec = kustomization(folder)
    for name in (*spec.get("resources", []), *spec.get("components", [])):
        path = (folder / name).resolve()
        if path.is_dir():
            yield from resource_files(path)
        else:
            yield path


def assembled(folder: Path) -> list[JsonObject]:
    """Return the documents of an overlay on `default`, its components and patches applied in order."""
    spec = kustomization(folder)
    assert [(folder / name).resolve() for name in spec["resources"]] == [DEPLOY / "default"]
    documents = [
        _named(document) for path in resource_files(DEPLOY / "default") for document in load(path)
    ]
    for name in spec.get("components", []):
        component = (folder / name).resolve()
        documents += [document for path in resource_files(component) for document in load(path)]
        documents = _patched(documents, kustomization(component).get("patches", []))
    return _patched(documents, spec.get("patches", []))


def _named(document: JsonObject) -> JsonObject:
    metadata = dict(document["metadata"])
    if document["kind"] != "CustomResourceDefinition":
        metadata["name"] = PREFIX + metadata["name"]
    if "namespace" in metadata:
        metadata["namespace"] = "capim-system"
    return {**document, "metadata": metadata}


def _patched(documents: list[JsonObject], patches: Iterable[JsonObject]) -> list[JsonObject]:
    for patch in patches:
        change = yaml.safe_load(patch["patch"])
        matching = [document for document in documents if _matches(document, patch["target"])]
        assert matching, patch["target"]
        if isinstance(change, dict) and change.get("$patch") == "delete":
            documents = [document for document in documents if document not in matching]
        else:
            documents = [
                _changed(document, change) if document in matching else document
                for document in documents
            ]
    return documents


def _matches(document: JsonObject, target: JsonObject) -> bool:
    group = document["apiVersion"].rpartition("/")[0]
    found = {"kind": document["kind"], "name": document["metadata"]["name"], "group": group}
    return all(re.fullmatch(wanted, found[key]) for key, wanted in target.items())


def _changed(document: JsonObject, change: object) -> JsonObject:
    if isinstance(change, list):
        return json_patch(document, change)
    assert isinstance(change, dict)
    group, _, version = document["apiVersion"].rpartition("/")
    meant = {key: value for key, value in change.items() if key != "metadata"}
    return strategic_merge_patch(document, meant, GVK(group, version, document["kind"]))
