"""Forms of answers: which one an Accept header means, and what is refused."""

from __future__ import annotations

import pytest

from capim.api.errors import APIError
from capim.server.negotiation import PLAIN, Form, Media, error_media_of, form_of

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
IN_TABLE = Form(Media.JSON, "Table", "v1")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", PLAIN),
        ("*/*", PLAIN),
        (JSON, PLAIN),
        (f"{PROTOBUF}, {JSON}", PLAIN),
        (PROTOBUF, Form(Media.PROTOBUF)),
        (YAML, Form(Media.YAML)),
        (f"{JSON};q=0.1, {YAML}", Form(Media.YAML)),
        (f"{TABLE},application/json", IN_TABLE),
        (f"{PROTOBUF};as=Table;g=meta.k8s.io;v=v1,{TABLE}", IN_TABLE),
        (f"{JSON},{TABLE}", PLAIN),
        (f"{JSON};{PARTIAL}", Form(Media.JSON, "PartialObjectMetadata", "v1")),
        (f"{PROTOBUF};{PARTIAL}", Form(Media.PROTOBUF, "PartialObjectMetadata", "v1")),
        (f"{PROTOBUF};{PARTIAL},{JSON};{PARTIAL}", Form(Media.JSON, "PartialObjectMetadata", "v1")),
    ],
)
def test_form_of_a_built_in_kind(accept: str, form: Form) -> None:
    assert form_of(accept, custom=False) == form


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("application/*", PLAIN),
        (f"{PROTOBUF}, {YAML}", Form(Media.YAML)),
        (f"{PROTOBUF};{PARTIAL}", Form(Media.PROTOBUF, "PartialObjectMetadata", "v1")),
    ],
)
def test_form_of_a_custom_kind(accept: str, form: Form) -> None:
    assert form_of(accept, custom=True) == form


@pytest.mark.parametrize(
    ("accept", "watch", "custom", "told"),
    [
        ("text/html", False, False, "406: Not Acceptable"),
        ("application/*", False, False, "406: Not Acceptable"),
        (f"{JSON};as=Other;g=meta.k8s.io;v=v1", False, False, "only the following"),
        (f"{JSON};as=Table;g=meta.k8s.io;v=v2", False, False, "only the following"),
        (f"{PROTOBUF};as=Table;g=meta.k8s.io;v=v1", False, False, "only the following"),
        (PROTOBUF, False, True, "only the following"),
        (YAML, True, False, f"{JSON};stream=watch"),
    ],
)
def test_refused(accept: str, watch: bool, custom: bool, told: str) -> None:
    with pytest.raises(APIError, match=told) as caught:
        form_of(accept, watch=watch, custom=custom)
    assert caught.value.code == 406


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", Media.JSON),
        ("text/html", Media.JSON),
        (YAML, Media.YAML),
        (PROTOBUF, Media.PROTOBUF),
        (f"{PROTOBUF}, {JSON}", Media.JSON),
        (TABLE, Media.JSON),
    ],
)
def test_refusals_are_written_plainly(accept: str, media: Media) -> None:
    assert error_media_of(accept) is media


@pytest.mark.parametrize(
    "accept", ["", JSON, f"{JSON}, */*", "*/*", f"{PROTOBUF},{JSON}", f"{YAML};q=0.5,{JSON}"]
)
@pytest.mark.parametrize("watch", [True, False])
def test_what_is_stored_is_sent_as_it_is_to_whoever_takes_json(accept: str, watch: bool) -> None:
    assert form_of(accept, custom=False, watch=watch) is PLAIN


def test_a_kind_without_tables_is_written_in_the_next_form() -> None:
    assert form_of(f"{TABLE},{JSON}", custom=False, tables=False) == PLAIN
    with pytest.raises(APIError) as caught:
        form_of(TABLE, custom=False, tables=False)
    assert caught.value.code == 406
