"""OpenAPI v3 in gnostic's messages: byte by byte where it is short, and whole documents."""

from __future__ import annotations

from typing import Any

import pytest

from capim.wire.openapi3proto import encode_document


def schema(**fields: Any) -> bytes:
    """Return what is written of a schema with these fields, without the messages around it."""
    found = encode_document({"components": {"schemas": {"A": fields}}})
    around = bytes([42, len(found) - 2, 10, len(found) - 4, 10, len(found) - 6, 10, 1, 65])
    assert found.startswith(around + bytes([18, len(found) - 11]))
    return found[11:]


def one(body: bytes) -> bytes:
    """Return a message with its length, as the first field of another."""
    return bytes([10, len(body)]) + body


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        pytest.param({"type": "object"}, one(b"\xca\x01\x06object"), id="type"),
        pytest.param({"$ref": "#/a"}, b"\x12\x05\x0a\x03#/a", id="reference"),
        pytest.param({"default": 0}, one(b"\x8a\x02\x09\x09" + bytes(8)), id="default-zero"),
        pytest.param({"default": False}, one(b"\x8a\x02\x02\x10\x00"), id="default-false"),
        pytest.param({"default": "d"}, one(b"\x8a\x02\x03\x1a\x01d"), id="default-text"),
        pytest.param({"default": {}}, one(b"\x8a\x02\x00"), id="default-object"),
        pytest.param({"nullable": False}, one(b""), id="false"),
        pytest.param({"maxItems": 300}, one(b"\x90\x01\xac\x02"), id="number"),
        pytest.param({"enum": ["a"]}, one(b'\xc2\x01\x06\x12\x04"a"\n'), id="enum"),
        pytest.param(
            {"additionalProperties": False}, one(b"\x82\x02\x02\x10\x00"), id="nothing-else"
        ),
        pytest.param(
            {"x-a": 1}, one(b"\xa2\x02\x0b\x0a\x03x-a\x12\x04\x12\x021\n"), id="extension"
        ),
    ],
)
def test_schemas(fields: dict[str, Any], written: bytes) -> None:
    assert schema(**fields) == written


def test_unknown_fields_are_noticed() -> None:
    with pytest.raises(KeyError):
        encode_document({"components": {"schemas": {"A": {"odd": 1}}}})
