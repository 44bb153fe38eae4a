"""Warning headers: what a client should know although its request was answered. Pure.

Source: RFC 7234, section 5.5, as k8s.io/apiserver writes it: code 299, agent `-`, no date.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.api.resources import Resource
    from capim.server.http import Response

#: beyond so many characters each text is cut, until as many are sent
_TOTAL: Final = 4096
_EACH: Final = 256
_DEPRECATED: Final = {
    ("", "componentstatuses"): "v1 ComponentStatus is deprecated in v1.19+",
    ("", "endpoints"): (
        "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
    ),
}


def deprecation(resource: Resource) -> str:
    """Return why the version of a kind should not be asked for; empty where it may."""
    if resource.custom_version is not None:
        return resource.custom_version.warning
    return _DEPRECATED.get(resource.group_resource, "")


def with_warnings(response: Response, texts: Iterable[str]) -> Response:
    """Return an answer with a header for each text."""
    headers = warning_headers(texts)
    return response._replace(headers=(*response.headers, *headers)) if headers else response


def warning_headers(texts: Iterable[str]) -> tuple[tuple[bytes, bytes], ...]:
    """Return a header for each text that is not empty; one that is told twice is told once."""
    shown = [text for text in dict.fromkeys(texts) if text and text.isprintable()]
    if sum(map(len, shown)) > _TOTAL:
        shown = _shortened(shown)
    return tuple((b"Warning", _value(text)) for text in shown)


def _shortened(texts: list[str]) -> list[str]:
    cut: list[str] = []
    written = 0
    for text in texts:
        if written >= _TOTAL:
            break
        cut.append(text[:_EACH])
        written += len(cut[-1])
    return cut


def _value(text: str) -> bytes:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{quoted}"'.encode()
