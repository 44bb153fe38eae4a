"""Sets of field paths: their laws against plain sets of paths, and their text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capim.wire import fieldset
from capim.wire.fieldset import FieldSet, Path

_ELEMENTS = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"', "v:9", "v:10"])
_PATHS = st.sets(st.lists(_ELEMENTS, min_size=1, max_size=3).map(tuple), max_size=8)


def made(paths: set[Path]) -> FieldSet:
    return fieldset.of_paths(*paths)


def members(fields: FieldSet) -> set[Path]:
    found = list(fieldset.paths(fields))
    assert len(found) == len(set(found))
    return set(found)


@settings(deadline=None)
@given(_PATHS)
def test_a_set_holds_the_paths_it_is_made_of(paths: set[Path]) -> None:
    fields = made(paths)
    assert members(fields) == paths
    assert all(fieldset.has(fields, path) for path in paths)
    assert not fieldset.has(fields, ("f:absent",))


@settings(deadline=None)
@given(_PATHS, _PATHS)
def test_algebra_is_that_of_sets_of_paths(left: set[Path], right: set[Path]) -> None:
    one, other = made(left), made(right)
    assert members(fieldset.union(one, other)) == left | right
    assert members(fieldset.intersection(one, other)) == left & right
    assert members(fieldset.difference(one, other)) == left - right


@settings(deadline=None)
@given(_PATHS, _PATHS)
def test_without_takes_what_lies_below_as_well(left: set[Path], right: set[Path]) -> None:
    kept = {
        path for path in left if not any(path[: length + 1] in right for length in range(len(path)))
    }
    assert members(fieldset.without(made(left), made(right))) == kept


@settings(deadline=None)
@given(_PATHS, _PATHS)
def test_operations_change_nothing_given(left: set[Path], right: set[Path]) -> None:
    one, other = made(left), made(right)
    for operation in (
        fieldset.union,
        fieldset.intersection,
        fieldset.difference,
        fieldset.without,
    ):
        operation(one, other)
        assert members(one) == left
        assert members(other) == right


@settings(deadline=None)
@given(_PATHS, _PATHS)
def test_equal_sets_are_written_alike(left: set[Path], right: set[Path]) -> None:
    joined = fieldset.union(made(left), made(right))
    assert str(joined) == str(fieldset.parse(joined)) == str(made(left | right))


@settings(deadline=None)
@given(_PATHS)
def test_taking_nothing_returns_the_set_itself(paths: set[Path]) -> None:
    fields = made(paths)
    assert fieldset.difference(fields, {"f:absent": {}}) is fields
    assert fieldset.union(fields, fields) is fields


def test_parsing_makes_elements_canonical() -> None:
    given_fields: FieldSet = {
        'k:{"b": 2, "a": "<"}': {".": {}},
        "f:x": {"f:y": {}, ".": {}},
        "q:later": {},
    }
    assert fieldset.parse(given_fields) == {
        'k:{"a":"\\u003c","b":2}': {},
        "f:x": {".": {}, "f:y": {}},
    }


@pytest.mark.parametrize(
    "fields", ["x", {"f": {}}, {"ff": {}}, {"k:[]": {}}, {"v:{": {}}, {"i:x": {}}]
)
def test_what_is_no_set_is_refused(fields: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        fieldset.parse(fields)


def test_a_path_reads_as_a_person_writes_it() -> None:
    path = ("f:spec", "f:list", 'k:{"name":"x","port":80}', 'v:"y"', "i:3", "v:true")
    assert fieldset.path_text(path) == '.spec.list[name="x",port=80][="y"][3][=true]'


def test_numbers_in_elements_are_in_numeric_order() -> None:
    level: FieldSet = {
        "v:10": {},
        "v:9": {},
        'k:{"p":80}': {},
        'k:{"p":9}': {},
        'v:"a"': {},
        "f:z": {},
    }
    assert list(fieldset.ordered(level)) == [
        "f:z",
        'k:{"p":9}',
        'k:{"p":80}',
        "v:9",
        "v:10",
        'v:"a"',
    ]
