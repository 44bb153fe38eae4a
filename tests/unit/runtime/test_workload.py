"""Machines' lives as text traces: what each moment brought, in virtual time."""

from __future__ import annotations

import random
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from capim.aio.clock import ManualClock
from capim.api.gvk import GVR, NamespacedName
from capim.api.workload import ClusterSpec, KeyPair, MachineSpec, Phase, Startup
from capim.runtime.etcdmembers import identity
from capim.runtime.workload import WorkloadCluster

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.api.meta import JsonObject
    from capim.runtime.objects import WatchEvent

KEY = NamespacedName("default", "one")
PAIR = KeyPair(b"certificate", b"key")
STARTUP = {
    Phase.VM: Startup(30.0),
    Phase.NODE: Startup(10.0),
    Phase.ETCD: Startup(5.0),
    Phase.API_SERVER: Startup(8.0),
}
PLURALS = {
    "pods": GVR("", "v1", "pods"),
    "nodes": GVR("", "v1", "nodes"),
    "leases": GVR("coordination.k8s.io", "v1", "leases"),
    "configmaps": GVR("", "v1", "configmaps"),
    "daemonsets": GVR("apps", "v1", "daemonsets"),
    "deployments": GVR("apps", "v1", "deployments"),
}


def cluster_spec(**changes: Any) -> ClusterSpec:
    spec = ClusterSpec(
        KEY, "cluster-uid", "10.0.0.1", 20000, "10.0.0.1:20000", ca=PAIR, etcd_ca=PAIR
    )
    return replace(spec, **changes)


def machine(name: str, *, version: str = "v1.35.0", **changes: Any) -> MachineSpec:
    spec = MachineSpec(
        KEY,
        name,
        f"uid-of-{name}",
        control_plane=name.startswith("cp"),
        version=version,
        provider_id=f"in-memory://{name}",
        startup=STARTUP,
    )
    return replace(spec, **changes)


class Stage:
    """A workload cluster under a hand-turned clock, and what happened in it."""

    def __init__(self, spec: ClusterSpec | None = None, *, start: float = 1_700_000_000.0) -> None:
        self.clock = ManualClock(start)
        self.start = 1_700_000_000.0
        self.cluster = WorkloadCluster(
            spec or cluster_spec(),
            clock=self.clock,
            rng=random.Random(7),  # noqa: S311 - uids of a test
            first_version=1,
        )
        self.lines: list[str] = []
        for plural in ("nodes", "pods", "daemonsets", "deployments"):
            self.cluster.group.watch(
                self.resource(plural),
                None,
                self._show,
                since=self.cluster.group.resource_version,
            )

    def _show(self, event: WatchEvent) -> None:
        stored = event.stored
        if event.type != "MODIFIED" or not stored.deleting:  # that it is to go: it goes with it
            self.say(f"{event.type} {stored.resource.kind} {stored.name}")

    def resource(self, plural: str) -> Any:
        """Return a row of the table of served kinds."""
        return self.cluster.group.resources.by_gvr(PLURALS[plural])

    def say(self, text: str) -> None:
        """Add a line to the trace, with the seconds since the start."""
        self.lines.append(f"{self.clock.now - self.start:g} {text}")

    def ensure(self, *specs: MachineSpec) -> None:
        """Tell of machines and do what is due at once."""
        for spec in specs:
            self.cluster.ensure_machine(spec)
        self.advance()

    def remove(self, name: str) -> None:
        """Remove a machine and show what that leaves."""
        self.say(f"remove {name}")
        assert self.cluster.remove_machine(name, f"uid-of-{name}")
        self.summary()

    def advance(self) -> None:
        """Do what is due, and show who got further."""
        for progress in self.cluster.advance():
            done = " ".join(f"{phase}@{at - self.start:g}" for phase, at in progress.done.items())
            self.say(f"{progress.name}: {done or '-'}")
        self.cluster.group.validate()

    def run(self) -> None:
        """Turn the clock from deadline to deadline until nothing is due any more."""
        while (deadline := self.cluster.next_deadline()) is not None:
            self.clock.now = max(self.clock.now, deadline)
            self.advance()
        self.summary()

    def summary(self) -> None:
        """Show who serves and who leads."""
        etcd = self.cluster.etcd
        names = {member.id: member.name for member in etcd.members()}
        listed = ",".join(names.values()) or "-"
        serving = "serving" if self.cluster.serving else "closed"
        self.say(f"= {serving} etcd {listed} leader {names.get(etcd.leader_id, '-')}")

    def names(self, plural: str) -> list[str]:
        """List the names of a kind's objects."""
        return [
            stored.name for stored in self.cluster.group.list(self.resource(plural), None).items
        ]

    def get(self, plural: str, namespace: str, name: str) -> JsonObject:
        """Read an object."""
        return self.cluster.group.get(self.resource(plural), namespace, name).json()

    def check(self, expected: str) -> None:
        """Compare the trace so far and start a new one."""
        assert "\n".join(self.lines) == textwrap.dedent(expected).strip()
        self.lines = []


