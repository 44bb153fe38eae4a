"""The InMemoryFault that a command line asks for, and whom it would befall."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from capim.api import infrastructure as infra
from capim.api.faults import EFFECTS, Unit
from capim.api.meta import format_time
from coordinator.controllers.faultplan import declared, effect_of
from coordinator.controllers.gates import cluster_of
from coordinator.controllers.objects import INFRA_CLUSTERS, INFRA_MACHINES

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from coordinator.kube.client import KubeClient


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for; empty values are left out."""

    what: str  #: `target/effect`
    clusters: dict[str, Any] = field(default_factory=dict)
    machines: dict[str, Any] = field(default_factory=dict)
    requests: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    probability: str = ""
    seed: int | None = None


def manifest(wanted: Wanted, name: str, namespace: str) -> JsonObject:
    """Return the InMemoryFault. Raises ValueError with what is wrong with what was asked for."""
    target, _, effect = wanted.what.partition("/")
    spec: JsonObject = {
        "clusters": _given(wanted.clusters),
        "machines": _given(wanted.machines),
        "requests": _given(wanted.requests),
        "schedule": _given(wanted.schedule),
        "probability": wanted.probability,
        target: {"effect": effect, **wanted.parameters},
    }
    spec = _given(spec)
    if wanted.seed is not None:
        spec["seed"] = wanted.seed
    body: JsonObject = {
        "apiVersion": infra.API_VERSION,
        "kind": infra.FAULT_KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
    known = {f"{info.target}/{effect}" for effect, info in EFFECTS.items()}
    if wanted.what not in known:
        raise ValueError(f"{wanted.what!r} is no fault: `capim fault effects` lists them")
    if causes := infra.validate_create(body):
        raise ValueError("; ".join(f"{path}: {message}" for path, message in causes))
    return body


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def text(body: JsonObject) -> str:
    """Write a manifest for kubectl."""
    return yaml.safe_dump(body, sort_keys=False).rstrip()


async def look(client: KubeClient, body: JsonObject) -> str:
    """Say whom a fault befalls now: clusters by name, and machines where it is about them.

    Clusters are looked at as InMemoryClusters, which have their Cluster's labels.
    Raises APIError.
    """
    read = declared(_as_stored(body))
    namespace = body["metadata"]["namespace"]
    listed = (await client.list(INFRA_CLUSTERS, namespace)).items
    clusters = [one for one in listed if read.clusters.matches(_as_cluster(one))]
    names = sorted(_as_cluster(one)["metadata"]["name"] for one in clusters)
    found = f"{len(names)} clusters{_shown(names)}"
    if EFFECTS[effect_of(read)].unit is not Unit.MACHINE:
        return found
    machines = [
        one["metadata"]["name"]
        for one in (await client.list(INFRA_MACHINES, namespace)).items
        if (cluster := cluster_of(one)) is not None
        and cluster.name in names
        and (read.machines is None or read.machines.matches(one))
    ]
    return f"{found}, {len(machines)} machines{_shown(sorted(machines))}"


def _as_stored(body: JsonObject) -> JsonObject:
    metadata = {"uid": "-", "creationTimestamp": format_time(0)} | body["metadata"]
    return {**infra.default(body), "metadata": metadata}


def _as_cluster(infra_cluster: JsonObject) -> JsonObject:
    """Return what selectors read of the Cluster that an InMemoryCluster belongs to."""
    cluster = cluster_of(infra_cluster)
    metadata = infra_cluster["metadata"]
    return {"metadata": {**metadata, "name": cluster.name if cluster else metadata["name"]}}


def _shown(names: list[str]) -> str:
    if not names:
        return ""
    rest = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f": {', '.join(names[:10])}{rest}"
