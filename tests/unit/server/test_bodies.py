"""Bodies in every format a client sends, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from capim.api.errors import APIError
from capim.runtime.resourcegroup import DeleteOptions, PatchType
from capim.server.bodies import decode_body, decode_delete_options, decode_patch, dry_run_of

PROTOBUF = "application/vnd.kubernetes.protobuf"
#: runtime.Unknown{typeMeta{v1, DeleteOptions}, raw: DeleteOptions{propagationPolicy: Foreground}}
DELETE_OPTIONS_PROTOBUF = (
    b"k8s\x00" + b"\x0a\x13\x0a\x02v1\x12\x0dDeleteOptions" + b"\x12\x0c\x22\x0aForeground"
)


@pytest.mark.parametrize(
    ("content_type", "data", "expected"),
    [
        pytest.param("application/json", b'{"a":1}', {"a": 1}, id="json"),
        pytest.param("application/json; charset=utf-8", b'{"a":1}', {"a": 1}, id="parameters"),
        pytest.param("", b'{"a":1}', {"a": 1}, id="no-type-is-json"),
        pytest.param("application/yaml", b"a: [x]\nb: 2", {"a": ["x"], "b": 2}, id="yaml"),
        pytest.param(
            "application/yaml",
            b"t: 2024-01-01T00:00:00Z",
            {"t": "2024-01-01T00:00:00Z"},
            id="yaml-time",
        ),
    ],
)
def test_decoded(content_type: str, data: bytes, expected: dict[str, Any]) -> None:
    assert decode_body(content_type, data) == expected


@pytest.mark.parametrize(
    ("content_type", "data", "code"),
    [
        pytest.param("text/plain", b"{}", 415, id="unknown-type"),
        pytest.param("application/json", b"{", 400, id="broken-json"),
        pytest.param("application/json", b"[]", 400, id="no-object"),
        pytest.param("application/json", b"", 400, id="empty"),
        pytest.param("application/yaml", b"a: [", 400, id="broken-yaml"),
        pytest.param(
            "application/yaml", b"!!python/object/apply:os.system ['x']", 400, id="unsafe-yaml"
        ),
        pytest.param(PROTOBUF, b"junk", 400, id="broken-protobuf"),
    ],
)
def test_refused(content_type: str, data: bytes, code: int) -> None:
    with pytest.raises(APIError) as caught:
        decode_body(content_type, data)
    assert caught.value.code == code


@pytest.mark.parametrize("patch_type", list(PatchType))
def test_patch_type_is_the_content_type(patch_type: PatchType) -> None:
    got = decode_patch(f"{patch_type.value}; charset=utf-8", b'{"a":null}')
    assert got == (patch_type, {"a": None})


@pytest.mark.parametrize(
    ("content_type", "data", "code"),
    [
        pytest.param("application/json", b"{}", 415, id="no-patch"),
        pytest.param("application/merge-patch+json", b"{", 400, id="broken"),
    ],
)
def test_patch_refused(content_type: str, data: bytes, code: int) -> None:
    with pytest.raises(APIError) as caught:
        decode_patch(content_type, data)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("data", "query", "expected"),
    [
        pytest.param(b"", {}, DeleteOptions(), id="nothing"),
        pytest.param(b"{}", {"dryRun": "All"}, DeleteOptions(dry_run=True), id="dry-run-query"),
        pytest.param(b'{"dryRun":["All"]}', {}, DeleteOptions(dry_run=True), id="dry-run-body"),
        pytest.param(
            b'{"kind":"DeleteOptions","preconditions":{"uid":"u","resourceVersion":"7"}}',
            {},
            DeleteOptions(uid="u", resource_version="7"),
            id="preconditions",
        ),
        pytest.param(
            b"", {"propagationPolicy": "Orphan"}, DeleteOptions(propagation="Orphan"), id="query"
        ),
        pytest.param(
            b'{"orphanDependents":true}', {}, DeleteOptions(propagation="Orphan"), id="orphan"
        ),
        pytest.param(
            b'{"orphanDependents":false}',
            {},
            DeleteOptions(propagation="Background"),
            id="no-orphan",
        ),
    ],
)
def test_delete_options(data: bytes, query: dict[str, str], expected: DeleteOptions) -> None:
    assert decode_delete_options("application/json", data, query) == expected


def test_unknown_propagation_is_an_invalid_option() -> None:
    with pytest.raises(APIError, match='supported values: "Foreground"') as caught:
        decode_delete_options("application/json", b'{"propagationPolicy":"Sometimes"}', {})
    assert caught.value.status()["details"]["causes"][0]["reason"] == "FieldValueNotSupported"


def test_delete_options_in_protobuf() -> None:
    got = decode_delete_options(PROTOBUF, DELETE_OPTIONS_PROTOBUF, {})
    assert got == DeleteOptions(propagation="Foreground")


@pytest.mark.parametrize(
    "data",
    [
        b'{"kind":"Pod"}',
        b'{"preconditions":[]}',
        b'{"preconditions":{"uid":1}}',
        b'{"dryRun":["Some"]}',
        b'{"dryRun":"All"}',
        b"junk",
    ],
)
def test_delete_options_refused(data: bytes) -> None:
    with pytest.raises(APIError) as caught:
        decode_delete_options("application/json", data, {})
    assert caught.value.code == 400


def test_dry_run_is_all_or_refused() -> None:
    assert dry_run_of({"dryRun": "All"})
    assert not dry_run_of({})
    with pytest.raises(APIError, match="supported values: All"):
        dry_run_of({"dryRun": "true"})


@pytest.mark.parametrize(
    ("custom", "told"),
    [(False, "415: Unsupported Media Type"), (True, r"application/apply-patch\+yaml")],
)
def test_no_patch_is_told_by_who_finds_out(custom: bool, told: str) -> None:
    with pytest.raises(APIError, match=told) as caught:
        decode_patch("application/json", b"{}", custom=custom)
    assert caught.value.code == 415
