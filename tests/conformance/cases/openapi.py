"""The document of OpenAPI v2: who gets it in which form. What it says is too long to be compared here."""

from __future__ import annotations

from typing import Final

from tests.conformance.case import Case, Step, get

_PATH: Final = "/openapi/v2"
_PROTOBUF: Final = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


def _form(accept: str) -> Step:
    return Step("HEAD", _PATH, accept=accept)


CASES: Final[list[Case]] = [
    Case("openapi: v2 as a page", [get(_PATH, accept="text/html")]),
    Case("openapi: v2 with a slash", [get(f"{_PATH}/")]),
    *(
        Case(f"openapi: v2 as {accept}", [_form(accept)])
        for accept in ("", "*/*", "application/json", _PROTOBUF, f"text/html, {_PROTOBUF}, */*")
    ),
]
