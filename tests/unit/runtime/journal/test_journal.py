"""A cluster that is written down and comes back: the same objects, versions, history, machines, etcd."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from capim.aio.clock import ManualClock
from capim.api.errors import APIError
from capim.api.gvk import GVR, NamespacedName
from capim.api.workload import ClusterSpec, KeyPair, MachineSpec, Phase, Startup
from capim.runtime.etcdmembers import AlarmType
from capim.runtime.journal import frames as f
from capim.runtime.journal.recorder import Recorder
from capim.runtime.journal.restoring import floor_of, restore
from capim.runtime.resourcegroup import PatchType
from capim.runtime.workload import WorkloadCluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource

KEY = NamespacedName("default", "one")
PAIR = KeyPair(b"certificate", b"key")
SPEC = ClusterSpec(KEY, "cluster-uid", "10.0.0.1", 20000, "10.0.0.1:20000", ca=PAIR, etcd_ca=PAIR)
STARTUP = {Phase.VM: Startup(30.0, 0.5), Phase.NODE: Startup(10.0, 0.5), Phase.ETCD: Startup(5.0)}
CONFIG_MAPS = GVR("", "v1", "configmaps")
CRDS = GVR("apiextensions.k8s.io", "v1", "customresourcedefinitions")
WIDGETS = GVR("example.com", "v1", "widgets")
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Cluster",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}  # fmt: skip


def new_cluster(
    clock: Callable[[], float], *, first_version: int, seed: int = 1
) -> WorkloadCluster:
    rng = random.Random(seed)  # noqa: S311 - uids of a test
    return WorkloadCluster(SPEC, clock=clock, rng=rng, first_version=first_version)


class Written:
    """A cluster, and the rows of its journal as a file would hold them."""

    def __init__(self, clock: ManualClock, cluster: WorkloadCluster) -> None:
        self.clock = clock
        self.cluster = cluster
        self.recorder = Recorder(cluster)
        self.rows: list[f.Row] = []

    def write(self) -> None:
        """Write down what is new."""
        if self.recorder.clean:
            return
        row, whole = self.recorder.take()
        if whole:
            self.rows.clear()
        self.rows.append(row)
        assert self.recorder.clean

    def life_after(self) -> Written:
        """Return the cluster's next life, from what is written down."""
        found = f.read(SPEC.uid, self.rows)
        cluster = new_cluster(self.clock, first_version=floor_of(found), seed=2)
        restore(cluster, found)
        after = Written(self.clock, cluster)
        after.rows = list(self.rows)
        after.recorder.resume(self.rows[-1], sum(len(row.body) for row in self.rows))
        cluster.group.settle()
        cluster.group.validate()
        assert after.recorder.clean
        return after


def picture(cluster: WorkloadCluster) -> JsonObject:
    """Return all that anybody can learn of a cluster."""
    group, debug = cluster.group, cluster.debug()
    del debug["nextDeadline"]  # now: machines of an earlier life are reported again
    debug["machines"].sort(key=lambda machine: machine["name"])
    debug["cloudMachines"].sort(key=lambda machine: machine["metadata"]["name"])
    return {
        "version": group.resource_version,
        "floor": group.history.floor,
        "history": [(c.type, c.stored, c.previous) for c in group.history.since(group.history.floor)],
        "objects": {r.gvk: group.list(r, None).items for r in group.resources if "list" in r.verbs},
        "debug": debug,
        "wakes": {name: machine.wake_at for name, machine in cluster.machines.items()},
        "progress": {name: cluster.progress(name) for name in cluster.machines},
        "alarms": cluster.etcd.alarms,
    }  # fmt: skip


