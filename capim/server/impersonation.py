"""Impersonation headers: acting as somebody else, where the authorizer lets one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from capim.api.errors import bad_request
from capim.api.identity import (
    ANONYMOUS,
    AUTHENTICATED,
    UNAUTHENTICATED,
    User,
    account_groups,
    account_of,
)
from capim.runtime.authorization import Attributes
from capim.server.access import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from capim.runtime.authorization import Authorizer

_AUTHENTICATION: Final = "authentication.k8s.io"
_PREFIX: Final = b"impersonate-"
_EXTRA: Final = b"impersonate-extra-"


def impersonated(user: User, headers: Mapping[bytes, bytes], authorizer: Authorizer) -> User:
    """Return who is to be taken for the one who asks: himself, unless his headers say otherwise.

    Raises:
        APIError: BadRequest for a group, uid or extra without a user; Forbidden, he may not.
    """
    if not any(name.startswith(_PREFIX) for name in headers):
        return user
    name = headers.get(b"impersonate-user", b"").decode("latin-1")
    groups = _values(headers.get(b"impersonate-group"))
    uid = headers.get(b"impersonate-uid", b"").decode("latin-1")
    extra = {
        unquote(key.removeprefix(_EXTRA).decode("latin-1")): _values(value)
        for key, value in headers.items()
        if key.startswith(_EXTRA)
    }
    if not name:
        if groups or uid or extra:
            raise bad_request(
                f"requested {_described(groups, extra, uid)} without impersonating a user"
            )
        return user
    for asked in _wanted(user, name, groups, uid, extra):
        decision = authorizer.authorize(asked)
        if not decision.allowed:
            raise refusal(asked, decision.reason)
    return User(name, _all_groups(name, groups), uid, extra)


def _values(header: bytes | None) -> tuple[str, ...]:
    return tuple(header.decode("latin-1").split(",")) if header else ()


def _wanted(
    user: User, name: str, groups: tuple[str, ...], uid: str, extra: Mapping[str, tuple[str, ...]]
) -> Iterator[Attributes]:
    """Yield what the one who asks must be allowed."""
    verb = "impersonate"
    account = account_of(name)
    if account:
        yield Attributes(user, verb, account[0], resource="serviceaccounts", name=account[1])
    else:
        yield Attributes(user, verb, resource="users", name=name)
    for group in groups:
        yield Attributes(user, verb, resource="groups", name=group)
    for key, values in extra.items():
        for value in values:
            yield Attributes(user, verb, "", _AUTHENTICATION, "userextras", key, value)
    if uid:
        yield Attributes(user, verb, group=_AUTHENTICATION, resource="uids", name=uid)


def _all_groups(name: str, groups: tuple[str, ...]) -> tuple[str, ...]:
    """Return the groups asked for, or those of a service account, and the one that everybody is in."""
    account = account_of(name)
    if account and not groups:
        return account_groups(account[0])
    if name == ANONYMOUS:
        return groups if UNAUTHENTICATED in groups else (*groups, UNAUTHENTICATED)
    if AUTHENTICATED in groups or UNAUTHENTICATED in groups:
        return groups
    return (*groups, AUTHENTICATED)


def _described(groups: tuple[str, ...], extra: Mapping[str, tuple[str, ...]], uid: str) -> str:
    """Write what was asked for as Go prints a list of object references."""
    rows = [f"{{Group  {group}    }}" for group in groups]
    for key, values in extra.items():
        rows += [f"{{UserExtra  {value}  {_AUTHENTICATION}/v1  {key}}}" for value in values]
    if uid:
        rows.append(f"{{UID  {uid}  {_AUTHENTICATION}/v1  }}")
    return f"[{' '.join(rows)}]"