def test_one_control_plane_and_one_worker() -> None:
    stage = Stage()
    stage.ensure(machine("cp-0"), machine("worker-0"))
    stage.run()
    stage.check("""
        0 cp-0: -
        0 worker-0: -
        30 cp-0: vm@30
        30 worker-0: vm@30
        40 ADDED Node cp-0
        40 ADDED Node worker-0
        40 cp-0: vm@30 node@40
        40 worker-0: vm@30 node@40
        45 ADDED Pod etcd-cp-0
        45 cp-0: vm@30 node@40 etcd@45
        48 ADDED Pod kube-apiserver-cp-0
        48 ADDED Pod kube-scheduler-cp-0
        48 ADDED Pod kube-controller-manager-cp-0
        48 ADDED DaemonSet kube-proxy
        48 ADDED Deployment coredns
        48 cp-0: vm@30 node@40 etcd@45 apiServer@48
        48 = serving etcd cp-0 leader cp-0
    """)
    stage.remove("worker-0")
    stage.remove("cp-0")
    stage.check("""
        48 remove worker-0
        48 DELETED Node worker-0
        48 = serving etcd cp-0 leader cp-0
        48 remove cp-0
        48 DELETED Node cp-0
        48 DELETED Pod etcd-cp-0
        48 DELETED Pod kube-apiserver-cp-0
        48 DELETED Pod kube-scheduler-cp-0
        48 DELETED Pod kube-controller-manager-cp-0
        48 = closed etcd - leader -
    """)
    assert stage.names("leases") == []


def test_scale_from_one_to_three_and_back() -> None:
    stage = Stage()
    quick = {phase: Startup(1.0) for phase in Phase}
    stage.ensure(machine("cp-0", startup=quick))
    stage.run()
    stage.lines = []
    stage.ensure(machine("cp-1", startup=quick))
    stage.clock.advance(0.5)
    stage.ensure(machine("cp-2", startup=quick))
    stage.run()
    stage.check("""
        3 cp-1: -
        3.5 cp-2: -
        4 cp-1: vm@4
        4.5 cp-2: vm@4.5
        5 ADDED Node cp-1
        5 cp-1: vm@4 node@5
        5.5 ADDED Node cp-2
        5.5 cp-2: vm@4.5 node@5.5
        6 ADDED Pod etcd-cp-1
        6 ADDED Pod kube-apiserver-cp-1
        6 ADDED Pod kube-scheduler-cp-1
        6 ADDED Pod kube-controller-manager-cp-1
        6 cp-1: vm@4 node@5 etcd@6 apiServer@6
        6.5 ADDED Pod etcd-cp-2
        6.5 ADDED Pod kube-apiserver-cp-2
        6.5 ADDED Pod kube-scheduler-cp-2
        6.5 ADDED Pod kube-controller-manager-cp-2
        6.5 cp-2: vm@4.5 node@5.5 etcd@6.5 apiServer@6.5
        6.5 = serving etcd cp-0,cp-1,cp-2 leader cp-0
    """)
    # as KubeadmControlPlane does: leadership and member first, then Cluster API deletes the machine ...
    stage.cluster.etcd.move_leader(identity("uid-of-cp-1", "member"))
    stage.cluster.etcd.remove(identity("uid-of-cp-0", "member"))
    stage.summary()
    assert "member-removed" in etcd_marks(stage, "cp-0")
    stage.remove("cp-0")
    # ... and the other way round: the machine dies with its member
    stage.remove("cp-1")
    stage.check("""
        6.5 MODIFIED Pod etcd-cp-1
        6.5 MODIFIED Pod etcd-cp-0
        6.5 = serving etcd cp-1,cp-2 leader cp-1
        6.5 remove cp-0
        6.5 DELETED Node cp-0
        6.5 DELETED Pod etcd-cp-0
        6.5 DELETED Pod kube-apiserver-cp-0
        6.5 DELETED Pod kube-scheduler-cp-0
        6.5 DELETED Pod kube-controller-manager-cp-0
        6.5 = serving etcd cp-1,cp-2 leader cp-1
        6.5 remove cp-1
        6.5 DELETED Node cp-1
        6.5 DELETED Pod etcd-cp-1
        6.5 DELETED Pod kube-apiserver-cp-1
        6.5 DELETED Pod kube-scheduler-cp-1
        6.5 DELETED Pod kube-controller-manager-cp-1
        6.5 MODIFIED Pod etcd-cp-2
        6.5 = serving etcd cp-2 leader cp-2
    """)


