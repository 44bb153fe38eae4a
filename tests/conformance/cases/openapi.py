"""The document of OpenAPI v2: who gets it in which form. What it says is too long to be compared here."""

from __future__ import annotations

from typing import Final

from tests.conformance.case import Case, Step, get

_PATH: Final = "/openapi/v2"
_PROTOBUF: Final = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_NEWER: Final = "/openapi/v3/apis/apps/v1"
_NEWER_PROTOBUF: Final = _PROTOBUF.replace("v2", "v3")


def _form(accept: str, path: str = _PATH) -> Step:
    return Step("HEAD", path, accept=accept)


CASES: Final[list[Case]] = [
    Case("openapi: v2 as a page", [get(_PATH, accept="text/html")]),
    Case("openapi: v2 with a slash", [get(f"{_PATH}/")]),
    *(
        Case(f"openapi: v2 as {accept}", [_form(accept)])
        for accept in ("", "*/*", "application/json", _PROTOBUF, f"text/html, {_PROTOBUF}, */*")
    ),
    Case("openapi: v3 as a page", [get(_NEWER, accept="text/html")]),
    *(
        Case(f"openapi: v3 as {accept}", [_form(accept, _NEWER)])
        for accept in (
            *(
                "",
                "application/json",
                _PROTOBUF,
                _NEWER_PROTOBUF,
                _NEWER_PROTOBUF.replace("@", "."),
            ),
            *(f"{_NEWER_PROTOBUF}, application/json", f"application/json, {_NEWER_PROTOBUF}"),
        )
    ),
]
