"""Who asks: client certificates of the cluster's authority, service accounts' and bootstrap tokens.

By default everybody who is known may do everything. Nobody else may do more than a cluster made by
kubeadm allows anonymously, unless the server is told to let anonymous requests pass to where roles decide.
Departure: a certificate of a foreign authority ends the handshake, where a real server answers 401.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from capim.api.errors import APIError, unauthorized
from capim.api.gvk import GVR
from capim.api.identity import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, User
from capim.api.meta import parse_time
from capim.server.accounts import INVALID, Accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from capim.server.http import Exchange
    from capim.server.served import Served

_SECRETS: Final = GVR("", "v1", "secrets")
_CREDENTIAL: Final = "authentication.kubernetes.io/credential-id"
_BOOTSTRAP_TYPE: Final = "bootstrap.kubernetes.io/token"
_HEALTH: Final = ("/healthz", "/livez", "/readyz")
#: the last is what a machine reads that joins, as kubeadm lets it
_PUBLIC: Final = frozenset(
    (
        *_HEALTH,
        "/version",
        "/version/",
        "/api/v1/namespaces/kube-public/configmaps/cluster-info",
    )
)
_PUBLIC_BELOW: Final = tuple(f"{path}/" for path in _HEALTH)
_READS: Final = frozenset({"GET", "HEAD"})


_ANONYMOUS: Final = User(ANONYMOUS, (UNAUTHENTICATED,))


@dataclass(frozen=True, slots=True)
class Certificate:
    """Who showed a certificate in the handshake, and when it ends."""

    user: User
    until: float  #: seconds since the epoch


_KNOWN: Final[dict[bytes, Certificate]] = {}
_KNOWN_LIMIT: Final = 256


def of_connection(connection: ssl.SSLObject) -> Certificate | None:
    """Tell who showed a certificate in a handshake; None: nobody did, or it names nobody.

    Clients come again with the same certificate, and to take one apart costs a tenth of a handshake.
    """
    encoded = connection.getpeercert(binary_form=True)
    if not encoded:
        return None
    known = _KNOWN.get(encoded)
    if known is None:
        known = of_certificate(connection.getpeercert(), encoded)
        if known is not None:
            if len(_KNOWN) >= _KNOWN_LIMIT:
                _KNOWN.clear()
            _KNOWN[encoded] = known
    return known


def of_certificate(peer: Mapping[str, Any] | None, encoded: bytes = b"") -> Certificate | None:
    """Read user and groups from a verified certificate, as `SSLObject.getpeercert` gives it.

    `encoded` is its DER form; the digest tells reviews which credential was shown.
    """
    if not peer:
        return None
    names = [pair for relative in peer.get("subject", ()) for pair in relative]
    groups = tuple(value for key, value in names if key == "organizationName")
    name = next((value for key, value in names if key == "commonName"), "")
    if not name:
        return None
    extra = {_CREDENTIAL: (f"X509SHA256={hashlib.sha256(encoded).hexdigest()}",)} if encoded else {}
    user = User(name, (*groups, AUTHENTICATED), extra=extra)
    return Certificate(user, ssl.cert_time_to_seconds(peer["notAfter"]))


class Authenticator:
    """Tells who asks one cluster's API server."""

    def __init__(
        self, served: Served, clock: Callable[[], float], *, anonymous: bool = False
    ) -> None:
        self._group = served.group
        self.accounts = Accounts(served, clock)
        self._clock = clock
        self._anonymous = anonymous

    def authenticate(self, exchange: Exchange) -> User:
        """Return who asks.

        Raises:
            APIError: 401, nobody we know.
        """
        shown = exchange.peer
        if isinstance(shown, Certificate):
            if self._clock() <= shown.until:
                return shown.user
            raise unauthorized()  # a connection may live longer than what was shown on it
        header = exchange.headers.get(b"authorization", b"")
        if header:
            kind, _, token = header.decode("latin-1").partition(" ")
            found = self.of_token(token.strip()) if kind.lower() == "bearer" else ""
            if isinstance(found, str):
                raise unauthorized()
            return found[0]
        if self._anonymous or _is_public(exchange):
            return _ANONYMOUS
        raise unauthorized()

    def of_token(
        self, token: str, audiences: tuple[str, ...] = ()
    ) -> tuple[User, tuple[str, ...]] | str:
        """Return who a token belongs to and which of the wanted audiences it is for, or why nobody."""
        if token.count(".") == 2:
            return self.accounts.user_of(token, audiences)
        user = self._bootstrap(token)
        return (user, audiences) if user else INVALID

    def _bootstrap(self, token: str) -> User | None:
        identity, _, secret = token.partition(".")
        resource = self._group.resources.by_gvr(_SECRETS)
        if resource is None or not identity or not secret:
            return None
        try:
            stored = self._group.get(resource, "kube-system", f"bootstrap-token-{identity}").json()
        except APIError:
            return None
        if stored.get("type") != _BOOTSTRAP_TYPE:
            return None
        data = {key: _decoded(value) for key, value in (stored.get("data") or {}).items()}
        if not self._is_valid(data, identity, secret):
            return None
        extra = filter(None, data.get("auth-extra-groups", "").split(","))
        groups = ("system:bootstrappers", *extra, AUTHENTICATED)
        return User(f"system:bootstrap:{identity}", groups)

    def _is_valid(self, data: Mapping[str, str], identity: str, secret: str) -> bool:
        known = data.get("token-id") == identity and hmac.compare_digest(
            data.get("token-secret", "").encode(), secret.encode()
        )
        expiration = data.get("expiration")
        try:
            alive = not expiration or parse_time(expiration) > self._clock()
        except ValueError:
            alive = False
        return known and alive and data.get("usage-bootstrap-authentication") == "true"


def _is_public(exchange: Exchange) -> bool:
    path = exchange.target.partition(b"?")[0].decode("latin-1")
    return exchange.method in _READS and (path in _PUBLIC or path.startswith(_PUBLIC_BELOW))


def _decoded(value: object) -> str:
    try:
        return base64.b64decode(str(value), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