def etcd_marks(stage: Stage, node: str) -> dict[str, str]:
    """Return what the annotations of a Node's etcd pod say of its member."""
    annotations = stage.get("pods", "kube-system", f"etcd-{node}")["metadata"]["annotations"]
    prefix = "etcd.inmemory.infrastructure.cluster.x-k8s.io/"
    return {
        name.removeprefix(prefix): value
        for name, value in annotations.items()
        if name.startswith(prefix)
    }


def test_etcd_pods_show_their_member_and_who_leads_since_when() -> None:
    stage = Stage(start=1_700_000_005.0)
    stage.ensure(machine("cp-0", startup={}), machine("cp-1", startup={}))
    ids = {member.name: str(member.id) for member in stage.cluster.etcd.members()}
    first, second = etcd_marks(stage, "cp-0"), etcd_marks(stage, "cp-1")
    assert first["cluster-id"] == second["cluster-id"] == str(stage.cluster.etcd.cluster_id)
    assert {"cp-0": first["member-id"], "cp-1": second["member-id"]} == ids
    assert first["leader-from"] == "2023-11-14T22:13:25Z"
    assert "leader-from" not in second
    stage.clock.now += 60
    stage.cluster.etcd.move_leader(int(ids["cp-1"]))
    assert etcd_marks(stage, "cp-1")["leader-from"] == "2023-11-14T22:14:25Z"


def uids(stage: Stage) -> dict[str, str]:
    table = stage.cluster.group.resources
    return {
        f"{row.kind}/{stored.namespace}/{stored.name}": stored.uid
        for row in table
        for stored in stage.cluster.group.list(row, None).items
    }


def rebuilt(stage: Stage, specs: Iterable[MachineSpec], *, later_s: float) -> Stage:
    """Build the cluster again from what its machines had reported."""
    again = Stage(stage.cluster.spec, start=stage.clock.now + later_s)
    for spec in specs:
        progress = stage.cluster.progress(spec.name)
        assert progress is not None
        again.cluster.ensure_machine(
            replace(spec, created_at=progress.created_at, done=progress.done)
        )
    again.advance()
    return again


def test_rebuild_is_instant_and_gives_the_same_cluster() -> None:
    stage = Stage()
    jittery = {phase: Startup(10.0, 0.5) for phase in Phase}
    specs = [machine(name, startup=jittery) for name in ("cp-2", "cp-0", "cp-1", "worker-0")]
    stage.ensure(*specs)
    stage.run()
    again = rebuilt(stage, reversed(specs), later_s=1000.0)
    assert again.cluster.serving
    assert again.cluster.next_deadline() is None
    assert again.cluster.etcd.cluster_id == stage.cluster.etcd.cluster_id
    assert again.cluster.etcd.members() == stage.cluster.etcd.members()
    assert again.cluster.etcd.leader_id == stage.cluster.etcd.leader_id
    assert uids(again) == uids(stage)
    for name in ("cp-0", "worker-0"):
        before, after = stage.get("nodes", "", name), again.get("nodes", "", name)
        assert after["metadata"]["creationTimestamp"] == before["metadata"]["creationTimestamp"]
        assert after["status"] == before["status"]
        assert again.cluster.progress(name) == stage.cluster.progress(name)


def test_rebuild_in_the_middle_waits_only_for_what_is_left() -> None:
    stage = Stage()
    stage.ensure(machine("cp-0"))
    stage.clock.advance(41)
    stage.advance()
    again = rebuilt(stage, [machine("cp-0")], later_s=0.0)
    assert not again.cluster.serving
    again.lines = []
    again.run()
    again.check("""
        45 ADDED Pod etcd-cp-0
        45 cp-0: vm@30 node@40 etcd@45
        48 ADDED Pod kube-apiserver-cp-0
        48 ADDED Pod kube-scheduler-cp-0
        48 ADDED Pod kube-controller-manager-cp-0
        48 ADDED DaemonSet kube-proxy
        48 ADDED Deployment coredns
        48 cp-0: vm@30 node@40 etcd@45 apiServer@48
        48 = serving etcd cp-0 leader cp-0
    """)


