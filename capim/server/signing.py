"""CertificateSigningRequests: who asked is written down, what is approved is signed at once. No I/O.

The cluster's own authority signs for the signers a kube-controller-manager has. Another signer's
requests wait for whoever that is.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from capim.api.errors import invalid
from capim.api.meta import format_time
from capim.certs.issue import signed_request
from capim.certs.pem import CertificateError
from capim.server.fieldvalidation import request_object
from capim.server.handlers import respond
from capim.server.http import Response
from capim.server.options import check_write

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.server.endpoints import Asked

_SIGNERS: Final = frozenset(
    {
        "kubernetes.io/kube-apiserver-client",
        "kubernetes.io/kube-apiserver-client-kubelet",
        "kubernetes.io/kubelet-serving",
    }
)
_KIND: Final = "CertificateSigningRequest"
_YEAR_S: Final = 365 * 24 * 3600


def create_request(asked: Asked) -> Response:
    """Store a request as its author's; what it says of its author does not count.

    Raises:
        APIError: Invalid, and whatever a create is refused for.
    """
    info, group = asked.info, asked.control.served.group
    body = request_object(asked.exchange, info.resource)
    spec: JsonObject = dict(body.get("spec") or {})
    for field in ("username", "uid", "groups", "extra"):
        spec.pop(field, None)
    body = {**body, "spec": spec | asked.user.info()}
    dry_run = check_write("CreateOptions", info.query)
    stored = group.create(info.resource, "", body, dry_run=dry_run)
    return Response(201, stored.data)


def approve(asked: Asked) -> Response:
    """Write a request's conditions, and sign it where it is approved.

    Raises:
        APIError: Invalid for a decision taken back, and whatever an update is refused for.
    """
    info, group = asked.info, asked.control.served.group
    before = group.get(info.resource, "", info.name).json()
    if info.verb == "update":
        _check_kept(before, request_object(asked.exchange, info.resource), info.name)
    response = respond(asked.exchange, info, group)
    if info.verb != "get" and "dryRun" not in info.query:
        group.apply_own(info.resource, "", info.name, lambda body: _signed(asked, body))
    return response


def _check_kept(before: JsonObject, after: JsonObject, name: str) -> None:
    """Refuse to take a decision back."""
    kept = _conditions(after)
    causes = [
        ("status.conditions", f'Forbidden: updates may not remove a condition of type "{it}"')
        for it in sorted(_conditions(before) & {"Approved", "Denied"} - kept)
    ]
    if causes:
        error = invalid(_KIND, "certificates.k8s.io", name, causes)
        for cause in (error.details or {})["causes"]:
            cause["reason"] = "FieldValueForbidden"
        raise error


def _conditions(body: JsonObject) -> set[str]:
    rows = (body.get("status") or {}).get("conditions") or ()
    return {it.get("type", "") for it in rows}


def _signed(asked: Asked, body: JsonObject) -> JsonObject | None:
    """Return a request with its certificate, or with why there is none; None: nothing is to be done."""
    status: JsonObject = body.get("status") or {}
    kinds, authorities = _conditions(body), asked.control.served.authorities
    known = body["spec"].get("signerName") in _SIGNERS and authorities is not None
    if not known or "certificate" in status or "Approved" not in kinds or "Failed" in kinds:
        return None
    spec, now = body["spec"], asked.control.clock()
    seconds = min(spec.get("expirationSeconds") or _YEAR_S, _YEAR_S)
    try:
        request = base64.b64decode(spec.get("request") or "")
        usages = spec.get("usages") or ()
        ca = authorities.ca if authorities else None
        pem = signed_request(ca, request, usages, now, seconds) if ca else b""
    except (CertificateError, ValueError) as error:
        failed = _failure(str(error), format_time(now))
        return {**body, "status": {**status, "conditions": [*status["conditions"], failed]}}
    return {**body, "status": {**status, "certificate": base64.b64encode(pem).decode()}}


def _failure(message: str, now: str) -> JsonObject:
    return {
        "type": "Failed",
        "status": "True",
        "reason": "SignerValidationFailure",
        "message": message,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
    }
