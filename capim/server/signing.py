"""CertificateSigningRequests: who asked is written down, what is approved is signed at once. No I/O.

The cluster's own authority signs for the signers a kube-controller-manager has. Another signer's
requests wait for whoever that is. Who approves needs the right to `approve` for the signer, and nobody
is made an administrator by a certificate, as the API server's admission plugins for certificates have it.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from capim.api.errors import forbidden
from capim.api.identity import MASTERS
from capim.api.meta import format_time
from capim.certs import signers
from capim.certs.issue import signed_request
from capim.certs.pem import CertificateError
from capim.runtime.authorization import may_use_signer
from capim.server.fieldvalidation import request_object
from capim.server.handlers import respond
from capim.server.http import Response
from capim.server.options import check_write

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.server.endpoints import Asked

_GROUP: Final = "certificates.k8s.io"
_PLURAL: Final = "certificatesigningrequests"
_YEAR_S: Final = 365 * 24 * 3600


def create_request(asked: Asked) -> Response:
    """Store a request as its author's; what it says of its author does not count.

    Raises:
        APIError: Forbidden for a member of system:masters, and whatever a create is refused for.
    """
    info, group = asked.info, asked.control.served.group
    body = request_object(asked.exchange, info.resource)
    spec: JsonObject = dict(body.get("spec") or {})
    _check_groups(spec, (body.get("metadata") or {}).get("name", ""))
    for field in ("username", "uid", "groups", "extra"):
        spec.pop(field, None)
    body = {**body, "spec": spec | asked.user.info()}
    dry_run = check_write("CreateOptions", info.query)
    stored = group.create(info.resource, "", body, dry_run=dry_run)
    return Response(201, stored.document())


def approve(asked: Asked) -> Response:
    """Write a request's conditions, and sign it where it is approved.

    Raises:
        APIError: Invalid for a decision taken back, Forbidden without the right to approve, and whatever
            an update is refused for.
    """
    info, group = asked.info, asked.control.served.group
    before = group.get(info.resource, "", info.name).json()
    if info.verb != "get":
        _check_approver(asked, before["spec"].get("signerName", ""))
    response = respond(asked.exchange, info, group)
    if info.verb != "get" and "dryRun" not in info.query:
        group.apply_own(info.resource, "", info.name, lambda body: _signed(asked, body))
    return response


def _check_groups(spec: JsonObject, name: str) -> None:
    if spec.get("signerName") != signers.CLIENT:
        return
    if MASTERS in signers.organizations(_decoded(spec.get("request"))):
        why = f"use of {signers.CLIENT} signer with {MASTERS} group is not allowed"
        raise forbidden(_PLURAL, _GROUP, name, why)


def _check_approver(asked: Asked, signer: str) -> None:
    if not may_use_signer(asked.control.authorizer, asked.user, "approve", signer):
        why = f'user not permitted to approve requests with signerName "{signer}"'
        raise forbidden(_PLURAL, _GROUP, asked.info.name, why)


def _decoded(request: object) -> bytes:
    try:
        return base64.b64decode(str(request or ""))
    except ValueError:
        return b""


def _conditions(body: JsonObject) -> set[str]:
    rows = (body.get("status") or {}).get("conditions") or ()
    return {it.get("type", "") for it in rows}


def _signed(asked: Asked, body: JsonObject) -> JsonObject | None:
    """Return a request with its certificate, or with why there is none; None: nothing is to be done."""
    status: JsonObject = body.get("status") or {}
    kinds, authorities = _conditions(body), asked.control.served.authorities
    signer = body["spec"].get("signerName")
    known = signer in signers.SIGNERS and authorities is not None
    if not known or "certificate" in status or "Approved" not in kinds or "Failed" in kinds:
        return None
    spec, now = body["spec"], asked.control.clock()
    seconds = min(spec.get("expirationSeconds") or _YEAR_S, _YEAR_S)
    try:
        request = base64.b64decode(spec.get("request") or "")
        usages = spec.get("usages") or ()
        signers.check(signer, request, usages)
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