class Story:
    """Random things that happen to a cluster."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - a seeded test
        clock = ManualClock(1_700_000_000.0)
        self.written = Written(clock, new_cluster(clock, first_version=5_000))
        self.made = 0

    @property
    def cluster(self) -> WorkloadCluster:
        return self.written.cluster

    def resource(self, gvr: GVR) -> Resource | None:
        return self.cluster.group.resources.by_gvr(gvr)

    def step(self) -> None:
        happening = self.rng.choice(
            [self.machine, self.time, self.time, self.time, self.write, self.write, self.remove,
             self.define, self.custom, self.etcd, self.written.write]
        )  # fmt: skip
        happening()

    def machine(self) -> None:
        self.made += 1
        name = f"{self.rng.choice(['cp', 'w'])}-{self.made}"
        control_plane = name.startswith("cp")
        spec = MachineSpec(
            KEY,
            name,
            f"uid-{name}",
            control_plane,
            "v1.35.0",
            f"in-memory://{name}",
            startup=STARTUP,
        )
        self.cluster.ensure_machine(spec)

    def remove(self) -> None:
        if self.cluster.machines and self.rng.random() < 0.3:
            name = self.rng.choice(sorted(self.cluster.machines))
            self.cluster.remove_machine(name, f"uid-{name}")

    def time(self) -> None:
        self.written.clock.advance(self.rng.random() * 30)
        self.cluster.advance()

    def write(self) -> None:
        group, name = self.cluster.group, self.rng.choice("abc")
        config_maps = self.resource(CONFIG_MAPS)
        assert config_maps is not None
        labels = {"x": self.rng.choice("12")}
        body: JsonObject = {"metadata": {"name": name, "labels": labels}, "data": {"k": "v" * 40}}
        try:
            match self.rng.randrange(3):
                case 0:
                    group.create(config_maps, "default", body)
                case 1:
                    group.patch(config_maps, "default", name, body, PatchType.MERGE)
                case _:
                    group.delete(config_maps, "default", name)
        except APIError as error:
            if error.code not in {404, 409}:
                raise

    def define(self) -> None:
        definitions = self.resource(CRDS)
        assert definitions is not None
        try:
            if self.rng.random() < 0.5:
                self.cluster.group.create(definitions, "", DEFINITION)
            else:
                self.cluster.group.delete(definitions, "", "widgets.example.com")
        except APIError as error:
            if error.code not in {404, 409}:
                raise

    def custom(self) -> None:
        widgets = self.resource(WIDGETS)
        if widgets is None:
            return
        try:
            self.cluster.group.create(widgets, "", {"metadata": {"generateName": "w-"}, "size": 1})
        except APIError as error:
            if error.code not in {404, 405, 409}:
                raise

    def etcd(self) -> None:
        members = self.cluster.etcd.members()
        if members:
            member = self.rng.choice(members)
            if self.rng.random() < 0.5:
                self.cluster.etcd.raise_alarm(member.id, AlarmType.NOSPACE)
            else:
                self.cluster.etcd.move_leader(member.id)

    def crash(self) -> None:
        """Everything is written down, then the process dies."""
        self.written.write()
        before = picture(self.cluster)
        self.written = self.written.life_after()
        assert picture(self.cluster) == before


@pytest.mark.parametrize("seed", range(12))
def test_a_cluster_comes_back_as_it_was_and_goes_on(seed: int) -> None:
    story = Story(seed)
    for _ in range(4):
        for _ in range(60):
            story.step()
        story.crash()


def test_what_was_not_written_down_is_as_if_it_had_not_been() -> None:
    story = Story(3)
    for _ in range(50):
        story.step()
    story.written.write()
    before = picture(story.cluster)
    story.write()
    story.machine()
    assert picture(story.written.life_after().cluster) == before


def test_a_new_base_comes_when_frames_have_outgrown_the_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("capim.runtime.journal.recorder._LEAST_BYTES", 0)
    story, bases = Story(4), set()
    for _ in range(120):
        story.step()
        story.written.write()
        bases.add(story.written.rows[0].number)
    assert len(bases) > 2
    story.crash()


def test_history_that_went_on_without_the_journal_begins_it_anew() -> None:
    clock = ManualClock()
    written = Written(clock, new_cluster(clock, first_version=1))
    written.write()
    written.cluster.group.store.skip_to(1_000_000)
    written.write()
    assert len(written.rows) == 1
    assert picture(written.life_after().cluster) == picture(written.cluster)


def test_what_a_cluster_was_born_with_and_deleted_stays_away() -> None:
    clock = ManualClock()
    written = Written(clock, new_cluster(clock, first_version=1))
    group = written.cluster.group
    roles = group.resources.by_gvr(GVR("rbac.authorization.k8s.io", "v1", "clusterroles"))
    assert roles is not None
    group.delete(roles, "", "view")
    group.store.skip_to(1_000_000)
    written.write()
    after = written.life_after().cluster.group
    assert after.find(roles, "", "view") is None
    assert after.find(roles, "", "edit") == group.find(roles, "", "edit")


@pytest.fixture(scope="module")
def told() -> Story:
    story = Story(5)
    while len(story.written.rows) < 6:
        story.step()
    return story


def test_every_flipped_bit_is_noticed(told: Story) -> None:
    rows, rng = told.written.rows, random.Random(6)  # noqa: S311 - a seeded test
    for _ in range(300):
        number = rng.randrange(len(rows))
        row = rows[number]
        field = rng.choice(["link", "body"])
        damaged = bytearray(getattr(row, field))
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        changed: Any = {field: bytes(damaged)}
        with pytest.raises(f.DamageError):
            f.read(SPEC.uid, [*rows[:number], row._replace(**changed), *rows[number + 1 :]])


def test_a_frame_that_is_missing_or_another_clusters_is_noticed(told: Story) -> None:
    rows = told.written.rows
    for gone in range(len(rows) - 1):
        with pytest.raises(f.DamageError):
            f.read(SPEC.uid, [*rows[:gone], *rows[gone + 1 :]])
    with pytest.raises(f.DamageError, match="not what was written"):
        f.read("another", rows)
    with pytest.raises(f.DamageError, match="no base"):
        f.read(SPEC.uid, [])


def test_frames_of_a_later_form_are_not_guessed_at(told: Story) -> None:
    body = told.written.rows[0].body
    later = bytes([body[0], f.FORM + 1]) + body[2:]
    row = f.Row(1, f.link(f.first_link(SPEC.uid), later), later)
    with pytest.raises(f.DamageError, match="a frame of form 2"):
        f.read(SPEC.uid, [row])


def test_what_makes_no_sense_is_damage() -> None:
    clock = ManualClock()
    frame = f.Frame(1, [f.ObjectFrame("v1", "Unheard", b"{}")], [], {}, {"members": []})
    with pytest.raises(f.DamageError, match="no v1 Unheard"):
        restore(new_cluster(clock, first_version=1), [frame])
    frame = replace(frame, objects=[], machines={"w": {"uid": "u"}})
    with pytest.raises(f.DamageError, match="createdAt"):
        restore(new_cluster(clock, first_version=1), [frame])
