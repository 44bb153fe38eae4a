"""Create, read, update, delete: what an API server does with one object."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from capim.api.errors import APIError
from capim.runtime.resourcegroup import DeleteOptions, ResourceGroup
from capim.wire.selectors import FieldSelector, LabelSelector
from tests.support.groups import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    FIRST_VERSION,
    NAMESPACES,
    NODES,
    NOW_TEXT,
    PODS,
    SECRETS,
    SERVED,
    named,
    names,
    new_group,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource


@pytest.fixture
def group() -> Iterator[ResourceGroup]:
    made = new_group()
    yield made
    made.validate()


def refused(call: object, *args: object, **kwargs: object) -> APIError:
    assert callable(call)
    with pytest.raises(APIError) as caught:
        call(*args, **kwargs)
    return caught.value


# --- create ----------------------------------------------------------------------------------------


def test_create_fills_in_the_servers_metadata(group: ResourceGroup) -> None:
    stored = group.create(CONFIG_MAPS, "default", named("a", data={"k": "v"}))
    assert stored.json() == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "a",
            "namespace": "default",
            "uid": stored.uid,
            "creationTimestamp": NOW_TEXT,
            "resourceVersion": str(group.resource_version),
        },
        "data": {"k": "v"},
    }


def test_create_does_not_change_the_body_it_is_given(group: ResourceGroup) -> None:
    body = named("a", stringData={"k": "v"}, metadata={"labels": {"a": "b"}})
    group.create(SECRETS, "default", body)
    assert body == named("a", stringData={"k": "v"}, metadata={"labels": {"a": "b"}})


def test_create_ignores_uid_and_timestamps_of_the_client(group: ResourceGroup) -> None:
    stated = {"uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "managedFields": [{}]}
    body = named("a", metadata={**stated, "deletionTimestamp": "2001-01-01T00:00:00Z"})
    metadata = group.create(CONFIG_MAPS, "default", body).json()["metadata"]
    assert metadata["uid"] != "mine"
    assert metadata["creationTimestamp"] == NOW_TEXT
    assert not {"deletionTimestamp", "managedFields"} & metadata.keys()


def test_a_given_uid_is_kept(group: ResourceGroup) -> None:
    assert group.create(NODES, "", named("n"), uid="fixed").uid == "fixed"


def test_versions_start_above_the_first(group: ResourceGroup) -> None:
    fresh = new_group()
    assert fresh.resource_version > FIRST_VERSION
    before = group.resource_version
    assert group.create(NODES, "", named("n")).resource_version == before + 1


@pytest.mark.parametrize(
    ("resource", "generation"), [(DEPLOYMENTS, 1), (PODS, 1), (CONFIG_MAPS, None), (NODES, None)]
)
def test_generation_starts_at_one_where_the_kind_has_one(
    group: ResourceGroup, resource: Resource, generation: int | None
) -> None:
    namespace = "default" if resource.namespaced else ""
    metadata = group.create(resource, namespace, named("a")).json()["metadata"]
    assert metadata.get("generation") == generation


def test_generate_name_draws_a_suffix(group: ResourceGroup) -> None:
    body: JsonObject = {"metadata": {"generateName": "a-"}}
    made = [group.create(CONFIG_MAPS, "default", body).name for _ in range(20)]
    assert len(set(made)) == 20
    assert all(name.startswith("a-") and len(name) == 7 for name in made)


def test_a_taken_name_is_409(group: ResourceGroup) -> None:
    group.create(CONFIG_MAPS, "default", named("a"))
    error = refused(group.create, CONFIG_MAPS, "default", named("a"))
    assert (error.code, error.message) == (409, 'configmaps "a" already exists')
    group.create(CONFIG_MAPS, "other", named("a"))


def test_a_missing_namespace_is_404(group: ResourceGroup) -> None:
    error = refused(group.create, CONFIG_MAPS, "nope", named("a"))
    assert (error.code, error.message) == (404, 'namespaces "nope" not found')


def test_namespaces_need_not_exist_where_the_group_says_so() -> None:
    group = new_group(require_namespace=False)
    assert group.create(CONFIG_MAPS, "nope", named("a")).namespace == "nope"


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        pytest.param({"metadata": {}}, 422, "name or generateName is required", id="no-name"),
        pytest.param(named("A_b"), 422, "a lowercase RFC 1123 subdomain", id="bad-name"),
        pytest.param(named("a" * 254), 422, "must be no more than 253", id="long-name"),
        pytest.param(named("a", kind="Secret"), 400, "cannot be handled as a ConfigMap", id="kind"),
        pytest.param(named("a", apiVersion="v2"), 400, "cannot be handled", id="version"),
        pytest.param(
            named("a", metadata={"namespace": "other"}), 400, "does not match", id="namespace"
        ),
        pytest.param(named("a", metadata={"resourceVersion": "5"}), 500, "not be set", id="rv"),
        pytest.param(named("a", metadata={"labels": {"x": "b!"}}), 422, "valid label", id="label"),
        pytest.param(named("a", metadata={"labels": {"x y": ""}}), 422, "name part", id="key"),
        pytest.param(named("a", metadata={"labels": [1]}), 400, "metadata.labels", id="shape"),
        pytest.param(
            named("a", metadata={"finalizers": ["x"]}), 422, "fully qualified", id="finalizer"
        ),
        pytest.param(
            named("a", metadata={"ownerReferences": [{}]}), 422, "Required value", id="owner"
        ),
        pytest.param({"metadata": 5}, 400, "type v1.ObjectMeta", id="metadata"),
    ],
)
def test_create_refuses(group: ResourceGroup, body: JsonObject, code: int, text: str) -> None:
    before = group.resource_version
    error = refused(group.create, CONFIG_MAPS, "default", body)
    assert error.code == code
    assert text in error.message
    assert group.resource_version == before


@pytest.mark.parametrize(
    ("plural", "name", "ok"),
    [
        ("clusterroles", "system:node", True),
        ("clusterroles", "a/b", False),
        ("clusterroles", "..", False),
        ("namespaces", "a.b", False),
        ("services", "1a", False),
        ("services", "a1", True),
        ("nodes", "a.b", True),
    ],
)
def test_names_follow_the_rule_of_their_kind(
    group: ResourceGroup, plural: str, name: str, ok: bool
) -> None:
    resource = SERVED[plural]
    namespace = "default" if resource.namespaced else ""
    if ok:
        group.create(resource, namespace, named(name))
    else:
        assert refused(group.create, resource, namespace, named(name)).code == 422


def test_a_client_cannot_create_with_a_status(group: ResourceGroup) -> None:
    body = named("a", status={"phase": "Running"}, spec={})
    pod = group.create(PODS, "default", body).json()
    assert pod["status"] == {"phase": "Pending"}
    assert "status" not in group.create(DEPLOYMENTS, "default", body).json()


def test_nodes_are_created_with_their_status(group: ResourceGroup) -> None:
    assert group.create(NODES, "", named("n", status={"phase": "x"})).json()["status"]


def test_the_simulator_creates_with_a_status(group: ResourceGroup) -> None:
    body = named("a", status={"phase": "Running"})
    stored = group.create(PODS, "default", body, keep_status=True)
    assert stored.json()["status"] == {"phase": "Running"}


def test_dry_run_create_stores_nothing(group: ResourceGroup) -> None:
    before = group.resource_version
    shown = group.create(CONFIG_MAPS, "default", named("a"), dry_run=True).json()
    assert "resourceVersion" not in shown["metadata"]
    assert (group.resource_version, names(group, CONFIG_MAPS)) == (before, [])


# --- kinds with ways of their own ------------------------------------------------------------------


def test_a_namespace_becomes_active_with_label_and_finalizer(group: ResourceGroup) -> None:
    made = group.create(NAMESPACES, "", named("x")).json()
    assert made["status"] == {"phase": "Active"}
    assert made["spec"] == {"finalizers": ["kubernetes"]}
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "x"}


def test_string_data_is_folded_into_data(group: ResourceGroup) -> None:
    body = named("s", stringData={"a": "é"}, data={"a": "Yg==", "b": "Yg=="})
    made = group.create(SECRETS, "default", body).json()
    assert made["data"] == {"a": base64.b64encode("é".encode()).decode(), "b": "Yg=="}
    assert "stringData" not in made
    updated = group.update(SECRETS, "default", "s", named("s", stringData={"c": "b"})).json()
    assert updated["data"] == {"c": "Yg=="}


def test_a_secret_is_opaque_unless_it_says_otherwise(group: ResourceGroup) -> None:
    token = "bootstrap.kubernetes.io/token"
    assert group.create(SECRETS, "default", named("s")).json()["type"] == "Opaque"
    assert group.create(SECRETS, "default", named("t", type=token)).json()["type"] == token


def test_the_type_of_a_secret_is_immutable(group: ResourceGroup) -> None:
    group.create(SECRETS, "default", named("s"))
    error = refused(group.update, SECRETS, "default", "s", named("s", type="x"))
    assert error.message == 'Secret "s" is invalid: type: Invalid value: "x": field is immutable'


def test_data_of_a_secret_is_base64(group: ResourceGroup) -> None:
    assert refused(group.create, SECRETS, "default", named("s", data={"a": "!"})).code == 400
    group.create(SECRETS, "default", named("s"))
    assert refused(group.update, SECRETS, "default", "s", named("s", data={"a": "!"})).code == 400


def test_an_immutable_config_map_keeps_its_data(group: ResourceGroup) -> None:
    group.create(CONFIG_MAPS, "default", named("a", immutable=True, data={"k": "v"}))
    error = refused(group.update, CONFIG_MAPS, "default", "a", named("a", immutable=True))
    assert "field is immutable when `immutable` is set" in error.message


# --- update ----------------------------------------------------------------------------------------


def test_update_without_a_version_is_unconditional(group: ResourceGroup) -> None:
    group.create(CONFIG_MAPS, "default", named("a", data={"k": "1"}))
    group.update(CONFIG_MAPS, "default", "a", named("a", data={"k": "2"}))
    group.update(CONFIG_MAPS, "default", "a", named("a", data={"k": "3"}))
    assert group.get(CONFIG_MAPS, "default", "a").json()["data"] == {"k": "3"}


def test_update_from_an_older_version_is_409(group: ResourceGroup) -> None:
    read = group.create(CONFIG_MAPS, "default", named("a")).json()
    group.update(CONFIG_MAPS, "default", "a", read | {"data": {"k": "1"}})
    error = refused(group.update, CONFIG_MAPS, "default", "a", read | {"data": {"k": "2"}})
    assert (error.code, error.reason) == (409, "Conflict")
    assert error.message.startswith('Operation cannot be fulfilled on configmaps "a": the object')


def test_put_to_a_missing_object_is_404(group: ResourceGroup) -> None:
    error = refused(group.update, CONFIG_MAPS, "default", "a", named("a"))
    assert (error.code, error.message) == (404, 'configmaps "a" not found')


def test_put_of_another_objects_uid_is_409(group: ResourceGroup) -> None:
    group.create(CONFIG_MAPS, "default", named("a"))
    body = named("a", metadata={"uid": "other"})
    error = refused(group.update, CONFIG_MAPS, "default", "a", body)
    assert "Precondition failed: UID in precondition: other" in error.message


def test_put_names_the_object_of_its_path(group: ResourceGroup) -> None:
    group.create(CONFIG_MAPS, "default", named("a"))
    error = refused(group.update, CONFIG_MAPS, "default", "a", named("b"))
    assert error.message == "the name of the object (b) does not match the name on the URL (a)"
    assert refused(group.update, CONFIG_MAPS, "default", "a", {"metadata": {}}).code == 400


def test_creation_time_and_uid_survive_updates(group: ResourceGroup) -> None:
    was = group.create(CONFIG_MAPS, "default", named("a")).json()["metadata"]
    body = named("a", metadata={"creationTimestamp": "2001-01-01T00:00:00Z"}, data={"k": "v"})
    now = group.update(CONFIG_MAPS, "default", "a", body).json()["metadata"]
    assert {k: now[k] for k in ("uid", "creationTimestamp")} == {
        k: was[k] for k in ("uid", "creationTimestamp")
    }


def test_a_client_cannot_set_a_deletion_time(group: ResourceGroup) -> None:
    group.create(CONFIG_MAPS, "default", named("a"))
    body = named("a", metadata={"deletionTimestamp": NOW_TEXT})
    error = refused(group.update, CONFIG_MAPS, "default", "a", body)
    assert error.code == 422
    assert "metadata.deletionTimestamp" in error.message


def test_generation_counts_changes_of_spec_alone(group: ResourceGroup) -> None:
    def generation() -> int:
        number: int = group.get(DEPLOYMENTS, "default", "d").json()["metadata"]["generation"]
        return number

    group.create(DEPLOYMENTS, "default", named("d", spec={"replicas": 1}))
    body = named("d", spec={"replicas": 1}, metadata={"labels": {"a": "b"}})
    group.update(DEPLOYMENTS, "default", "d", body)
    assert generation() == 1
    group.update(DEPLOYMENTS, "default", "d", body | {"status": {"x": 1}}, subresource="status")
    assert generation() == 1
    group.update(DEPLOYMENTS, "default", "d", named("d", spec={"replicas": 2}))
    assert generation() == 2


def test_generation_counts_annotations_of_deployments(group: ResourceGroup) -> None:
    def generation(kind: Resource) -> object:
        return group.get(kind, "default", "d").json()["metadata"]["generation"]

    annotated = named("d", spec={"replicas": 1}, metadata={"annotations": {"a": "b"}})
    for kind in (DEPLOYMENTS, SERVED["replicasets"]):
        group.create(kind, "default", named("d", spec={"replicas": 1}))
        group.update(kind, "default", "d", annotated)
    assert (generation(DEPLOYMENTS), generation(SERVED["replicasets"])) == (2, 1)
    sent = named("d", metadata={"annotations": {"a": "c"}}, status={"replicas": 1})
    group.update(DEPLOYMENTS, "default", "d", sent, subresource="status")
    assert generation(DEPLOYMENTS) == 2


def test_an_update_of_the_object_leaves_its_status(group: ResourceGroup) -> None:
    group.create(NODES, "", named("n", status={"phase": "a"}))
    group.update(NODES, "", "n", named("n", spec={"x": 1}, status={"phase": "b"}))
    assert group.get(NODES, "", "n").json()["status"] == {"phase": "a"}
    group.update(NODES, "", "n", named("n", spec={"x": 2}))
    assert group.get(NODES, "", "n").json()["status"] == {"phase": "a"}


def test_an_update_of_the_status_leaves_the_object(group: ResourceGroup) -> None:
    group.create(DEPLOYMENTS, "default", named("d", spec={"replicas": 1}))
    body = named("d", spec={"replicas": 5}, status={"replicas": 1}, metadata={"labels": {"a": "b"}})
    made = group.update(DEPLOYMENTS, "default", "d", body, subresource="status").json()
    assert (made["spec"], made["status"]) == ({"replicas": 1}, {"replicas": 1})
    assert "labels" not in made["metadata"]


@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        pytest.param(NODES, {"labels", "annotations"}, id="most-kinds"),
        pytest.param(DEPLOYMENTS, {"annotations"}, id="deployments"),
        pytest.param(SERVED["volumeattachments"], set(), id="status-alone"),
    ],
)
def test_a_status_update_takes_metadata_along(
    group: ResourceGroup, kind: Resource, taken: set[str]
) -> None:
    namespace = "default" if kind.namespaced else ""
    group.create(kind, namespace, named("n"))
    sent = {key: {"a": "b"} for key in ("labels", "annotations")}
    body = named("n", status={"phase": "a"}, metadata=sent)
    made = group.update(kind, namespace, "n", body, subresource="status").json()["metadata"]
    assert {key for key in sent if key in made} == taken


def test_a_write_that_changes_nothing_takes_no_version(group: ResourceGroup) -> None:
    stored = group.create(CONFIG_MAPS, "default", named("a", data={"k": "v"}))
    before = group.resource_version
    again = group.update(CONFIG_MAPS, "default", "a", named("a", data={"k": "v"}))
    assert again.resource_version == stored.resource_version
    assert group.resource_version == before


def test_dry_run_update_stores_nothing(group: ResourceGroup) -> None:
    stored = group.create(CONFIG_MAPS, "default", named("a"))
    body = named("a", data={"k": "v"})
    shown = group.update(CONFIG_MAPS, "default", "a", body, dry_run=True).json()
    assert shown["data"] == {"k": "v"}
    assert shown["metadata"]["resourceVersion"] == str(stored.resource_version)
    assert group.get(CONFIG_MAPS, "default", "a") == stored


def test_a_subresource_the_kind_does_not_have_is_404(group: ResourceGroup) -> None:
    group.create(CONFIG_MAPS, "default", named("a"))
    error = refused(group.update, CONFIG_MAPS, "default", "a", named("a"), subresource="status")
    assert error.code == 404


def test_scale_changes_replicas_alone(group: ResourceGroup) -> None:
    group.create(DEPLOYMENTS, "default", named("d", spec={"replicas": 1, "paused": True}))
    scale = named("d", kind="Scale", apiVersion="autoscaling/v1", spec={"replicas": 3})
    made = group.update(DEPLOYMENTS, "default", "d", scale, subresource="scale").json()
    assert made["spec"] == {"replicas": 3, "paused": True}
    assert made["metadata"]["generation"] == 2


# --- the simulator's writes ------------------------------------------------------------------------


def test_apply_own_creates_and_changes_whole_objects(group: ResourceGroup) -> None:
    def running(pod: JsonObject) -> JsonObject:
        return pod | {"spec": {"nodeName": "n"}, "status": {"phase": "Running"}}

    before = group.resource_version
    made = group.apply_own(PODS, "default", "p", running)
    assert made is not None
    assert made.json()["status"] == {"phase": "Running"}
    assert group.resource_version == before + 1
    ended = group.apply_own(PODS, "default", "p", lambda p: p | {"status": {"phase": "Failed"}})
    assert ended is not None
    assert ended.json()["status"] == {"phase": "Failed"}


def test_apply_own_leaves_what_mutate_leaves(group: ResourceGroup) -> None:
    assert group.apply_own(PODS, "default", "p", lambda _: None) is None
    stored = group.create(PODS, "default", named("p"))
    assert group.apply_own(PODS, "default", "p", lambda _: None) == stored


# --- delete ----------------------------------------------------------------------------------------


def test_delete_takes_a_version_of_its_own(group: ResourceGroup) -> None:
    group.create(CONFIG_MAPS, "default", named("a"))
    before = group.resource_version
    last, gone = group.delete(CONFIG_MAPS, "default", "a")
    assert (last.resource_version, gone) == (before + 1, True)
    assert refused(group.get, CONFIG_MAPS, "default", "a").code == 404
    assert refused(group.delete, CONFIG_MAPS, "default", "a").code == 404


def test_finalizers_hold_an_object(group: ResourceGroup) -> None:
    body = named("a", metadata={"finalizers": ["x/y", "x/z"]})
    group.create(CONFIG_MAPS, "default", body)
    marked, gone = group.delete(CONFIG_MAPS, "default", "a")
    metadata = marked.json()["metadata"]
    assert not gone
    assert metadata["deletionTimestamp"] == NOW_TEXT
    assert metadata["deletionGracePeriodSeconds"] == 0
    again, gone = group.delete(CONFIG_MAPS, "default", "a")
    assert (again, gone) == (marked, False)


def test_the_last_finalizer_to_go_takes_the_object_along(group: ResourceGroup) -> None:
    body = named("a", metadata={"finalizers": ["x/y", "x/z"]})
    group.create(CONFIG_MAPS, "default", body)
    group.delete(CONFIG_MAPS, "default", "a")
    group.update(CONFIG_MAPS, "default", "a", named("a", metadata={"finalizers": ["x/y"]}))
    assert names(group, CONFIG_MAPS) == ["a"]
    group.update(CONFIG_MAPS, "default", "a", named("a"))
    assert names(group, CONFIG_MAPS) == []


def test_an_object_being_deleted_takes_no_new_finalizer(group: ResourceGroup) -> None:
    group.create(CONFIG_MAPS, "default", named("a", metadata={"finalizers": ["x/y"]}))
    group.delete(CONFIG_MAPS, "default", "a")
    body = named("a", metadata={"finalizers": ["x/y", "x/n"]})
    error = refused(group.update, CONFIG_MAPS, "default", "a", body)
    assert 'found new finalizers []string{"x/n"}' in error.message
    assert (error.details or {})["causes"][0]["reason"] == "FieldValueForbidden"


def test_marking_for_deletion_raises_the_generation(group: ResourceGroup) -> None:
    group.create(DEPLOYMENTS, "default", named("d", metadata={"finalizers": ["x/y"]}))
    marked, _ = group.delete(DEPLOYMENTS, "default", "d")
    assert marked.json()["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    "options", [DeleteOptions(uid="other"), DeleteOptions(resource_version="1")]
)
def test_a_failed_precondition_is_409(group: ResourceGroup, options: DeleteOptions) -> None:
    group.create(CONFIG_MAPS, "default", named("a"))
    error = refused(group.delete, CONFIG_MAPS, "default", "a", options)
    assert error.code == 409
    assert "does not match the" in error.message


def test_preconditions_that_hold_let_it_go(group: ResourceGroup) -> None:
    stored = group.create(CONFIG_MAPS, "default", named("a"))
    options = DeleteOptions(uid=stored.uid, resource_version=str(stored.resource_version))
    assert group.delete(CONFIG_MAPS, "default", "a", options)[1]


def test_an_unknown_propagation_is_422(group: ResourceGroup) -> None:
    group.create(CONFIG_MAPS, "default", named("a"))
    options = DeleteOptions(propagation="Wrong")  # type: ignore[arg-type]
    assert refused(group.delete, CONFIG_MAPS, "default", "a", options).code == 422


@pytest.mark.parametrize("finalizers", [[], ["x/y"]])
def test_dry_run_delete_deletes_nothing(group: ResourceGroup, finalizers: list[str]) -> None:
    body = named("a", metadata={"finalizers": finalizers})
    stored = group.create(CONFIG_MAPS, "default", body)
    group.delete(CONFIG_MAPS, "default", "a", DeleteOptions(dry_run=True))
    assert group.get(CONFIG_MAPS, "default", "a") == stored


def test_delete_collection_deletes_what_is_selected(group: ResourceGroup) -> None:
    for name, tier in (("a", "x"), ("b", "y"), ("c", "x")):
        group.create(CONFIG_MAPS, "default", named(name, metadata={"labels": {"tier": tier}}))
    group.create(CONFIG_MAPS, "other", named("d", metadata={"labels": {"tier": "x"}}))
    labels = LabelSelector.parse("tier=x")
    deleted = group.delete_collection(CONFIG_MAPS, "default", labels=labels).items
    assert [stored.name for stored in deleted] == ["a", "c"]
    assert names(group, CONFIG_MAPS) == ["b", "d"]


def test_delete_collection_by_field(group: ResourceGroup) -> None:
    for name in "ab":
        group.create(CONFIG_MAPS, "default", named(name))
    group.delete_collection(CONFIG_MAPS, "default", fields=FieldSelector.parse("metadata.name!=a"))
    assert names(group, CONFIG_MAPS) == ["a"]


# --- admission -------------------------------------------------------------------------------------


class Stamping:
    def admit(self, resource: Resource, body: JsonObject, old: JsonObject | None) -> JsonObject:
        if resource.plural != "configmaps":
            return body
        if body.get("data") == {"bad": "1"}:
            raise APIError("Invalid", 422, "bad data")
        return body | {"data": {"was": "none" if old is None else "there"}}


def test_admission_changes_and_refuses_what_is_written() -> None:
    group = new_group(admission=Stamping())
    assert group.create(CONFIG_MAPS, "default", named("a")).json()["data"] == {"was": "none"}
    assert group.update(CONFIG_MAPS, "default", "a", named("a")).json()["data"] == {"was": "there"}
    body = named("a", data={"bad": "1"})
    assert refused(group.update, CONFIG_MAPS, "default", "a", body).message == "bad data"
