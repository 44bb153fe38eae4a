"""What the stand-in does next for one cluster: a snapshot in, actions out. Pure and level-based.

It follows Cluster API's order: endpoint, authorities, the first control plane machine, initialisation,
then further control plane machines one at a time and the workers' bootstrap data all at once.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from capim.api.meta import format_time, get_condition, owner_reference
from capim.embedded import kinds
from capim.embedded.fleet import CLUSTER_NAME_LABEL
from capim.embedded.standin.snapshot import (
    Action,
    CheckEtcd,
    Create,
    CreateAuthorities,
    Delete,
    Patch,
    Snapshot,
    WatchNodes,
    changed_status,
    is_ready,
    ready_count,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject


def plan(snapshot: Snapshot) -> list[Action]:
    """Return everything that can be done now; empty when the cluster is as it should be."""
    return [*_infrastructure(snapshot), *_control_plane(snapshot), *_deployments(snapshot)] + [
        action for machine in snapshot.machines for action in _machine(snapshot, machine)
    ]


# --- the Cluster role ---


def _infrastructure(snapshot: Snapshot) -> Iterator[Action]:
    cluster, infra = snapshot.cluster, snapshot.infra
    for gvr, owned in (
        (kinds.INFRA_CLUSTERS, infra),
        (kinds.CONTROL_PLANES, snapshot.control_plane),
        *((kinds.MACHINE_DEPLOYMENTS, one) for one in snapshot.deployments),
    ):
        if owned is not None and not owned["metadata"].get("ownerReferences"):
            owners = {"ownerReferences": [owner_reference(cluster)]}
            yield Patch(gvr, owned["metadata"]["name"], {"metadata": owners})
    endpoint = (infra or {}).get("spec", {}).get("controlPlaneEndpoint")
    if is_ready(infra) and endpoint and cluster["spec"].get("controlPlaneEndpoint") != endpoint:
        patch = {"spec": {"controlPlaneEndpoint": endpoint}}
        yield Patch(kinds.CLUSTERS, cluster["metadata"]["name"], patch)
    yield from _status(kinds.CLUSTERS, cluster, _cluster_status(snapshot))


def _cluster_status(snapshot: Snapshot) -> dict[str, Any]:
    infra_ready, initialized = is_ready(snapshot.infra), control_plane_initialized(snapshot)
    return {
        "phase": "Provisioned" if infra_ready else "Provisioning",
        "infrastructureReady": infra_ready,
        "controlPlaneReady": initialized,
        "conditions": _conditions(
            snapshot, InfrastructureReady=infra_ready, ControlPlaneInitialized=initialized
        ),
    }


def control_plane_initialized(snapshot: Snapshot) -> bool:
    """Say whether the first control plane machine's node and etcd member were seen well."""
    if snapshot.control_plane is None:
        return False
    if (snapshot.control_plane.get("status") or {}).get("initialized"):
        return True
    nodes = (snapshot.node_of(one) for one in snapshot.machines_of(snapshot.control_plane))
    return any(node in snapshot.facts.healthy_members for node in nodes)


# --- the KubeadmControlPlane role ---


def _control_plane(snapshot: Snapshot) -> Iterator[Action]:
    owner = snapshot.control_plane
    if owner is None or not is_ready(snapshot.infra):
        return
    if "controlPlaneEndpoint" not in snapshot.cluster["spec"]:
        return
    name = snapshot.cluster["metadata"]["name"]
    if f"{name}-kubeconfig" not in snapshot.secrets:
        yield CreateAuthorities()
        return
    machines = snapshot.machines_of(owner)
    nodes = [snapshot.node_of(machine) for machine in machines]
    healthy = snapshot.facts.healthy_members
    if len(machines) < owner["spec"]["replicas"] and all(node in healthy for node in nodes):
        yield from _new_machines(snapshot, owner, 1, control_plane=True)
    yield from _surplus(machines, owner["spec"]["replicas"])
    for node in nodes:
        if node is not None and node not in healthy:
            yield CheckEtcd(node)
    if any(_serving(snapshot.infra_of(machine)) for machine in machines) and (
        ready_count(snapshot, snapshot.machines) < len(snapshot.machines)
    ):
        yield WatchNodes()
    yield from _status(kinds.CONTROL_PLANES, owner, _owner_status(snapshot, owner))


