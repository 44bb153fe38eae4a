"""What every namespace has: the service account `default` and the CA in `kube-root-ca.crt`.

Both come back when they are deleted, and the CA when it is changed. Source: kube-controller-manager's
serviceaccount and root-ca-certificate-publisher controllers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.kinds import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS
from capim.runtime.manifests.defaults import root_ca, service_account

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.objects import Change

_ACCOUNT: Final = "default"


def _reconcile(context: Context, _: str, name: str) -> None:
    namespace = context.group.find(NAMESPACES, "", name)
    if namespace is None or namespace.deleting:
        return
    if context.group.find(SERVICE_ACCOUNTS, name, _ACCOUNT) is None:
        context.create(SERVICE_ACCOUNTS, service_account(_ACCOUNT, name))
    _publish_root_ca(context, name)


def _publish_root_ca(context: Context, namespace: str) -> None:
    wanted = root_ca(namespace, context.root_ca())
    found = context.get(CONFIG_MAPS, namespace, wanted["metadata"]["name"])
    if found is None:
        context.create(CONFIG_MAPS, wanted)
    elif found.get("data") != wanted["data"]:
        context.save(CONFIG_MAPS, found | {"data": wanted["data"]})


def _of_account(_: Context, change: Change) -> Iterator[Key]:
    if change.type == "DELETED" and change.stored.name == _ACCOUNT:
        yield "", change.stored.namespace


def _of_root_ca(_: Context, change: Change) -> Iterator[Key]:
    if change.stored.name == "kube-root-ca.crt":
        yield "", change.stored.namespace


CONTROLLER: Final = Controller(
    "namespace defaults",
    NAMESPACES,
    _reconcile,
    watches=((SERVICE_ACCOUNTS, _of_account), (CONFIG_MAPS, _of_root_ca)),
)