def test_times_reported_by_a_faster_clock_are_in_the_past_here() -> None:
    stage = Stage()
    ahead = stage.clock.now + 60.0
    stage.ensure(machine("w-0", created_at=ahead, done={Phase.VM: ahead, Phase.NODE: ahead}))
    assert stage.names("nodes") == ["w-0"]


def test_etcd_and_api_server_wait_for_the_certificate_authorities() -> None:
    stage = Stage(cluster_spec(ca=None, etcd_ca=None))
    stage.ensure(machine("cp-0"))
    stage.run()
    assert stage.lines[-1] == "40 = closed etcd - leader -"
    stage.clock.advance(100)
    stage.cluster.update_spec(cluster_spec(ca=PAIR, etcd_ca=None))
    assert stage.cluster.next_deadline() is None
    stage.cluster.update_spec(cluster_spec())
    assert stage.cluster.next_deadline() == stage.clock.now
    stage.lines = []
    stage.run()
    assert stage.lines[-2:] == [
        "140 cp-0: vm@30 node@40 etcd@140 apiServer@140",
        "140 = serving etcd cp-0 leader cp-0",
    ]


def test_a_rotated_authority_is_what_pods_trust() -> None:
    stage = Stage()
    stage.ensure(machine("cp-0"))
    stage.run()
    rotated = replace(PAIR, certificate=b"rotated")
    stage.cluster.update_spec(cluster_spec(ca=rotated))
    stage.run()
    published = stage.get("configmaps", "default", "kube-root-ca.crt")
    assert published["data"] == {"ca.crt": "rotated"}


def test_spec_of_another_life_is_refused() -> None:
    with pytest.raises(ValueError, match="has uid cluster-uid, not other"):
        Stage().cluster.update_spec(cluster_spec(uid="other"))


def test_node_that_cluster_api_deleted_does_not_come_back() -> None:
    stage = Stage()
    stage.ensure(machine("worker-0"))
    stage.run()
    stage.cluster.group.delete(stage.resource("nodes"), "", "worker-0")
    stage.ensure(machine("worker-0"))
    assert stage.names("nodes") == []
    assert stage.names("leases") == []
    stage.remove("worker-0")
    assert stage.cluster.machines == {}


def test_control_plane_without_its_node_has_no_pods_but_serves() -> None:
    stage = Stage()
    stage.ensure(machine("cp-0"))
    stage.clock.advance(40)
    stage.advance()
    stage.cluster.group.delete(stage.resource("nodes"), "", "cp-0")
    stage.run()
    assert stage.names("pods") == []
    assert stage.lines[-1] == "48 = serving etcd cp-0 leader cp-0"


def test_progress_is_reported_on_change_and_again_to_who_does_not_know_it() -> None:
    stage = Stage()
    spec = machine("worker-0")
    stage.ensure(spec)
    stage.run()
    stage.lines = []
    stage.ensure(spec)
    stage.check("40 worker-0: vm@30 node@40")
    known = stage.cluster.progress("worker-0")
    assert known is not None
    stage.ensure(replace(spec, done=known.done))
    stage.check("")
    assert [kind for kind, _ in known.addresses] == ["InternalIP", "Hostname"]


def test_machine_of_the_same_name_replaces_the_old_one() -> None:
    stage = Stage()
    stage.ensure(machine("worker-0"))
    stage.run()
    before = stage.get("nodes", "", "worker-0")["metadata"]["uid"]
    stage.ensure(machine("worker-0", uid="another"))
    assert stage.names("nodes") == []
    stage.run()
    assert stage.get("nodes", "", "worker-0")["metadata"]["uid"] != before


def test_removing_an_unknown_machine_touches_nothing() -> None:
    stage = Stage()
    stage.ensure(machine("worker-0"))
    assert stage.cluster.remove_machine("nobody", "uid")
    assert stage.cluster.remove_machine("worker-0", "uid-of-its-predecessor")
    assert list(stage.cluster.machines) == ["worker-0"]


def test_removal_before_the_first_phase_forgets_the_deadline() -> None:
    stage = Stage()
    stage.ensure(machine("worker-0"))
    stage.remove("worker-0")
    assert stage.cluster.next_deadline() is None


