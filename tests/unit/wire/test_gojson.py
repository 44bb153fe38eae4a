"""What Go's decoder says of broken JSON, recorded from it, and silence where it takes a text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capim.wire.gojson import syntax_error

ENDED = "unexpected end of JSON input"
BROKEN = {
    b"": ENDED,
    b" ": ENDED,
    b"{": ENDED,
    b'{"a":1': ENDED,
    b'"a': ENDED,
    b"tru": ENDED,
    b"-": ENDED,
    b"[1,": ENDED,
    b"xyz": "invalid character 'x' looking for beginning of value",
    b"{} {}": "invalid character '{' after top-level value",
    b'{"a" 1}': "invalid character '1' after object key",
    b'{"a":1,}': "invalid character '}' looking for beginning of object key string",
    b'{"a":1 "b":2}': "invalid character '\"' after object key:value pair",
    b"[1 2]": "invalid character '2' after array element",
    b"[1,]": "invalid character ']' looking for beginning of value",
    b"{1:2}": "invalid character '1' looking for beginning of object key string",
    b"trux": "invalid character 'x' in literal true (expecting 'e')",
    b"-x": "invalid character 'x' in numeric literal",
    b"1.x": "invalid character 'x' after decimal point in numeric literal",
    b"1ex": "invalid character 'x' in exponent of numeric literal",
    b"01": "invalid character '1' after top-level value",
    b'"\x01"': "invalid character '\\x01' in string literal",
    b'"\n"': "invalid character '\\n' in string literal",
    b'"\\x"': "invalid character 'x' in string escape code",
    b'"\\u12g4"': "invalid character 'g' in \\u hexadecimal character escape",
    b"'a'": "invalid character '\\'' looking for beginning of value",
    b"\xff": "invalid character '\xff' looking for beginning of value",
}


@pytest.mark.parametrize(("data", "told"), BROKEN.items())
def test_broken(data: bytes, told: str) -> None:
    assert syntax_error(data) == told


def test_depth_has_an_end() -> None:
    assert syntax_error(b"[" * 10_000 + b"]" * 10_000) == ""
    assert syntax_error(b"[" * 10_001) == "exceeded max depth"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, st.sampled_from([None, 2]))
def test_nothing_is_said_of_json(value: object, indent: int | None) -> None:
    assert syntax_error(json.dumps(value, indent=indent).encode()) == ""


@given(st.binary(max_size=40) | st.text('[]{}:,"\\u01-.eE truefalsn', max_size=20).map(str.encode))
def test_it_agrees_with_a_strict_parser(data: bytes) -> None:
    try:
        # what a number or half a character is worth is no question of syntax
        json.loads(data.decode("latin-1"), parse_constant=_refuse)
    except ValueError:
        assert syntax_error(data)
    else:
        assert syntax_error(data) == ""


def _refuse(constant: str) -> None:
    raise ValueError(constant)
