"""Patches do what the Go originals do (vectors/) and keep the laws of patches."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from capim.api.gvk import GVK, split_api_version
from capim.wire import patch_strategic
from capim.wire.patch import (
    PatchError,
    has_merge_keys,
    json_patch,
    merge_patch,
    strategic_merge_patch,
)
from tests.unit.wire.vectors import vectors

NODE = GVK("", "v1", "Node")
POD = GVK("", "v1", "Pod")
JsonObject = dict[str, Any]


def apply(row: JsonObject) -> JsonObject:
    """Apply the patch of a row, and check that nothing was mutated."""
    before = json.dumps([row["original"], row["patch"]])
    try:
        if "kind" not in row:
            return json_patch(row["original"], row["patch"])
        api_version, _, kind = row["kind"].rpartition("/")
        gvk = GVK(*split_api_version(api_version), kind)
        return strategic_merge_patch(row["original"], row["patch"], gvk)
    finally:
        assert json.dumps([row["original"], row["patch"]]) == before


def without_directives(value: Any) -> Any:
    """Drop what the original leaves behind and a server's conversion to structs drops."""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key not in {"$patch", "$retainKeys"}}
        return {key: without_directives(item) for key, item in kept.items()}
    return [without_directives(item) for item in value] if isinstance(value, list) else value


ROWS = vectors("strategic") + vectors("jsonpatch")


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row["name"]) for row in ROWS if "error" not in row]
)
def test_result_is_that_of_the_original(row: JsonObject) -> None:
    assert apply(row) == without_directives(row["result"])


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row["name"]) for row in ROWS if "error" in row]
)
def test_refuses_what_the_original_refuses(row: JsonObject) -> None:
    with pytest.raises(PatchError):
        apply(row)


def test_custom_resources_have_no_merge_keys() -> None:
    gvk = GVK("cluster.x-k8s.io", "v1beta2", "Cluster")
    assert has_merge_keys(NODE)
    assert not has_merge_keys(gvk)
    with pytest.raises(PatchError) as refusal:
        strategic_merge_patch({}, {}, gvk)
    assert refusal.value.code == 400


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        pytest.param({"op": "add"}, 400, id="no list"),
        pytest.param([{"op": "remove", "path": "/x"}], 422, id="does not apply"),
        pytest.param([{"op": "test", "path": "/x", "value": 1}], 422, id="test fails"),
        pytest.param([{"op": "add", "path": "/x", "value": 1}] * 10_001, 413, id="too many"),
        pytest.param([{"op": "replace", "path": "", "value": []}], 422, id="no object left"),
    ],
)
def test_json_patch_refusals_carry_a_code(patch: Any, code: int) -> None:
    with pytest.raises(PatchError) as refusal:
        json_patch({}, patch)
    assert refusal.value.code == code


@pytest.mark.parametrize("patch", [None, [], "x", 1, True])
def test_merge_patch_must_be_an_object(patch: Any) -> None:
    for refused in (merge_patch, lambda obj, bad: strategic_merge_patch(obj, bad, NODE)):
        with pytest.raises(PatchError) as refusal:
            refused({}, patch)
        assert refusal.value.code == 400


def nested(depth: int) -> JsonObject:
    value: JsonObject = {}
    for _ in range(depth):
        value = {"spec": value}
    return value


def test_bottomless_nesting_is_refused() -> None:
    deep = nested(5000)
    with pytest.raises(PatchError):
        merge_patch(deep, deep)
    with pytest.raises(PatchError):
        strategic_merge_patch({}, deep, NODE)
    with pytest.raises(PatchError):
        json_patch({}, [{"op": "add", "path": "/x", "value": deep}])


SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2)
KEYS = st.sampled_from(["a", "b", "c/d", "~e"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value


def merge_diff(old: Any, new: Any) -> Any:
    """Return the merge patch from one object to another that has no nulls."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    gone = {key: None for key in old if key not in new}
    return gone | {key: merge_diff(old.get(key), item) for key, item in new.items()}


@given(old=OBJECTS, new=OBJECTS)
def test_a_merge_patch_leads_from_any_object_to_any_other(old: JsonObject, new: JsonObject) -> None:
    wanted = without_nulls(new)
    assert merge_patch(old, merge_diff(old, wanted)) == wanted


@given(old=OBJECTS, patch=OBJECTS)
def test_a_merge_patch_twice_is_a_merge_patch_once(old: JsonObject, patch: JsonObject) -> None:
    before = json.dumps([old, patch])
    once = merge_patch(old, patch)
    assert merge_patch(once, patch) == once
    assert json.dumps([old, patch]) == before


@given(old=OBJECTS, key=KEYS, value=VALUES)
def test_json_patch_add_then_remove_undoes_itself(old: JsonObject, key: str, value: Any) -> None:
    path = "/" + key.replace("~", "~0").replace("/", "~1")
    added = json_patch(old, [{"op": "add", "path": path, "value": value}])
    assert added == old | {key: value}
    assert json_patch(added, [{"op": "test", "path": path, "value": value}]) == added
    without = {name: item for name, item in old.items() if name != key}
    assert json_patch(added, [{"op": "remove", "path": path}]) == without


NAMES = st.sampled_from("abcd")
CONDITIONS = st.lists(
    st.fixed_dictionaries({"type": NAMES, "status": st.sampled_from(["True", "False"])}),
    unique_by=lambda condition: condition["type"],
    max_size=4,
)


@given(old=CONDITIONS, new=CONDITIONS)
def test_merged_conditions_are_the_union_and_the_patch_wins(
    old: list[JsonObject], new: list[JsonObject]
) -> None:
    result = strategic_merge_patch(
        {"status": {"conditions": old}}, {"status": {"conditions": new}}, NODE
    )
    wanted = {item["type"]: item for item in old} | {item["type"]: item for item in new}
    merged = result["status"]["conditions"]
    assert {item["type"]: item for item in merged} == wanted
    assert len(merged) == len(wanted)


ANY_CONDITIONS = st.lists(
    st.dictionaries(st.sampled_from(["type", "status"]), NAMES, min_size=1), max_size=4
)


@given(old=CONDITIONS | ANY_CONDITIONS, new=CONDITIONS | ANY_CONDITIONS)
def test_the_short_way_to_merge_a_list_leads_where_the_long_one_does(
    old: list[JsonObject], new: list[JsonObject]
) -> None:
    def merged() -> JsonObject | str:
        status = {"conditions": old}, {"conditions": new}
        try:
            return strategic_merge_patch({"status": status[0]}, {"status": status[1]}, NODE)
        except PatchError as error:
            return str(error)

    short = merged()
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(patch_strategic, "_merge_in_place", lambda *_: None)
        assert merged() == short


@given(old=CONDITIONS, new=CONDITIONS)
def test_deletions_and_an_order_make_the_list_that_the_patch_describes(
    old: list[JsonObject], new: list[JsonObject]
) -> None:
    order = [{"type": item["type"]} for item in new]
    kept = {item["type"] for item in new}
    gone = [{"type": item["type"], "$patch": "delete"} for item in old if item["type"] not in kept]
    patch = {"status": {"$setElementOrder/conditions": order, "conditions": gone + new}}
    assume(old or new)
    result = strategic_merge_patch({"status": {"conditions": old}}, patch, NODE)
    named = [item["type"] for item in result["status"]["conditions"]]
    assert named == [item["type"] for item in new]


FIELDS = st.sampled_from(
    [
        "spec",
        "metadata",
        "containers",
        "volumes",
        "name",
        "finalizers",
        "labels",
        "x",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "$deleteFromPrimitiveList/finalizers",
    ]
)
WILD = st.recursive(
    SCALARS | st.sampled_from(["delete", "replace", "merge"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)
WILD_OBJECTS = st.dictionaries(FIELDS, WILD, max_size=4)


@given(old=WILD_OBJECTS, patch=WILD_OBJECTS)
def test_any_strategic_patch_is_applied_or_refused(old: JsonObject, patch: JsonObject) -> None:
    before = json.dumps([old, patch])
    with contextlib.suppress(PatchError):
        assert isinstance(strategic_merge_patch(old, patch, POD), dict)
    assert json.dumps([old, patch]) == before


OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"]) | SCALARS},
    optional={
        "path": st.sampled_from(["", "/", "/a", "/a/0", "/a/-", "/a/b", "x"]) | SCALARS,
        "from": st.sampled_from(["/a", "/b/0", "/c~1d", ""]) | SCALARS,
        "value": VALUES,
    },
)


@given(old=OBJECTS, ops=st.lists(OPERATIONS, max_size=4))
def test_any_json_patch_is_applied_or_refused(old: JsonObject, ops: list[JsonObject]) -> None:
    before = json.dumps([old, ops])
    with contextlib.suppress(PatchError):
        assert isinstance(json_patch(old, ops), dict)
    assert json.dumps([old, ops]) == before