def _serving(infra: JsonObject | None) -> bool:
    condition = get_condition(infra, "APIServerProvisioned") if infra else None
    return condition is not None and condition.get("status") == "True"


def _owner_status(snapshot: Snapshot, owner: JsonObject) -> dict[str, Any]:
    machines = snapshot.machines_of(owner)
    ready = ready_count(snapshot, machines)
    status: dict[str, Any] = {"replicas": len(machines), "readyReplicas": ready}
    if owner["kind"] == "KubeadmControlPlane":
        initialized = control_plane_initialized(snapshot)
        status |= {"initialized": initialized, "ready": initialized}
        status["version"] = owner["spec"]["version"]
    else:
        done = ready == owner["spec"]["replicas"]
        status["phase"] = "Running" if done else "ScalingUp"
    return status


# --- the MachineDeployment role ---


def _deployments(snapshot: Snapshot) -> Iterator[Action]:
    for owner in snapshot.deployments:
        machines = snapshot.machines_of(owner)
        missing = max(owner["spec"]["replicas"] - len(machines), 0)
        yield from _new_machines(snapshot, owner, missing, control_plane=False)
        yield from _surplus(machines, owner["spec"]["replicas"])
        yield from _status(kinds.MACHINE_DEPLOYMENTS, owner, _owner_status(snapshot, owner))


def _surplus(machines: list[JsonObject], replicas: int) -> Iterator[Delete]:
    """The newest machines go first, so that the one that initialised the cluster stays."""
    for machine in machines[replicas:]:
        yield Delete(kinds.MACHINES, machine["metadata"]["name"])


def _new_machines(
    snapshot: Snapshot, owner: JsonObject, count: int, *, control_plane: bool
) -> Iterator[Create]:
    """Name machines by the first free numbers, so that a plan made twice creates them once."""
    taken = {machine["metadata"]["name"] for machine in snapshot.machines}
    numbered = (f"{owner['metadata']['name']}-{number}" for number in itertools.count())
    free = (name for name in numbered if name not in taken)
    for name in itertools.islice(free, count):
        yield _new_machine(snapshot, owner, name, control_plane=control_plane)


def _new_machine(
    snapshot: Snapshot, owner: JsonObject, name: str, *, control_plane: bool
) -> Create:
    cluster = snapshot.cluster["metadata"]["name"]
    if control_plane:
        template, version = owner["spec"]["machineTemplate"], owner["spec"]["version"]
        role = {"cluster.x-k8s.io/control-plane": ""}
    else:
        template = owner["spec"]["template"]["spec"]
        version = template["version"]
        role = {"cluster.x-k8s.io/deployment-name": owner["metadata"]["name"]}
    infra_ref = {**template["infrastructureRef"], "kind": "InMemoryMachine", "name": name}
    annotations = {"cluster.x-k8s.io/cloned-from-name": template["infrastructureRef"]["name"]}
    return Create(
        kinds.MACHINES,
        {
            "apiVersion": "cluster.x-k8s.io/v1beta1",
            "kind": "Machine",
            "metadata": {
                "name": name,
                "namespace": snapshot.cluster["metadata"]["namespace"],
                "labels": {CLUSTER_NAME_LABEL: cluster, **role},
                "annotations": annotations,
                "ownerReferences": [owner_reference(owner)],
            },
            "spec": {
                "clusterName": cluster,
                "version": version,
                "bootstrap": {},
                "infrastructureRef": infra_ref,
            },
        },
    )


# --- the Machine and bootstrap roles ---


