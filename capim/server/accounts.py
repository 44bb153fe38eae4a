"""Tokens of service accounts: requested by TokenRequest, bound to what they are for, and taken back with it.

A token is good while its account, and the pod, secret or node it is bound to, are the ones it was made
for. Signed by the cluster's service-account key; where there is none, by a key of the server's own.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from capim.api.errors import APIError, bad_request, conflict, invalid
from capim.api.gvk import GVR
from capim.api.identity import User, account_groups, account_user
from capim.api.meta import format_time
from capim.api.resources import Resource
from capim.certs.issue import new_key
from capim.certs.pem import load_private_key
from capim.certs.tokens import TokenSigner
from capim.server import tokensecrets
from capim.server.fieldvalidation import request_object
from capim.server.http import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.meta import JsonObject
    from capim.api.workload import KeyPair
    from capim.runtime.objects import Stored
    from capim.server.endpoints import Asked
    from capim.server.served import Served

ISSUER: Final = "https://kubernetes.default.svc"
INVALID: Final = "invalid bearer token"
Found: TypeAlias = "tuple[User, tuple[str, ...]] | str"
_REQUEST: Final = Resource(
    "authentication.k8s.io", "v1", "", "TokenRequest", True, "tokenrequest", stored=False
)
_DEFAULT_S: Final = 3600
_LEAST_S: Final = 600
_MOST_S: Final = 1 << 32
_BOUND: Final = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}
_KNOWN_LIMIT: Final = 128


class Accounts:
    """The tokens of one cluster. The signer is made when it is first needed."""

    def __init__(self, served: Served, clock: Callable[[], float]) -> None:
        self._served = served
        self._clock = clock
        self._signer: tuple[KeyPair | None, TokenSigner] | None = None
        self._known: dict[str, JsonObject] = {}  #: tokens whose signature was checked

    @property
    def signer(self) -> TokenSigner:
        """Return the cluster's signer; it follows the cluster's key."""
        authorities = self._served.authorities
        pair = authorities.service_account if authorities else None
        if self._signer is None or self._signer[0] != pair:
            has_key = pair is not None and pair.key
            key = load_private_key(pair.key, "service account") if pair and has_key else new_key()
            self._signer = (pair, TokenSigner(key))
            self._known.clear()
        return self._signer[1]

    def find(self, resource: str, namespace: str, name: str) -> Stored:
        """Return a core object. Raises APIError: NotFound."""
        group = self._served.group
        row: Any = group.resources.by_gvr(GVR("", "v1", resource))
        return group.get(row, namespace, name)

    def authority(self) -> bytes:
        """Return the certificate of the cluster's authority, PEM; empty before there is one."""
        authorities = self._served.authorities
        return authorities.ca.certificate if authorities else b""

    def user_of(self, token: str, audiences: tuple[str, ...] = ()) -> Found:
        """Return whose a token is and which of the audiences it is for, or why it is nobody's."""
        claims = self._claims(token)
        if claims is not None and claims.get("iss") == tokensecrets.ISSUER:
            found = tokensecrets.user_of(self, token, claims)
            return found if isinstance(found, str) else (found, audiences)
        if claims is None or claims.get("iss") != ISSUER:
            return INVALID
        wanted, given = audiences or (ISSUER,), claims.get("aud") or ()
        common = tuple(it for it in wanted if it in given)
        if not common:
            why = f"is invalid for the target audiences {_go(wanted)}"
            return f"[{INVALID}, token audiences {_go(given)} {why}]"
        now = self._clock()
        if not claims.get("nbf", 0) <= now < claims.get("exp", 0):
            return f"[{INVALID}, service account token has expired]"
        private: JsonObject = claims.get("kubernetes.io") or {}
        return (self._user(claims, private), common) if self._is_alive(private) else INVALID

    def _claims(self, token: str) -> JsonObject | None:
        signer = self.signer
        claims = self._known.get(token)
        if claims is None and (claims := signer.verify(token)) is not None:
            if len(self._known) >= _KNOWN_LIMIT:
                self._known.clear()
            self._known[token] = claims
        return claims

    def _is_alive(self, private: JsonObject) -> bool:
        namespace = private.get("namespace", "")
        rows = [("serviceaccounts", private.get("serviceaccount"))]
        rows += [(it, private[it[:-1]]) for it in _BOUND.values() if private.get(it[:-1])]
        for resource, reference in rows:
            where = "" if resource == "nodes" else namespace
            try:
                stored = self.find(resource, where, (reference or {}).get("name", ""))
            except APIError:
                return False
            if stored.uid != (reference or {}).get("uid"):
                return False
        return True

    def _user(self, claims: JsonObject, private: JsonObject) -> User:
        namespace, account = private["namespace"], private["serviceaccount"]
        extra = {"credential-id": (f"JTI={claims['jti']}",)}
        for kind in ("node", "pod"):
            if bound := private.get(kind):
                extra |= {f"{kind}-name": (bound["name"],), f"{kind}-uid": (bound["uid"],)}
        return User(
            account_user(namespace, account["name"]),
            account_groups(namespace),
            account["uid"],
            {f"authentication.kubernetes.io/{key}": it for key, it in extra.items()},
        )


