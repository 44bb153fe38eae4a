"""Apply and update on values: who owns what, which laws hold, what does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capim.api.gvk import GVK
from capim.wire import lastapplied, managedfields, managedscale, shapes, typed
from capim.wire.managedfields import (
    Applied,
    Conflicts,
    Entry,
    Write,
    encode_fields,
    fields_in,
)
from capim.wire.typed import TypedError
from capim.wire.typedcheck import check_fits

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.wire.managedfields import Entries
    from capim.wire.shapes import Shape

_TEXT = {"type": "string"}
_SHAPE = shapes.schema_shape(
    {
        "type": "object",
        "properties": {
            "map": {"type": "object", "additionalProperties": _TEXT},
            "set": {"type": "array", "items": _TEXT, "x-kubernetes-list-type": "set"},
            "keyed": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": {
                    "type": "object",
                    "properties": {"name": {**_TEXT, "default": "d"}, "x": _TEXT, "y": _TEXT},
                },
            },
            "atom": {"type": "array", "items": _TEXT},
            "number": {"type": "integer"},
            "flag": {"type": "boolean"},
            "either": {"x-kubernetes-int-or-string": True},
        },
    }
)
_NAMES = st.sampled_from("abcd")
_VALUES = st.sampled_from("12")


def _configs(names: st.SearchStrategy[str]) -> st.SearchStrategy[JsonObject]:
    items = st.dictionaries(names, st.dictionaries(st.sampled_from("xy"), _VALUES), max_size=3)
    keyed = items.map(lambda found: [{"name": name, **rest} for name, rest in found.items()])
    return st.fixed_dictionaries(
        {},
        optional={
            "map": st.dictionaries(names, _VALUES, min_size=1),
            "set": st.lists(names, unique=True, min_size=1),
            "keyed": keyed.filter(bool),
        },
    )


_CONFIGS = _configs(_NAMES)
_UPPER = _configs(st.sampled_from("ABCD"))


def write(manager: str, time: str = "2024-01-01T00:00:00Z", subresource: str = "") -> Write:
    return Write(manager, "x.io/v1", subresource, time, {}, b"{}")


def apply(
    live: JsonObject,
    config: JsonObject,
    managed: Entries,
    manager: str = "one",
    *,
    force: bool = False,
    shape: Shape = _SHAPE,
    time: str = "2024-01-01T00:00:00Z",
) -> Applied:
    return managedfields.apply(live, config, managed, write(manager, time), shape, force=force)


def owned(managed: Entries, manager: str) -> Any:
    return next((fields_in(one.fields) for one in managed if one.owner.manager == manager), None)


@settings(deadline=None)
@given(_CONFIGS, _CONFIGS)
def test_applying_again_changes_nothing(live: JsonObject, config: JsonObject) -> None:
    first = apply(live, config, ())
    later = apply(first.obj, config, first.managed, time="2025-01-01T00:00:00Z")
    assert later == first


@settings(deadline=None)
@given(_CONFIGS, _UPPER)
def test_disjoint_managers_never_conflict(mine: JsonObject, theirs: JsonObject) -> None:
    first = apply({}, mine, ())
    both = apply(first.obj, theirs, first.managed, "two")
    assert owned(both.managed, "one") == owned(first.managed, "one")
    back = apply(both.obj, {}, both.managed, "two")
    assert typed.fields_of(back.obj, _SHAPE) == typed.fields_of(first.obj, _SHAPE)
    assert back.managed == first.managed


@settings(deadline=None)
@given(_CONFIGS, _CONFIGS)
def test_who_gives_everything_up_leaves_nothing(first: JsonObject, second: JsonObject) -> None:
    made = apply({}, first, ())
    made = apply(made.obj, second, made.managed)
    assert typed.fields_of(made.obj, _SHAPE) == typed.fields_of(second, _SHAPE)
    assert apply(made.obj, {}, made.managed) == Applied({}, ())


@settings(deadline=None)
@given(_CONFIGS, _CONFIGS)
def test_a_forced_apply_has_its_way(live: JsonObject, config: JsonObject) -> None:
    made = apply({}, live, ())
    made = apply(made.obj, config, made.managed, "two", force=True)
    assert apply(made.obj, config, made.managed, "two") == made
    assert (owned(made.managed, "two") or {}) == typed.fields_of(config, _SHAPE)


@settings(deadline=None)
@given(_CONFIGS, _CONFIGS)
def test_an_update_owns_what_it_changed(old: JsonObject, new: JsonObject) -> None:
    before = apply({}, old, ()).managed
    seen = typed.compare(old, new, _SHAPE)
    after = managedfields.update(before, seen, write("up"))
    assert (owned(after, "up") or {}) == seen.changed
    nothing = typed.Comparison({}, {}, {})  # the order of items is nobody's
    assert (after is before) is (seen == nothing)
    assert old != new or seen == nothing


def test_a_conflict_names_manager_and_field() -> None:
    by_update = managedfields.update(
        (), typed.compare({}, {"map": {"a": "1"}}, _SHAPE), write("up", subresource="status")
    )
    with pytest.raises(Conflicts) as caught:
        apply({"map": {"a": "1"}}, {"map": {"a": "2"}}, by_update)
    assert str(caught.value) == (
        'Apply failed with 1 conflict: conflict with "up" with subresource "status" using x.io/v1: '
        ".map.a"
    )


def test_conflicts_are_listed_by_manager() -> None:
    first = apply({}, {"map": {"a": "1", "b": "1"}}, ())
    with pytest.raises(Conflicts) as caught:
        apply(first.obj, {"map": {"a": "2", "b": "2"}}, first.managed, "two")
    text = 'Apply failed with 2 conflicts: conflicts with "one":\n- .map.a\n- .map.b'
    assert str(caught.value) == text


def test_too_many_updates_become_ancient() -> None:
    managed: Entries = ()
    for number in range(13):
        old = {"map": {f"k{n:02}": "1" for n in range(number)}}
        seen = typed.compare(old, {"map": {**old["map"], f"k{number:02}": "1"}}, _SHAPE)
        time = f"2024-01-01T00:00:{number:02}Z"
        managed = managedfields.update(managed, seen, write(f"m{number:02}", time))
    assert len(managed) == 10
    ancient = managed[0]
    assert ancient.owner.manager == managedfields.ANCIENT_CHANGES
    assert ancient.time == "2024-01-01T00:00:03Z"
    assert sorted(fields_in(ancient.fields)["f:map"]) == ["f:k00", "f:k01", "f:k02", "f:k03"]


def test_an_element_without_its_key_has_the_default() -> None:
    made = apply({}, {"keyed": [{"x": "1"}]}, ())
    element = 'k:{"name":"d"}'
    assert owned(made.managed, "one") == {"f:keyed": {element: {".": {}, "f:x": {}}}}


def test_merged_lists_keep_both_orders() -> None:
    def named(*names: str) -> JsonObject:
        return {"keyed": [{"name": name} for name in names]}

    live, applied = named("a", "b", "c", "z"), named("c", "x", "a")
    merged = typed.merge(live, applied, _SHAPE)
    assert merged == named("b", "c", "z", "x", "a")


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        pytest.param({"map": ["x"]}, ".map: expected map, got &{[x]}", id="list-for-map"),
        pytest.param({"set": {"a": 1}}, ".set: expected list, got &{map[a:1]}", id="map-for-list"),
        pytest.param(
            {"map": {"a": 1}},
            ".map.a: expected string, got &value.valueUnstructured{Value:1}",
            id="number-for-text",
        ),
        pytest.param(
            {"number": "x"}, ".number: expected numeric (int or float), got string", id="text"
        ),
        pytest.param({"flag": None, "number": True}, None, id="bool-for-number"),
        pytest.param({"flag": "x"}, ".flag: expected boolean, got &{x}", id="text-for-bool"),
        pytest.param(
            {"either": ["x"]}, ".either: expected any scalar, got &{[x]}", id="list-for-scalar"
        ),
        pytest.param({"odd": 1}, ".odd: field not declared in schema", id="unknown"),
        pytest.param(
            {"set": ["a", "a"]}, '.set: duplicate entries for key [="a"]', id="item-twice"
        ),
        pytest.param(
            {"set": [None]},
            ".set: element 0: associative list without keys has an element that's an explicit null",
            id="null-item",
        ),
    ],
)
def test_a_misfit_is_told_in_the_servers_words(config: JsonObject, problem: str | None) -> None:
    with pytest.raises(TypedError) as caught:
        check_fits(config, _SHAPE)
    assert str(caught.value) == (problem or ".number: expected numeric (int or float), got bool")


def test_several_misfits_are_listed() -> None:
    with pytest.raises(TypedError, match=r"errors:\n  \.flag: .*\n  \.number: "):
        check_fits({"flag": 1, "number": "x"}, _SHAPE)


def test_entries_that_are_none_are_refused() -> None:
    good = {"operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1"}
    (entry,) = managedfields.parse([good])
    assert (entry.owner.operation, entry.api_version, entry.fields) == ("Apply", "v1", b"{}")
    for part in ({"operation": "Guess"}, {"apiVersion": ""}, {"fieldsType": "FieldsV2"}):
        with pytest.raises(ValueError, match=r"."):
            managedfields.parse([{**good, **part}])


def test_built_in_kinds_have_their_topology() -> None:
    pod = shapes.kind_shape(GVK("", "v1", "Pod"))
    assert pod is not None
    spec = pod.fields["spec"]
    ports = spec.fields["containers"].element
    assert ports is not None
    assert ports.fields["ports"].keys == ("containerPort", "protocol")
    assert ports.fields["ports"].defaults == {"containerPort": 0, "protocol": "TCP"}
    assert spec.fields["nodeSelector"].form is shapes.Form.LEAF
    assert pod.fields["metadata"].fields["finalizers"].keys == ()


def test_a_scale_shows_and_changes_who_manages_the_replicas() -> None:
    fields: JsonObject = {"f:spec": {"f:replicas": {}, "f:paused": {}}}
    entry = Entry(write("one").owner("Update"), "x.io/v1", "t", encode_fields(fields))
    (shown,) = managedscale.to_scale((entry,), "x.io/v1")
    assert (shown.api_version, shown.owner.api_version) == ("autoscaling/v1", "autoscaling/v1")
    assert fields_in(shown.fields) == {"f:spec": {"f:replicas": {}}}
    other = shown._replace(owner=shown.owner._replace(manager="two", subresource="scale"))
    new, old = managedscale.to_workload((entry,), (other,), "x.io/v1")
    assert (new.owner.manager, new.api_version, new.time) == ("two", "x.io/v1", "")
    assert old == entry._replace(fields=encode_fields({"f:spec": {"f:paused": {}}}))


@pytest.mark.parametrize("missing", ["", "manager", "time", "subresource"])
def test_entries_are_written_as_they_were_read(missing: str) -> None:
    entry = {
        "manager": "one",
        "operation": "Update",
        "apiVersion": "x.io/v1",
        "time": "2024-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:map": {'k:{"a":"\\u003c"}': {".": {}, "f:a": {}}}},
        "subresource": "status",
    }
    entry.pop(missing, None)
    assert managedfields.encode(managedfields.parse([entry, entry])) == orjson.dumps([entry, entry])


def test_what_kubectl_applied_on_the_clients_side_is_kept_in_view() -> None:
    text = '{"apiVersion":"x.io/v1","map":{"a":"1","b":"1"}}'
    metadata = {"annotations": {lastapplied.ANNOTATION: text}}
    live = {"apiVersion": "x.io/v1", "metadata": metadata, "map": {"a": "1", "b": "2"}}
    kept = lastapplied.kept_fields(live, _SHAPE)
    assert kept["f:map"] == {"f:a": {}}
    made = lastapplied.with_annotation(live, {"metadata": {"name": "n"}, "map": {"a": "<"}})
    written = made["metadata"]["annotations"][lastapplied.ANNOTATION]
    assert written == '{"map":{"a":"\\u003c"},"metadata":{"name":"n"}}\n'


@pytest.mark.parametrize("text", ["", "{", "[]", '{"apiVersion":"y.io/v1"}'])
def test_an_annotation_that_tells_nothing_keeps_nothing(text: str) -> None:
    metadata = {"annotations": {lastapplied.ANNOTATION: text}}
    live = {"apiVersion": "x.io/v1", "metadata": metadata}
    assert lastapplied.kept_fields(live, _SHAPE) == {}


def test_a_value_that_takes_another_form_is_another() -> None:
    shape = shapes.DEDUCED
    seen = typed.compare({"x": {"a": [1]}}, {"x": "text"}, shape)
    assert seen == ({}, {"f:x": {}}, {"f:x": {"f:a": {}}})
    seen = typed.compare({"x": "text"}, {"x": {"a": [1]}}, shape)
    assert seen == ({"f:x": {"f:a": {}}}, {"f:x": {}}, {})
