"""Secrets that hold a service account's token: filled when they are made, good as long as both are there.

Source: kube-controller-manager's tokens controller, and the API server's validation of legacy tokens.
What is left of an account that goes is deleted by `capim.runtime.controllers.tokens`.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import orjson

from capim.api.errors import APIError
from capim.api.identity import User, account_groups, account_user
from capim.server.handlers import respond

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.server.accounts import Accounts
    from capim.server.endpoints import Asked
    from capim.server.http import Response

ISSUER: Final = "kubernetes/serviceaccount"
_TYPE: Final = b'"kubernetes.io/service-account-token"'
_NAME: Final = "kubernetes.io/service-account.name"
_UID: Final = "kubernetes.io/service-account.uid"
_CLAIM: Final = "kubernetes.io/serviceaccount/"
_INVALIDATED: Final = "[invalid bearer token, Token has been invalidated]"


def create_secret(asked: Asked) -> Response:
    """Store a new Secret; one for a token gets it right after. Raises APIError: as any create."""
    info, group = asked.info, asked.control.served.group
    response = respond(asked.exchange, info, group)
    if response.status == 201 and _TYPE in response.body and "dryRun" not in info.query:
        accounts = asked.control.authenticator.accounts
        name = orjson.loads(response.body)["metadata"]["name"]
        group.apply_own(info.resource, info.namespace or "", name, lambda it: _filled(accounts, it))
    return response


def _filled(accounts: Accounts, secret: JsonObject) -> JsonObject | None:
    """Return a Secret with token, authority and namespace in it; None: there is no such account."""
    metadata = secret["metadata"]
    namespace, notes = metadata["namespace"], metadata.get("annotations") or {}
    if secret.get("type") != _TYPE.decode().strip('"'):
        return None
    try:
        account = accounts.find("serviceaccounts", namespace, notes.get(_NAME, ""))
    except APIError:
        return None
    if notes.get(_UID, account.uid) != account.uid:
        return None
    claims = {
        "iss": ISSUER,
        f"{_CLAIM}namespace": namespace,
        f"{_CLAIM}secret.name": metadata["name"],
        f"{_CLAIM}service-account.name": account.name,
        f"{_CLAIM}service-account.uid": account.uid,
        "sub": account_user(namespace, account.name),
    }
    data = {
        "ca.crt": _encoded(accounts.authority()),
        "namespace": _encoded(namespace.encode()),
        "token": _encoded(accounts.signer.sign(claims).encode()),
    }
    metadata = metadata | {"annotations": notes | {_UID: account.uid}}
    return secret | {"metadata": metadata, "data": (secret.get("data") or {}) | data}


def user_of(accounts: Accounts, token: str, claims: JsonObject) -> User | str:
    """Return whose a legacy token is, or why it is nobody's any more."""
    namespace: str = claims.get(f"{_CLAIM}namespace", "")
    name, uid = (
        claims.get(f"{_CLAIM}service-account.name", ""),
        claims.get(f"{_CLAIM}service-account.uid"),
    )
    try:
        secret: Any = accounts.find("secrets", namespace, claims.get(f"{_CLAIM}secret.name", ""))
        account = accounts.find("serviceaccounts", namespace, name)
    except APIError:
        return _INVALIDATED
    kept = (secret.json().get("data") or {}).get("token")
    if secret.deleting or kept != _encoded(token.encode()) or account.uid != uid:
        return _INVALIDATED
    return User(account_user(namespace, name), account_groups(namespace), account.uid)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