def _machine(snapshot: Snapshot, machine: JsonObject) -> Iterator[Action]:
    infra = snapshot.infra_of(machine)
    if infra is None:
        yield from _infra_machine(snapshot, machine)
        return
    name = machine["metadata"]["name"]
    patch: dict[str, Any] = {}
    if not machine["spec"]["bootstrap"].get("dataSecretName") and _may_bootstrap(snapshot, machine):
        if name not in snapshot.secrets:
            yield _bootstrap_secret(machine)
        patch["bootstrap"] = {"dataSecretName": name}
    provider_id = (infra.get("spec") or {}).get("providerID")
    if is_ready(infra) and provider_id and machine["spec"].get("providerID") != provider_id:
        patch["providerID"] = provider_id
    if patch:
        yield Patch(kinds.MACHINES, name, {"spec": patch})
    yield from _status(kinds.MACHINES, machine, _machine_status(snapshot, machine))


def _may_bootstrap(snapshot: Snapshot, machine: JsonObject) -> bool:
    """The first control plane machine initialises; all others join what is initialised."""
    if control_plane_initialized(snapshot):
        return True
    return "cluster.x-k8s.io/control-plane" in machine["metadata"]["labels"]


def _infra_machine(snapshot: Snapshot, machine: JsonObject) -> Iterator[Action]:
    metadata = machine["metadata"]
    template = snapshot.templates.get(metadata["annotations"]["cluster.x-k8s.io/cloned-from-name"])
    if template is None:
        return
    yield Create(
        kinds.INFRA_MACHINES,
        {
            "apiVersion": machine["spec"]["infrastructureRef"]["apiVersion"],
            "kind": "InMemoryMachine",
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "labels": metadata["labels"],
                "ownerReferences": [owner_reference(machine)],
            },
            "spec": template["spec"]["template"]["spec"],
        },
    )


def _bootstrap_secret(machine: JsonObject) -> Create:
    metadata = machine["metadata"]
    return Create(
        kinds.SECRETS,
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "labels": {CLUSTER_NAME_LABEL: metadata["labels"][CLUSTER_NAME_LABEL]},
                "ownerReferences": [owner_reference(machine)],
            },
            "type": "cluster.x-k8s.io/secret",
            "stringData": {
                "value": "## template: jinja\n#cloud-config\n",
                "format": "cloud-config",
            },
        },
    )


def _machine_status(snapshot: Snapshot, machine: JsonObject) -> dict[str, Any]:
    bootstrapped = bool(machine["spec"]["bootstrap"].get("dataSecretName"))
    infra_ready = is_ready(snapshot.infra_of(machine))
    node = snapshot.node_of(machine)
    status: dict[str, Any] = {"bootstrapReady": bootstrapped, "infrastructureReady": infra_ready}
    if node is not None:
        status["nodeRef"] = {"apiVersion": "v1", "kind": "Node", "name": node}
        status["phase"] = "Running"
    elif infra_ready:
        status["phase"] = "Provisioned"
    else:
        status["phase"] = "Provisioning" if bootstrapped else "Pending"
    return status


# --- shared ---


def _status(gvr: Any, obj: JsonObject, wanted: dict[str, Any]) -> Iterator[Patch]:
    if change := changed_status(obj, wanted):
        yield Patch(gvr, obj["metadata"]["name"], {"status": change}, subresource="status")


def _conditions(snapshot: Snapshot, **wanted: bool) -> list[JsonObject]:
    """Return the cluster's conditions; each keeps its transition time until its status changes."""
    conditions = []
    for kind, holds in wanted.items():
        status = "True" if holds else "False"
        held = get_condition(snapshot.cluster, kind)
        if held is None or held["status"] != status:
            held = {"type": kind, "status": status, "lastTransitionTime": format_time(snapshot.now)}
            if not holds:
                held |= {"reason": "Waiting", "severity": "Info"}
        conditions.append(held)
    return conditions
