"""Secrets of service accounts' tokens go with their account, and those of no account are deleted.

Source: kube-controller-manager's tokens controller. Tokens themselves are made where the key is, in
`capim.server.tokensecrets`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.kinds import SECRETS, SERVICE_ACCOUNTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.objects import Change

_TYPE: Final = "kubernetes.io/service-account-token"
_NAME: Final = "kubernetes.io/service-account.name"
_UID: Final = "kubernetes.io/service-account.uid"


def _reconcile(context: Context, namespace: str, name: str) -> None:
    secret = context.get(SECRETS, namespace, name)
    if secret is None or secret.get("type") != _TYPE:
        return
    notes = secret["metadata"].get("annotations") or {}
    account = context.get(SERVICE_ACCOUNTS, namespace, notes.get(_NAME, ""))
    if account is None or notes.get(_UID, account["metadata"]["uid"]) != account["metadata"]["uid"]:
        context.delete(SECRETS, namespace, name)


def _of_secret(_: Context, change: Change) -> Iterator[Key]:
    if change.type == "ADDED" and _TYPE.encode() in change.stored.rest:
        yield change.stored.namespace, change.stored.name


def _of_account(context: Context, change: Change) -> Iterator[Key]:
    if change.type == "DELETED":
        for stored in context.stored(SECRETS, change.stored.namespace):
            if _TYPE.encode() in stored.rest:
                yield stored.namespace, stored.name


CONTROLLER: Final = Controller(
    "tokens",
    None,
    _reconcile,
    watches=((SECRETS, _of_secret), (SERVICE_ACCOUNTS, _of_account)),
)