def request_token(asked: Asked) -> Response:
    """Make a token for a service account.

    Raises:
        APIError: NotFound for the account or what the token is bound to, Invalid, Conflict for a uid.
    """
    control, info = asked.control, asked.info
    namespace = info.namespace or ""
    accounts = control.authenticator.accounts
    spec: JsonObject = request_object(asked.exchange, _REQUEST).get("spec") or {}
    seconds = spec.get("expirationSeconds") or _DEFAULT_S
    _check_seconds(seconds)
    account = control.served.group.get(info.resource, namespace, info.name)
    private: JsonObject = {"namespace": namespace}
    private["serviceaccount"] = {"name": account.name, "uid": account.uid}
    if reference := spec.get("boundObjectRef"):
        private |= _bound(accounts, namespace, account.name, reference)
    audiences, now = spec.get("audiences") or [ISSUER], int(control.clock())
    claims = _claims(private, audiences, now, seconds)
    made = {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": reference}
    body = {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {
            "name": account.name,
            "namespace": namespace,
            "uid": account.uid,
            "creationTimestamp": format_time(now),
        },
        "spec": made,
        "status": {
            "token": accounts.signer.sign(claims),
            "expirationTimestamp": format_time(now + seconds),
        },
    }
    return Response(201, orjson.dumps(body))


def _claims(private: JsonObject, audiences: list[str], now: int, seconds: int) -> JsonObject:
    return {
        "aud": audiences,
        "exp": now + seconds,
        "iat": now,
        "iss": ISSUER,
        "jti": str(uuid.uuid4()),
        "kubernetes.io": private,
        "nbf": now,
        "sub": account_user(private["namespace"], private["serviceaccount"]["name"]),
    }


def _check_seconds(seconds: int) -> None:
    why = ""
    if seconds < _LEAST_S:
        why = "may not specify a duration less than 10 minutes"
    elif seconds > _MOST_S:
        why = "may not specify a duration larger than 2^32 seconds"
    if why:
        cause = ("spec.expirationSeconds", f"Invalid value: {seconds}: {why}")
        raise invalid("TokenRequest", "authentication.k8s.io", "", [cause])


def _bound(accounts: Accounts, namespace: str, account: str, reference: JsonObject) -> JsonObject:
    """Return the claim for what a token is bound to."""
    kind, version = reference.get("kind", ""), reference.get("apiVersion", "")
    if kind not in _BOUND or version != "v1":
        group, _, version = version.rpartition("/")
        shown = f"{group}/{version}, Kind={kind}"
        raise bad_request(f"cannot bind token to object of type {shown}")
    where = "" if kind == "Node" else namespace
    name, resource = reference.get("name", ""), _BOUND[kind]
    stored = accounts.find(resource, where, name)
    if kind == "Pod" and stored.json()["spec"].get("serviceAccountName", "") != account:
        why = "to pod running with different serviceaccount name."
        raise bad_request(f'cannot bind token for serviceaccount "{account}" {why}')
    if (uid := reference.get("uid")) and uid != stored.uid:
        raise conflict(
            resource,
            "",
            name,
            f"the UID in the bound object reference ({uid}) does not match the UID in record. "
            "The object might have been deleted and then recreated",
        )
    return {kind.lower(): {"name": name, "uid": stored.uid}}


def openid_configuration(accounts: Accounts, address: str) -> Response:
    """Say where the keys are that check the tokens."""
    body = {
        "issuer": ISSUER,
        "jwks_uri": f"https://{address}/openid/v1/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [accounts.signer.algorithm],
    }
    return Response(200, orjson.dumps(body), headers=_PUBLIC)


def key_set(accounts: Accounts) -> Response:
    """Answer with those keys."""
    body = orjson.dumps(accounts.signer.key_set())
    return Response(200, body, b"application/jwk-set+json", _PUBLIC)


_PUBLIC: Final = ((b"Cache-Control", b"public, max-age=3600"),)


def _go(values: Any) -> str:
    """Write a list of strings as Go's %q does."""
    return "[" + " ".join(f'"{value}"' for value in values) + "]"
