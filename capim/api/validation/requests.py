"""What is refused of the decision about a certificate request, and of its certificate.

Source: k8s.io/kubernetes `pkg/apis/certificates/validation/validation.go`. Departure: the difference of a
changed decision, in the notation of Go's structs, does not follow the message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.validation import field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.api.validation.field import Cause

_DECISIONS: Final = ("Approved", "Denied")
_LASTING: Final = (*_DECISIONS, "Failed")
_CONDITIONS: Final = "status.conditions"
_CERTIFICATE: Final = "status.certificate"


def causes(view: str, obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
    """Check a request whose `approval` or `status` is written: no decision is taken back."""
    for kind in _LASTING:
        if len(_of(obj, kind)) < len(_of(old, kind)):
            yield _forbidden("remove", kind)
    if view != "approval":
        for kind in _DECISIONS:
            yield from _unchanged(kind, _of(obj, kind), _of(old, kind))
    before = (old.get("status") or {}).get("certificate")
    if before and (obj.get("status") or {}).get("certificate") != before:
        yield field.forbidden(_CERTIFICATE, "updates may not modify existing certificate content")


def _unchanged(kind: str, after: list[JsonObject], before: list[JsonObject]) -> Iterator[Cause]:
    if len(after) > len(before):
        yield _forbidden("add", kind)
    elif len(after) == len(before) and after != before:
        yield _forbidden("modify", kind)


def _forbidden(what: str, kind: str) -> Cause:
    return field.forbidden(_CONDITIONS, f'updates may not {what} a condition of type "{kind}"')


def _of(obj: JsonObject, kind: str) -> list[JsonObject]:
    rows: list[JsonObject] = (obj.get("status") or {}).get("conditions") or []
    return [row for row in rows if row.get("type") == kind]
