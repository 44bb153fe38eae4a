"""Machines and etcd's membership as plain values, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from capim.api.faults import Effect
from capim.api.nodeform import NodeForm
from capim.api.workload import Failure, MachineSpec, Phase, Startup
from capim.runtime.etcdmembers import AlarmType, Member
from capim.runtime.machines import SimulatedMachine

if TYPE_CHECKING:
    from capim.api.gvk import NamespacedName
    from capim.api.meta import JsonObject
    from capim.runtime.etcdmembers import EtcdCluster


def machine_record(machine: SimulatedMachine) -> JsonObject:
    """Return all that must be known of a machine to go on with it; times in seconds since the epoch."""
    spec = machine.spec
    return {
        "uid": spec.uid,
        "controlPlane": spec.control_plane,
        "version": spec.version,
        "providerID": spec.provider_id,
        "failureDomain": spec.failure_domain,
        "startup": {str(p): [s.duration_s, s.jitter] for p, s in spec.startup.items()},
        "doneBefore": {str(phase): at for phase, at in spec.done.items()},
        "failures": [[str(f.effect), f.probability, f.detail] for f in spec.failures],
        **({} if spec.node is None else {"node": _form_record(spec.node)}),
        "createdAt": machine.created_at,
        "done": {str(phase): at for phase, at in machine.done.items()},
        "address": machine.address,
        "podCIDR": machine.pod_cidr,
        "afflicted": {str(effect): detail for effect, detail in machine.afflicted.items()},
    }


def _form_record(form: NodeForm) -> list[Any]:
    return [form.capacity, form.labels, form.taints, form.architecture]


def _form_of(record: list[Any] | None) -> NodeForm | None:
    if record is None:
        return None
    capacity, labels, taints, architecture = record
    return NodeForm(capacity, labels, tuple(taints), architecture)


def machine_of(cluster: NamespacedName, name: str, record: JsonObject) -> SimulatedMachine:
    """Return the machine that a record was made of. Raises KeyError, ValueError, TypeError."""
    spec = MachineSpec(
        cluster,
        name,
        record["uid"],
        record["controlPlane"],
        record["version"],
        record["providerID"],
        record["failureDomain"],
        {Phase(p): Startup(*startup) for p, startup in record["startup"].items()},
        record["createdAt"],
        {Phase(phase): at for phase, at in record["doneBefore"].items()},
        tuple(
            Failure(Effect(effect), probability, detail)
            for effect, probability, detail in record.get("failures") or ()
        ),
        _form_of(record.get("node")),
    )
    machine = SimulatedMachine(spec, created_at=record["createdAt"])
    machine.done = {Phase(phase): at for phase, at in record["done"].items()}
    machine.address, machine.pod_cidr = record["address"], record["podCIDR"]
    afflicted = record.get("afflicted") or {}  # a journal of an earlier version has none
    machine.afflicted = {Effect(effect): detail for effect, detail in afflicted.items()}
    return machine


def etcd_record(etcd: EtcdCluster) -> JsonObject:
    """Return etcd's membership, the longest-standing member first."""
    return {
        "members": [[m.id, m.name, m.version, m.address, m.learner] for m in etcd.members()],
        "leader": etcd.leader_id,
        "term": etcd.raft_term,
        "changes": etcd.changes,
        "alarms": [[member, int(alarm)] for member, alarm in etcd.raised],
    }


def restore_etcd(etcd: EtcdCluster, record: JsonObject) -> None:
    """Give a new etcd the membership that a record was made of. Raises KeyError, ValueError, TypeError."""
    etcd.restore(
        [Member(*member) for member in record["members"]],
        leader_id=record["leader"],
        raft_term=record["term"],
        changes=record["changes"],
        alarms={(member, AlarmType(alarm)) for member, alarm in record["alarms"]},
    )
