"""Bodies in every format a client sends, and what is refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from capim.api.errors import APIError
from capim.runtime.resourcegroup import DeleteOptions, PatchType
from capim.server.bodies import decode_delete_options, decode_object, decode_patch
from capim.server.options import check_write
from tests.support.groups import CONFIG_MAPS

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
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    assert decode_object(content_type, data, CONFIG_MAPS) == expected | kind


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
        decode_object(content_type, data, CONFIG_MAPS)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        pytest.param("application/json", b"null", id="null"),
        pytest.param("application/yaml", b"", id="empty-yaml"),
    ],
)
def test_nothing_is_an_empty_object(content_type: str, data: bytes) -> None:
    empty = {"apiVersion": "v1", "kind": "ConfigMap"}
    assert decode_object(content_type, data, CONFIG_MAPS) == empty


def test_what_go_takes_is_taken() -> None:
    got = decode_object("application/json", b'{"a":"\xff","b":"\\ud800"}', CONFIG_MAPS)
    assert got["a"] == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("content_type", "data", "told"),
    [
        pytest.param("application/json", b"", r"\(<empty>\)", id="nothing"),
        pytest.param("application/json", b'{"a":1,}', r"object key string \(\{", id="braced"),
        pytest.param("application/json", b"x" * 40, r"\((78){30} \.\.\.\)", id="long"),
        pytest.param(
            "application/json", b'{"kind":"Pod"}', r"converting \(v1.Pod\)", id="another-kind"
        ),
        pytest.param("application/json", b'{"kind":"Foo"}', 'no kind "Foo" is', id="unknown-kind"),
    ],
)
def test_refusals_say_what_a_real_server_says(content_type: str, data: bytes, told: str) -> None:
    with pytest.raises(APIError, match=told):
        decode_object(content_type, data, CONFIG_MAPS)


@pytest.mark.parametrize("patch_type", list(PatchType))
def test_patch_type_is_the_content_type(patch_type: PatchType) -> None:
    patch: Any = [{"op": "x"}] if patch_type is PatchType.JSON else {"a": None}
    data = orjson.dumps(patch)
    got = decode_patch(f"{patch_type.value}; charset=utf-8", data, custom=False)
    assert got == (patch_type, patch)


@pytest.mark.parametrize(
    ("content_type", "data", "code"),
    [
        pytest.param("application/json", b"{}", 415, id="no-patch"),
        pytest.param("application/merge-patch+json", b"{", 400, id="broken"),
        pytest.param("application/merge-patch+json", b"null", 400, id="null"),
        pytest.param("application/strategic-merge-patch+json", b"[]", 400, id="list"),
        pytest.param("application/json-patch+json", b"{}", 400, id="object"),
        pytest.param(
            "application/json-patch+json", b"[" + b"{}," * 10_000 + b"{}]", 413, id="too-many"
        ),
    ],
)
def test_patch_refused(content_type: str, data: bytes, code: int) -> None:
    with pytest.raises(APIError) as caught:
        decode_patch(content_type, data, custom=False)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("data", "query", "expected"),
    [
        pytest.param(b"", {}, DeleteOptions(), id="nothing"),
        pytest.param(b"", {"dryRun": "All"}, DeleteOptions(dry_run=True), id="dry-run-query"),
        pytest.param(b"", {"dryRun": "All\nAll"}, DeleteOptions(dry_run=True), id="dry-run-twice"),
        pytest.param(b"{}", {"dryRun": "All"}, DeleteOptions(), id="a-body-hides-the-query"),
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
    ("data", "code"),
    [
        (b'{"kind":"Pod"}', 400),
        (b'{"preconditions":[]}', 400),
        (b'{"preconditions":{"uid":1}}', 400),
        (b'{"dryRun":["Some"]}', 422),
        (b'{"dryRun":"All"}', 400),
        (b'{"propagationPolicy":"Orphan","orphanDependents":true}', 422),
        (b"junk", 400),
    ],
)
def test_delete_options_refused(data: bytes, code: int) -> None:
    with pytest.raises(APIError) as caught:
        decode_delete_options("application/json", data, {})
    assert caught.value.code == code


def test_options_of_a_write() -> None:
    assert check_write("CreateOptions", {"dryRun": "All", "fieldManager": "me"})
    assert not check_write("CreateOptions", {"fieldValidation": "Strict"})


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({"dryRun": "true"}, ["dryRun"]),
        ({"dryRun": ""}, ["dryRun"]),
        ({"fieldManager": "x" * 129}, ["fieldManager"]),
        ({"fieldManager": "a\n"}, ["fieldManager"]),
        ({"fieldValidation": "Some", "dryRun": "x"}, ["dryRun", "fieldValidation"]),
        ({"force": "true"}, ["force"]),
    ],
)
def test_options_of_a_write_refused(query: dict[str, str], fields: list[str]) -> None:
    with pytest.raises(APIError) as caught:
        check_write("PatchOptions", query)
    assert [cause["field"] for cause in caught.value.status()["details"]["causes"]] == fields


@pytest.mark.parametrize(
    ("custom", "told"),
    [(False, "415: Unsupported Media Type"), (True, r"application/apply-patch\+yaml")],
)
def test_no_patch_is_told_by_who_finds_out(custom: bool, told: str) -> None:
    with pytest.raises(APIError, match=told) as caught:
        decode_patch("application/json", b"{}", custom=custom)
    assert caught.value.code == 415
