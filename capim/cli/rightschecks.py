"""What `capim doctor` finds out about rights: the manager's, and those of who asks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from capim.api.errors import APIError
from capim.api.gvk import GVR
from capim.cli.findings import Finding, Level
from coordinator.rights import CLUSTER_RIGHTS, OWN_RIGHTS, Right

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.api.meta import JsonObject
    from capim.cli.management import Management

_GROUP: Final = "authorization.k8s.io"
_MINE: Final = GVR(_GROUP, "v1", "selfsubjectaccessreviews")
_OTHERS: Final = GVR(_GROUP, "v1", "subjectaccessreviews")
_ACCOUNTS: Final = GVR("", "v1", "serviceaccounts")
_ACCOUNT: Final = "capim-manager"

#: what the commands for people need, and what for
_PERSONAL: Final = (
    (Right("", "secrets", ("get",)), "", "capim kubeconfig"),
    (Right("", "pods", ("list",)), "own", "capim logs, capim get shards"),
    (Right("", "pods/log", ("get",)), "own", "capim logs"),
    (Right("", "pods/portforward", ("create",)), "own", "capim kubeconfig, capim get shards"),
)


async def rights_findings(management: Management, namespace: str) -> list[Finding]:
    """Ask the server who may do what."""
    user = await _manager_account(management, namespace)
    wanted = [(right, "") for right in CLUSTER_RIGHTS] + [
        (right, namespace) for right in OWN_RIGHTS
    ]
    who = user or "you, for a manager that runs with this kubeconfig,"
    refused = await _refused(management, wanted, user)
    return [manager_rights_finding(who, refused), *await _personal(management, namespace)]


def manager_rights_finding(who: str, refused: Iterable[str]) -> Finding:
    """Judge what the manager's account may not do."""
    missing = sorted(refused)
    if not missing:
        return Finding("rights", Level.OK, f"{who} may do what the manager does")
    message = f"{who} may not {', '.join(missing)}"
    fix = "install the roles of this version: kubectl apply -k deploy/overlays/single"
    return Finding("rights", Level.ERROR, message, fix)


async def _personal(management: Management, own: str) -> list[Finding]:
    found = []
    for right, place, purpose in _PERSONAL:
        namespace = own if place else management.namespace
        if refused := await _refused(management, [(right, namespace)], ""):
            message = f"you may not {', '.join(refused)} in {namespace}: {purpose} will not work"
            fix = "ask whoever gives rights in this cluster"
            found.append(Finding("rights", Level.WARNING, message, fix))
    return found or [Finding("rights", Level.OK, "you may do what these commands do")]


async def _manager_account(management: Management, namespace: str) -> str:
    """Return the user name of the manager's service account; empty where there is none."""
    try:
        await management.client.get(_ACCOUNTS, namespace, _ACCOUNT)
    except APIError as error:
        if error.code != 404:
            raise
        return ""
    return f"system:serviceaccount:{namespace}:{_ACCOUNT}"


async def _refused(
    management: Management, wanted: Iterable[tuple[Right, str]], user: str
) -> list[str]:
    """Return which rights, each in its namespace, a user lacks; no user: who asks."""
    asked = [
        (f"{verb} {right.resource}", _attributes(right, verb, namespace))
        for right, namespace in wanted
        for verb in right.verbs
    ]
    answers = await asyncio.gather(*(_may(management, it, user) for _, it in asked))
    return [what for (what, _), allowed in zip(asked, answers, strict=True) if not allowed]


def _attributes(right: Right, verb: str, namespace: str) -> JsonObject:
    resource, _, subresource = right.resource.partition("/")
    return {
        "group": right.group,
        "resource": resource,
        "subresource": subresource,
        "verb": verb,
        "namespace": namespace,
    }


async def _may(management: Management, attributes: JsonObject, user: str) -> bool:
    spec: JsonObject = {"resourceAttributes": attributes}
    if user:
        namespace = user.split(":")[2]
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        spec |= {"user": user, "groups": [*groups, "system:authenticated"]}
    body = {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "SubjectAccessReview" if user else "SelfSubjectAccessReview",
        "spec": spec,
    }
    answer = await management.client.create(_OTHERS if user else _MINE, "", body)
    return bool((answer.get("status") or {}).get("allowed"))
