"""Unknown and repeated fields are named as Go's strict decoder names them."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capim.api.gvk import GVK
from capim.wire.strictjson import (
    ANYTHING,
    OPERATION,
    has_duplicates,
    has_unknown,
    message_of,
    text_faults,
    value_faults,
)

POD = message_of(GVK("", "v1", "Pod"))


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        pytest.param('{"kind":"Pod","spec":{"containers":[{"name":"a"}]}}', [], id="none"),
        pytest.param('{"foo":1}', ['unknown field "foo"'], id="top"),
        pytest.param('{"spec":{"a":{"b":1}}}', ['unknown field "spec.a"'], id="not-inside-unknown"),
        pytest.param(
            '{"spec":{"containers":[{"x":1},{"y":1,"y":2}]}}',
            ['unknown field "spec.containers[0].x"', 'unknown field "spec.containers[1].y"'],
            id="in-lists-and-once",
        ),
        pytest.param(
            '{"metadata":{"labels":{"a":"b","a":"c"},"labels":{}}}',
            ['duplicate field "metadata.labels.a"', 'duplicate field "metadata.labels"'],
            id="twice",
        ),
        pytest.param('{"Spec":{}}', ['unknown field "Spec"'], id="case"),
        pytest.param(
            '{"metadata":{"managedFields":[{"fieldsV1":{"f:a":{},"f:a":{}}}]}}', [], id="opaque"
        ),
        pytest.param('{"spec":{"containers":"x"}}', [], id="another-type"),
    ],
)
def test_faults_of_a_pod(text: str, faults: list[str]) -> None:
    assert text_faults(text.encode(), POD) == faults
    value = orjson.loads(text)
    unknown = [fault for fault in faults if fault.startswith("unknown")]
    assert has_unknown(POD, value) is bool(unknown)
    assert value_faults(value, POD) == unknown
    assert len(unknown) == len(faults) or has_duplicates(text.encode(), value)


def test_a_map_of_lists_is_no_struct() -> None:
    message = message_of(GVK("authorization.k8s.io", "v1", "SubjectAccessReview"))
    text = b'{"spec":{"extra":{"a":["b"],"a":["c"]}}}'
    assert text_faults(text, message) == ['duplicate field "spec.extra.a"']
    assert not has_unknown(message, {"spec": {"extra": {"a": ["b"]}}})


def test_operations_of_a_patch() -> None:
    text = b'[{"op":"add","path":"/a","value":{"x":1}},{"foo":1,"op":"a","op":"b"}]'
    faults = ['unknown field "[1].foo"', 'duplicate field "[1].op"']
    assert text_faults(text, OPERATION, "[]") == faults


def test_no_more_than_a_hundred_are_named() -> None:
    text = json.dumps({f"x{number}": 1 for number in range(200)})
    assert len(text_faults(text.encode(), POD)) == 100


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(':"\\a\u00e9', max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("a:b", max_size=2), inner, max_size=3)
    ),
)


@given(VALUES)
def test_what_is_not_repeated_is_not_suspicious(value: Any) -> None:
    for text in (orjson.dumps(value), json.dumps(value, indent=1).encode()):
        assert not has_duplicates(text, value)


@given(st.lists(st.tuples(st.sampled_from("abc"), VALUES), min_size=1, max_size=5))
def test_what_is_repeated_is_suspicious(pairs: list[tuple[str, Any]]) -> None:
    members = ",".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in pairs)
    text = f"{{{members}}}".encode()
    repeated = len(dict(pairs)) < len(pairs)
    assert has_duplicates(text, orjson.loads(text)) is repeated
    assert bool(text_faults(text, ANYTHING)) is repeated
