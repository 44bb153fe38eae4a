"""Selectors match and refuse as apimachinery's do, word for word (vectors/selectors.json)."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capim.wire.selectors import FieldSelector, LabelSelector
from tests.unit.wire.vectors import vectors

if TYPE_CHECKING:
    from collections.abc import Callable

#: the label sets of tools/vectors/selectors.go
CANDIDATES = {
    "none": {},
    "a=b": {"a": "b"},
    "a=c,x=": {"a": "c", "x": ""},
    "x=baz,n=7": {"x": "baz", "n": "7"},
    "role": {"node-role.kubernetes.io/control-plane": ""},
    "in=in,n=-3": {"in": "in", "n": "-3"},
}
ROWS = vectors("selectors")
PARSE: dict[str, Callable[[str], LabelSelector | FieldSelector]] = {
    "label": LabelSelector.parse,
    "field": FieldSelector.parse,
}
ACCEPTED = [row for row in ROWS if "error" not in row]
REFUSED = [row for row in ROWS if "error" in row]


def named(rows: list[dict[str, str]]) -> list[object]:
    return [pytest.param(row, id=f"{row['kind']} {row['text']!a}") for row in rows]


@pytest.mark.parametrize("row", named(ACCEPTED))
def test_matches_what_the_original_matches(row: dict[str, str]) -> None:
    selector = PARSE[row["kind"]](row["text"])
    matched = [name for name, labels in CANDIDATES.items() if selector.matches(labels)]
    assert matched == row.get("matches", [])


@pytest.mark.parametrize("row", named(REFUSED))
def test_refuses_in_the_words_of_the_original(row: dict[str, str]) -> None:
    words = f"^{re.escape(row['error'])}$"
    with pytest.raises(ValueError, match=words):
        PARSE[row["kind"]](row["text"])


def test_empty_selector_selects_everything_and_is_false() -> None:
    labels, fields = LabelSelector.parse(""), FieldSelector.parse("")
    assert not labels
    assert not fields
    assert labels.matches({"a": "b"})
    assert fields.matches({"a": "b"})


def test_field_selector_shows_its_requirements() -> None:
    selector = FieldSelector.parse(r"spec.nodeName=a\,b,status.phase!=Failed")
    assert selector.requirements == (
        ("spec.nodeName", "=", "a,b"),
        ("status.phase", "!=", "Failed"),
    )
    assert selector.matches({"spec.nodeName": "a,b"})
    assert not selector.matches({"spec.nodeName": "a,b", "status.phase": "Failed"})


TEXTS = st.text(alphabet="ab1 =!,()<>\\/.-\0\tinot", max_size=20) | st.text(max_size=10)


@given(text=TEXTS, labels=st.dictionaries(st.sampled_from("ab1"), st.sampled_from(["", "a", "1"])))
def test_any_text_is_read_or_refused(text: str, labels: dict[str, str]) -> None:
    with contextlib.suppress(ValueError):
        assert LabelSelector.parse(text).matches(labels) in {True, False}
    with contextlib.suppress(ValueError):
        assert FieldSelector.parse(text).matches(labels) in {True, False}


@given(text=TEXTS)
def test_a_label_selector_reads_back_what_it_prints(text: str) -> None:
    with contextlib.suppress(ValueError):
        selector = LabelSelector.parse(text)
        assert LabelSelector.parse(str(selector)) == selector