def test_kubeadm_objects_are_made_once_and_never_overwritten() -> None:
    stage = Stage()
    none = dict.fromkeys(Phase, Startup())
    stage.ensure(machine("cp-0", version="v1.34.1", startup=none))
    group = stage.cluster.group
    group.delete(stage.resource("daemonsets"), "kube-system", "kube-proxy")
    config = stage.get("configmaps", "kube-system", "kubeadm-config")
    config["data"]["ClusterConfiguration"] = "changed"
    group.update(stage.resource("configmaps"), "kube-system", "kubeadm-config", config)
    stage.ensure(machine("cp-1", version="v1.35.0", startup=none))
    assert stage.names("daemonsets") == []
    kept = stage.get("configmaps", "kube-system", "kubeadm-config")
    assert kept["data"] == {"ClusterConfiguration": "changed"}


def test_kubernetes_version_is_the_newest_running_control_planes() -> None:
    stage = Stage()
    assert stage.cluster.kubernetes_version == "v1.35.4"
    none = dict.fromkeys(Phase, Startup())
    stage.ensure(machine("cp-0", version="v1.34.1", startup=none))
    stage.clock.advance(1)
    stage.ensure(machine("cp-1", version="1.35.2"))
    assert stage.cluster.kubernetes_version == "v1.34.1"
    stage.run()
    assert stage.cluster.kubernetes_version == "v1.35.2"


def test_machine_without_a_version_takes_the_control_planes() -> None:
    stage = Stage()
    none = dict.fromkeys(Phase, Startup())
    stage.ensure(machine("cp-0", version="v1.34.1", startup=none))
    stage.ensure(machine("worker-0", version="", startup=none))
    node = stage.get("nodes", "", "worker-0")
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.34.1"


def test_machine_of_a_version_that_is_none_says_so_and_goes_no_further() -> None:
    stage = Stage()
    stage.ensure(machine("cp-0", version="latest"))
    stage.run()
    progress = stage.cluster.progress("cp-0")
    assert progress is not None
    assert list(progress.done) == [Phase.VM]
    assert "'latest' is not a Kubernetes version" in progress.failed[Phase.NODE]
    assert stage.cluster.kubernetes_version == "v1.35.4"
    stage.ensure(machine("cp-0", version="v1.35.0"))
    stage.run()
    assert stage.cluster.serving


def test_version_changed_in_place_shows_on_node_and_pods() -> None:
    stage = Stage()
    none = dict.fromkeys(Phase, Startup())
    stage.ensure(machine("cp-0", version="v1.34.1", startup=none))
    stage.ensure(machine("cp-0", version="v1.35.0", startup=none))
    node = stage.get("nodes", "", "cp-0")
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.35.0"
    pod = stage.get("pods", "kube-system", "kube-apiserver-cp-0")
    image = "registry.k8s.io/kube-apiserver:v1.35.0"
    assert pod["spec"]["containers"][0]["image"] == image
    assert pod["status"]["containerStatuses"][0]["image"] == image


def test_pod_ranges_are_used_again() -> None:
    stage = Stage(cluster_spec(pod_cidr="10.244.0.0/23"))
    none = dict.fromkeys(Phase, Startup())
    stage.ensure(*(machine(f"worker-{index}", startup=none) for index in range(3)))
    ranges = [
        stage.get("nodes", "", f"worker-{index}")["spec"].get("podCIDR") for index in range(3)
    ]
    assert ranges == ["10.244.0.0/24", "10.244.1.0/24", None]
    stage.cluster.remove_machine("worker-0", "uid-of-worker-0")
    stage.ensure(machine("worker-3", startup=none))
    assert stage.get("nodes", "", "worker-3")["spec"]["podCIDR"] == "10.244.0.0/24"


def test_debug_names_what_exists() -> None:
    stage = Stage()
    stage.ensure(machine("cp-0"))
    stage.run()
    shown = stage.cluster.debug()
    assert (shown["cluster"], shown["serving"], shown["nextDeadline"]) == (
        "default/one",
        True,
        None,
    )
    member = {"id": f"{identity('uid-of-cp-0', 'member'):x}", "name": "cp-0", "version": "3.6.6"}
    assert shown["etcd"]["members"] == [member]
    assert shown["machines"][0]["done"]["apiServer"] == 1_700_000_048.0
    assert shown["cloudMachines"][0]["metadata"]["name"] == "cp-0"


def test_a_cluster_that_is_let_go_frees_its_objects() -> None:
    stage = Stage()
    stage.ensure(machine("cp-0"))
    stage.run()
    cluster = stage.cluster
    store = cluster.group.store
    assert sum(map(len, store.tables()))
    assert len(cluster.group.history)
    cluster.let_go()
    assert not list(store.tables())
    assert not len(cluster.group.history)
    assert not cluster.machines
