"""Protobuf bodies become the JSON that Go writes for the same objects; damage raises KubeProtoError.

The rows of vectors/protobuf.json cover every stable built-in kind, empty and filled at random.
"""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capim.api import builtin_types
from capim.api.gvk import GVK, split_api_version
from capim.wire.kubeproto import MAGIC, KubeProtoError, decode, encode
from tests.unit.wire.vectors import vectors

ROWS = vectors("protobuf")
#: kinds that client-go's scheme does not know: nobody sends them as a protobuf body
NO_BODIES = {
    "admission/v1.AdmissionReview",
    "apidiscovery/v2.APIGroupDiscovery",
    "apiregistration/v1.APIService",
    "meta/v1.ApplyOptions",
    "meta/v1.PartialObjectMetadata",
    "meta/v1.TableOptions",
    "runtime.Unknown",
}
BODIES = [base64.b64decode(row["protobuf"]) for row in ROWS]


@pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in ROWS])
def test_decodes_to_what_go_writes_as_json(row: dict[str, str]) -> None:
    assert canonical(decode(base64.b64decode(row["protobuf"]))) == canonical(row["json"])


@pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in ROWS])
def test_encoding_loses_nothing_that_decoding_reads(row: dict[str, Any]) -> None:
    read_back = decode(encode(row["json"]))
    assert canonical(without_nulls(read_back)) == canonical(without_nulls(row["json"]))


def without_nulls(value: Any) -> Any:
    """Drop nulls: a pointer to Go's zero time is null in JSON, where a nil pointer is absent."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"kind": "Potato"}, id="unknown kind"),
        pytest.param({"kind": None}, id="no kind"),
        pytest.param({"data": ["x"]}, id="list for a map"),
        pytest.param({"data": {"k": "not base64"}}, id="not base64"),
        pytest.param({"type": 5}, id="number for a string"),
        pytest.param({"metadata": {"generation": 1 << 63}}, id="too large"),
        pytest.param({"metadata": {"generation": 1.5}}, id="not whole"),
        pytest.param({"metadata": {"creationTimestamp": "yesterday"}}, id="no time"),
        pytest.param({"metadata": "x"}, id="string for a struct"),
    ],
)
def test_what_cannot_be_encoded_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(KubeProtoError):
        encode({"apiVersion": "v1", "kind": "Secret", **changes})


def test_every_kind_of_the_table_has_a_vector() -> None:
    covered = {kind_of(body) for body in BODIES}
    missing = {
        name
        for name in builtin_types._table().lines
        if builtin_types.message(name).is_kind and name not in covered and not name.endswith("List")
    }
    assert missing <= NO_BODIES


def kind_of(body: bytes) -> str:
    obj = decode(body)
    message = builtin_types.kind(GVK(*split_api_version(obj["apiVersion"]), obj["kind"]))
    assert message is not None
    return message.name


def canonical(value: object) -> str:
    """Write JSON with sorted keys: unlike ==, it tells 1 from True and 1.0."""
    return json.dumps(value, sort_keys=True)


def envelope(api_version: str, kind: str, raw: bytes = b"", rest: bytes = b"") -> bytes:
    """Build a body by hand: runtime.Unknown with its TypeMeta."""
    meta = tagged(1, api_version.encode()) + tagged(2, kind.encode())
    return MAGIC + tagged(1, meta) + tagged(2, raw) + rest


def tagged(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2, len(value)]) + value


def test_options_are_known_in_every_group_even_of_custom_resources() -> None:
    grace_30_s = b"\x08\x1e"
    body = envelope("infrastructure.cluster.x-k8s.io/v1alpha1", "DeleteOptions", grace_30_s)
    assert decode(body) == {
        "apiVersion": "infrastructure.cluster.x-k8s.io/v1alpha1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 30,
    }


def test_unknown_field_numbers_are_ignored() -> None:
    """A newer client may send fields that the table does not have."""
    assert decode(envelope("v1", "ConfigMap", b"\xfa\x7f\x01x")) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {},
    }


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"", "magic", id="empty"),
        pytest.param(b'{"kind":"Pod"}', "magic", id="json"),
        pytest.param(MAGIC, "'' of '' is not", id="magic alone"),
        pytest.param(MAGIC + b"\x0a\x05a", "damaged", id="cut off"),
        pytest.param(envelope("v1", "Pod", b"\x0a\xff"), "damaged", id="object cut off"),
        pytest.param(envelope("v1", "Potato"), "not a built-in kind", id="unknown kind"),
        pytest.param(envelope("v7", "Pod"), "not a built-in kind", id="unknown version"),
        pytest.param(envelope("a/b/c", "Pod"), "not a built-in kind", id="odd version"),
        pytest.param(envelope("v1", "PodSpec"), "not a built-in kind", id="a message, no kind"),
        pytest.param(envelope("v1", "Pod", rest=b"\x1a\x04gzip"), "gzip", id="compressed"),
        pytest.param(
            envelope("v1", "Pod", tagged(1, tagged(1, b"\xff"))), "damaged", id="no UTF-8"
        ),
        pytest.param(
            envelope("v1", "List", tagged(2, tagged(1, b"{"))), "damaged", id="broken JSON inside"
        ),
    ],
)
def test_what_cannot_be_read_says_why(body: bytes, reason: str) -> None:
    with pytest.raises(KubeProtoError, match=reason):
        decode(body)


@given(body=st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(body: bytes) -> None:
    with contextlib.suppress(KubeProtoError):
        decode(MAGIC + body)


@given(
    body=st.sampled_from(BODIES),
    position=st.integers(min_value=0),
    garbage=st.binary(max_size=4),
    cut=st.integers(min_value=0, max_value=4),
)
def test_damaged_bodies_raise_nothing_else(
    body: bytes, position: int, garbage: bytes, cut: int
) -> None:
    position %= len(body)
    damaged = body[:position] + garbage + body[position + cut :]
    with contextlib.suppress(KubeProtoError):
        assert isinstance(json.dumps(decode(damaged)), str)


def test_table_knows_kinds_by_group_and_version() -> None:
    deployment = builtin_types.kind(GVK("apps", "v1", "Deployment"))
    assert deployment is not None
    assert deployment.name == "apps/v1.Deployment"
    assert builtin_types.kind(GVK("", "v1", "Deployment")) is None
    assert builtin_types.kind(GVK("", "v1", "PodSpec")) is None
    assert builtin_types.kind(GVK("cluster.x-k8s.io", "v1beta2", "Status")) is None


def test_table_resolves_embedded_fields_and_merge_keys() -> None:
    volume = builtin_types.json_fields("core/v1.Volume")
    assert volume["configMap"].type == "core/v1.ConfigMapVolumeSource"
    volumes = builtin_types.json_fields("core/v1.PodSpec")["volumes"]
    assert volumes.merge_key == "name"
    assert volumes.strategies == {"merge", "retainKeys"}
