"""Our kinds: delays, defaulting, what is refused and what may change."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from capim.api import infrastructure
from capim.api.workload import Phase, Startup

if TYPE_CHECKING:
    from capim.api.meta import JsonObject


def make(kind: str, spec: object, **metadata: object) -> JsonObject:
    return {
        "apiVersion": infrastructure.API_VERSION,
        "kind": kind,
        "metadata": {"name": "n", "namespace": "default", **metadata},
        "spec": spec,
    }


def cluster(host: object = "", port: object = 0) -> JsonObject:
    return make("InMemoryCluster", {"controlPlaneEndpoint": {"host": host, "port": port}})


def machine(provisioning: JsonObject | None = None, **spec: object) -> JsonObject:
    behaviour = (
        {} if provisioning is None else {"behaviour": {"vm": {"provisioning": provisioning}}}
    )
    return make("InMemoryMachine", {**behaviour, **spec})


def broken(part: str, **failure: str) -> JsonObject:
    return make("InMemoryMachine", {"behaviour": {part: {"failure": failure}}})


def template(kind: str, spec: JsonObject, metadata: JsonObject | None = None) -> JsonObject:
    return make(kind, {"template": {"metadata": metadata or {}, "spec": spec}})


def paths(causes: list[tuple[str, str]]) -> list[str]:
    return [path for path, _ in causes]


def test_startup_of_reads_every_phase_and_leaves_absent_ones_out() -> None:
    obj = make(
        "InMemoryMachine",
        {
            "behaviour": {
                "vm": {"provisioning": {"startupDuration": "30s", "startupJitter": "0.2"}},
                "node": {"provisioning": {"startupDuration": "1m30s"}},
                "apiServer": {"provisioning": {}},
                "etcd": {},
            }
        },
    )
    assert infrastructure.startup_of(obj) == {
        Phase.VM: Startup(30.0, 0.2),
        Phase.NODE: Startup(90.0, 0.0),
        Phase.API_SERVER: Startup(0.0, 0.0),
    }


@pytest.mark.parametrize("spec", [None, {}, {"behaviour": None}, {"behaviour": {"vm": None}}])
def test_startup_of_nothing_is_no_delay(spec: object) -> None:
    assert infrastructure.startup_of(make("InMemoryMachine", spec)) == {}


@pytest.mark.parametrize(
    ("duration", "jitter", "startup"),
    [
        ("-5s", "0.5", Startup(0.0, 0.5)),
        ("5s", "-1", Startup(5.0, 0.0)),
        ("5s", "2.5", Startup(5.0, 2.5)),
    ],
)
def test_startup_of_objects_stored_before_they_were_refused(
    duration: str, jitter: str, startup: Startup
) -> None:
    stored = machine({"startupDuration": duration, "startupJitter": jitter})
    assert infrastructure.startup_of(stored) == {Phase.VM: startup}


@pytest.mark.parametrize(
    ("provisioning", "field"),
    [
        ({"startupDuration": "soon"}, "startupDuration"),
        ({"startupDuration": "1s", "startupJitter": "some"}, "startupJitter"),
        ({"startupDuration": "1s", "startupJitter": "nan"}, "startupJitter"),
    ],
)
def test_startup_of_names_the_field_it_cannot_read(provisioning: JsonObject, field: str) -> None:
    with pytest.raises(ValueError, match=rf"^spec\.behaviour\.vm\.provisioning\.{field}: '"):
        infrastructure.startup_of(machine(provisioning))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            machine({"startupJitter": "0.1"}),
            machine({"startupJitter": "0.1", "startupDuration": "0s"}),
        ),
        (
            make("InMemoryCluster", {"controlPlaneEndpoint": {"host": "h"}}),
            cluster("h", 0),
        ),
        (make("InMemoryCluster", {}), make("InMemoryCluster", {})),
        (make("InMemoryMachine", {"providerID": None}), make("InMemoryMachine", {})),
        (make("InMemoryMachine", "odd"), make("InMemoryMachine", "odd")),
    ],
)
def test_default(before: JsonObject, after: JsonObject) -> None:
    kept = copy.deepcopy(before)
    assert infrastructure.default(before) == after
    assert before == kept


@pytest.mark.parametrize(
    "obj",
    [
        make("InMemoryCluster", {}),
        cluster(),
        cluster("", 6443),
        cluster("10.0.0.1", 6443),
        cluster("fd00::1", 65535),
        cluster("capim-workload-clusters.capim-system.svc", 20000),
        cluster("Upper.Example.com.", 1),
        make("InMemoryMachine", {}),
        machine({"startupDuration": "0"}),
        machine({"startupDuration": "1h30m0.5s", "startupJitter": ""}),
        machine({"startupDuration": "10\u00b5s", "startupJitter": "1"}),
        machine({"startupJitter": ".5"}),
        machine({"startupDuration": "+1s", "startupJitter": "2e-1"}),
        machine(providerID="in-memory://n", failureDomain="a"),
        machine(providerID=""),
        template("InMemoryMachineTemplate", {}, {"labels": {"a.b/c": "v", "d": ""}}),
        template("InMemoryClusterTemplate", {}, {"annotations": {"a": "any thing"}}),
    ],
)
def test_accepts(obj: JsonObject) -> None:
    assert infrastructure.validate_create(infrastructure.default(obj)) == []


ENDPOINT = "spec.controlPlaneEndpoint"
VM = "spec.behaviour.vm.provisioning"
IN_TEMPLATE = "spec.template.spec.behaviour.vm.provisioning"


@pytest.mark.parametrize(
    ("obj", "path"),
    [
        (cluster("http://h", 1), f"{ENDPOINT}.host"),
        (cluster("h:6443", 1), f"{ENDPOINT}.host"),
        (cluster("[::1]", 1), f"{ENDPOINT}.host"),
        (cluster("fe80::1%eth0", 1), f"{ENDPOINT}.host"),
        (cluster("300.1.1.1", 1), f"{ENDPOINT}.host"),
        (cluster("a..b", 1), f"{ENDPOINT}.host"),
        (cluster("-a", 1), f"{ENDPOINT}.host"),
        (cluster("a" * 64, 1), f"{ENDPOINT}.host"),
        (cluster(7, 1), f"{ENDPOINT}.host"),
        (cluster("h", 65536), f"{ENDPOINT}.port"),
        (cluster("h", -1), f"{ENDPOINT}.port"),
        (cluster("h", "6443"), f"{ENDPOINT}.port"),
        (cluster("h", 0), f"{ENDPOINT}.port"),
        (machine({"startupDuration": "10"}), f"{VM}.startupDuration"),
        (machine({"startupDuration": ""}), f"{VM}.startupDuration"),
        (machine({"startupDuration": "-1s"}), f"{VM}.startupDuration"),
        (machine({"startupDuration": "9999999h"}), f"{VM}.startupDuration"),
        (machine({"startupDuration": 10}), f"{VM}.startupDuration"),
        (machine({"startupDuration": "1s", "startupJitter": "1.01"}), f"{VM}.startupJitter"),
        (machine({"startupDuration": "1s", "startupJitter": "-0.1"}), f"{VM}.startupJitter"),
        (machine({"startupDuration": "1s", "startupJitter": "inf"}), f"{VM}.startupJitter"),
        (machine({"startupDuration": "1s", "startupJitter": 0.2}), f"{VM}.startupJitter"),
        (machine(providerID="n"), "spec.providerID"),
        (broken("node", effect="MemberDown"), "spec.behaviour.node.failure.effect"),
        (broken("node", effect="Tainted"), "spec.behaviour.node.failure.taint"),
        (
            broken("node", effect="NotReady", taint="a:NoExecute"),
            "spec.behaviour.node.failure.taint",
        ),
        (
            broken("vm", effect="VMDeleted", probability="2"),
            "spec.behaviour.vm.failure.probability",
        ),
        (
            make("InMemoryCluster", {"behaviour": {"timeScale": "0"}}),
            "spec.behaviour.timeScale",
        ),
        (make("InMemoryMachine", "odd"), "spec"),
        (make("InMemoryMachineTemplate", {}), "spec.template"),
        (make("InMemoryClusterTemplate", {"template": {}}), "spec.template.spec"),
        (
            template(
                "InMemoryMachineTemplate",
                {"behaviour": {"vm": {"provisioning": {"startupDuration": "x"}}}},
            ),
            f"{IN_TEMPLATE}.startupDuration",
        ),
        (
            template("InMemoryClusterTemplate", {"controlPlaneEndpoint": {"host": "/", "port": 1}}),
            "spec.template.spec.controlPlaneEndpoint.host",
        ),
        (
            template("InMemoryMachineTemplate", {}, {"labels": {"k": "not a value"}}),
            "spec.template.metadata.labels[k]",
        ),
        (
            template("InMemoryMachineTemplate", {}, {"annotations": {"UP/per/k": ""}}),
            "spec.template.metadata.annotations",
        ),
    ],
)
def test_refuses_with_the_path_and_once(obj: JsonObject, path: str) -> None:
    assert paths(infrastructure.validate_create(obj)) == [path]


def test_messages_say_what_to_write() -> None:
    (cause,) = infrastructure.validate_create(machine({"startupDuration": "10"}))
    assert (
        cause[1] == "Invalid value: '10' is not a duration: write for example 10s, 1m30s or 500ms"
    )


def test_a_kind_that_is_not_ours_is_the_callers_mistake() -> None:
    with pytest.raises(KeyError):
        infrastructure.validate_create({"kind": "Pod"})


MACHINES, CLUSTERS = "InMemoryMachineTemplate", "InMemoryClusterTemplate"
FAST = {"behaviour": {"vm": {"provisioning": {"startupDuration": "1s"}}}}


def test_a_failure_and_a_scale_are_taken() -> None:
    obj = broken("node", effect="Tainted", taint="a=b:NoExecute", probability="0.2")
    assert infrastructure.validate_create(obj) == []
    scaled = make("InMemoryCluster", {"behaviour": {"timeScale": "0.5"}})
    assert infrastructure.validate_create(scaled) == []
    assert infrastructure.time_scale_of(scaled) == 0.5


@pytest.mark.parametrize(
    ("old", "new", "dry_run", "refused"),
    [
        pytest.param(template(MACHINES, {}), template(MACHINES, FAST), False, True, id="changed"),
        pytest.param(template(MACHINES, {}), template(MACHINES, FAST), True, False, id="topology"),
        pytest.param(template(MACHINES, FAST), template(MACHINES, FAST), False, False, id="same"),
        pytest.param(
            template(MACHINES, FAST, {"labels": {"a": "b"}}),
            template(MACHINES, FAST),
            False,
            False,
            id="metadata may change",
        ),
        pytest.param(
            template(MACHINES, {"behaviour": {"vm": {"provisioning": {}}}}),
            template(MACHINES, {"behaviour": {"vm": {"provisioning": {"startupDuration": "0s"}}}}),
            False,
            False,
            id="a default is no change",
        ),
        pytest.param(
            template(CLUSTERS, {}),
            template(CLUSTERS, {"controlPlaneEndpoint": {"host": "h", "port": 1}}),
            False,
            True,
            id="cluster template",
        ),
    ],
)
def test_templates_do_not_change(
    old: JsonObject, new: JsonObject, dry_run: bool, refused: bool
) -> None:
    causes = infrastructure.validate_update(old, new, dry_run)
    assert paths(causes) == (["spec.template.spec"] if refused else [])


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        ({}, {"providerID": "in-memory://n"}, False),
        ({"providerID": ""}, {"providerID": "in-memory://n"}, False),
        ({"providerID": "in-memory://n"}, {"providerID": "in-memory://n"}, False),
        ({"providerID": "in-memory://n"}, {"providerID": "in-memory://m"}, True),
        ({"providerID": "in-memory://n"}, {}, True),
    ],
)
def test_provider_id_is_set_once(old: dict[str, Any], new: dict[str, Any], refused: bool) -> None:
    causes = infrastructure.validate_update(machine(**old), machine(**new), False)
    assert paths(causes) == (["spec.providerID"] if refused else [])


def test_the_endpoint_may_move() -> None:
    assert infrastructure.validate_update(cluster("old", 1), cluster("new", 2), False) == []


def test_an_update_is_not_refused_for_an_old_mistake() -> None:
    old = machine({"startupDuration": "1s", "startupJitter": "3"})
    touched = {**old, "metadata": {**old["metadata"], "finalizers": []}}
    assert infrastructure.validate_update(old, touched, False) == []
    worse = machine({"startupDuration": "1s", "startupJitter": "4"})
    assert paths(infrastructure.validate_update(old, worse, False)) == [f"{VM}.startupJitter"]


def test_nothing_stands_in_the_way_of_deletion() -> None:
    deleted = make(MACHINES, {}, deletionTimestamp="2024-01-01T00:00:00Z")
    assert infrastructure.validate_update(template(MACHINES, {}), deleted, False) == []
