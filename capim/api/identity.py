"""Who asks: a user as authentication finds one, and as reviews describe one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

ANONYMOUS: Final = "system:anonymous"
AUTHENTICATED: Final = "system:authenticated"
UNAUTHENTICATED: Final = "system:unauthenticated"
MASTERS: Final = "system:masters"
_ACCOUNT: Final = "system:serviceaccount:"
_NO_EXTRA: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who is known; `extra` is what an authenticator wants to tell an authorizer."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NO_EXTRA)

    def info(self) -> JsonObject:
        """Return the authentication.k8s.io/v1 UserInfo, without what is empty."""
        info = {
            "username": self.name,
            "uid": self.uid,
            "groups": list(self.groups),
            "extra": {key: list(values) for key, values in self.extra.items()},
        }
        return {key: value for key, value in info.items() if value}


def account_user(namespace: str, name: str) -> str:
    """Return the user name of a service account."""
    return f"{_ACCOUNT}{namespace}:{name}"


def account_groups(namespace: str) -> tuple[str, ...]:
    """Return the groups every service account of a namespace is in."""
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)


def account_of(user: str) -> tuple[str, str] | None:
    """Return namespace and name of the service account that a user name means; None: it is none."""
    namespace, colon, name = user.removeprefix(_ACCOUNT).partition(":")
    is_account = user.startswith(_ACCOUNT) and colon and namespace and name and ":" not in name
    return (namespace, name) if is_account else None
