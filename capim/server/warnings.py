"""Warning headers: what a client should know although its request was answered. Pure.

Source: RFC 7234, section 5.5, as k8s.io/apiserver writes it: code 299, agent `-`, no date.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.server.http import Response


def with_warnings(response: Response, texts: Iterable[str]) -> Response:
    """Return an answer with a header for each text; one that is told twice is told once."""
    headers = tuple((b"Warning", _value(text)) for text in dict.fromkeys(texts))
    return replace(response, headers=(*response.headers, *headers)) if headers else response


def _value(text: str) -> bytes:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{quoted}"'.encode()
