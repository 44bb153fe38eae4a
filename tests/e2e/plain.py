"""Clusters written out by hand, without a ClusterClass."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.e2e import manifests
from tests.e2e.fleet import CLUSTER_LABEL

if TYPE_CHECKING:
    from tests.e2e.fleet import Fleet
    from tests.e2e.kube import JsonObject

_PLAIN: Final = Path(__file__).with_name("plain-cluster.yaml")


def plain_cluster(fleet: Fleet, name: str) -> list[JsonObject]:
    """Return a cluster of one control plane machine and one worker, without delays."""
    text = _PLAIN.read_text()
    documents = manifests.load(
        manifests.substitute(text, CLUSTER_NAME=name, KUBERNETES_VERSION=fleet.version)
    )
    if fleet.provider.name == "go":
        # v1.7.0 panics on an InMemoryCluster that has no annotations at all
        pick(documents, "InMemoryCluster")["metadata"]["annotations"] = {"any": "will do"}
    return documents


def pick(documents: list[JsonObject], kind: str, suffix: str = "") -> JsonObject:
    """Return the one document of a kind whose name ends as given."""
    [found] = (
        item
        for item in documents
        if item["kind"] == kind and item["metadata"]["name"].endswith(suffix)
    )
    return found


def authority_secret(cluster: str, purpose: str, data: dict[str, bytes]) -> JsonObject:
    """Return a Secret as a user brings it for a cluster: `<cluster>-<purpose>`."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{cluster}-{purpose}", "labels": {CLUSTER_LABEL: cluster}},
        "type": "cluster.x-k8s.io/secret",
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }
