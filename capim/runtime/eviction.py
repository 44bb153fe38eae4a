"""Eviction: a deletion of a pod that asks its PodDisruptionBudget first.

Source: k8s.io/kubernetes `pkg/registry/core/pod/storage/eviction.go`; texts and order of checks are its.
A budget's status is the disruption controller's; where none runs, a budget allows what somebody wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api import errors
from capim.api.gvk import GVR
from capim.api.meta import format_time, get_condition
from capim.runtime.graceful import with_reason
from capim.runtime.lifecycle import check_deletion
from capim.runtime.objects import DeleteOptions
from capim.runtime.subresources import selector_text
from capim.wire.selectors import LabelSelector

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.runtime.objects import Stored
    from capim.runtime.resourcegroup import ResourceGroup

_PODS: Final = GVR("", "v1", "pods")
_BUDGETS: Final = GVR("policy", "v1", "poddisruptionbudgets")
_REFUSED: Final = "Cannot evict pod as it would violate the pod's disruption budget."
_SEVERAL: Final = (
    "This pod has more than one PodDisruptionBudget, "
    "which the eviction subresource does not support."
)
#: pods in these phases are no disruption
_UNPROTECTED: Final = frozenset({"Succeeded", "Failed", "Pending"})
_RETRY_AFTER_S: Final = 10


def evict(
    group: ResourceGroup,
    namespace: str,
    name: str,
    eviction: JsonObject,
    *,
    dry_run: bool = False,
) -> JsonObject:
    """Delete a pod unless its budget forbids it; return the Status a client is answered with (201).

    Args:
        group: where the pod is.
        namespace: of the pod.
        name: of the pod.
        eviction: the policy/v1 Eviction.
        dry_run: check only.

    Raises:
        APIError: NotFound; TooManyRequests with the cause DisruptionBudget; Forbidden with the cause
            NamespaceTerminating; Conflict for a precondition; 500 for several budgets of one pod.
    """
    stated = (eviction.get("metadata") or {}).get("name") or name
    if stated != name:
        raise errors.bad_request("name in URL does not match name in Eviction object")
    pods = _served(group, _PODS)
    group.check_namespace(pods, namespace, name)  # an eviction is a creation, for admission too
    stored = group.get(pods, namespace, name)
    pod = stored.json()
    options = _delete_options(eviction, dry_run=dry_run)
    phase = (pod.get("status") or {}).get("phase") or "Pending"
    if phase not in _UNPROTECTED and not stored.deleting:
        _ask_fault(group, pod)
        _ask_budget(group, stored, pod, dry_run=options.dry_run)
    check_deletion(group.get(pods, namespace, name), options)
    if not options.dry_run:
        _note_eviction(group, group.get(pods, namespace, name))
        options.resource_version = None  # it was checked, and this is a newer one
    group.delete(pods, namespace, name, options)
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": 201,
    }


def _served(group: ResourceGroup, gvr: GVR) -> Resource:
    resource = group.resources.by_gvr(gvr)
    if resource is None:
        raise errors.no_such_resource()
    return resource


def _note_eviction(group: ResourceGroup, stored: Stored) -> None:
    """Let the pod say why it goes."""
    why = ("EvictionByEvictionAPI", "Eviction API: evicting")
    told = with_reason(stored.json(), *why, group.now())
    group.apply_own(stored.resource, stored.namespace, stored.name, lambda _: told)


def _delete_options(eviction: JsonObject, *, dry_run: bool) -> DeleteOptions:
    stated: JsonObject = eviction.get("deleteOptions") or {}
    preconditions: JsonObject = stated.get("preconditions") or {}
    return DeleteOptions(
        preconditions.get("uid"),
        preconditions.get("resourceVersion"),
        stated.get("propagationPolicy"),
        dry_run or bool(stated.get("dryRun")),
        stated.get("gracePeriodSeconds"),
    )


def _ask_fault(group: ResourceGroup, pod: JsonObject) -> None:
    """Refuse for the budget that a fault pretends to be."""
    budget = group.unevictable.get((pod.get("spec") or {}).get("nodeName") or "")
    if budget is not None:
        raise _refused(
            f"The disruption budget {budget} does not allow evicting pods currently", None
        )


def _ask_budget(group: ResourceGroup, stored: Stored, pod: JsonObject, *, dry_run: bool) -> None:
    """Take one disruption from the pod's budget. Raises APIError where it has none left."""
    budgets = _budgets_of(group, stored)
    if len(budgets) > 1:
        raise errors.APIError("InternalError", 500, _SEVERAL)
    if not budgets or _is_unhealthy_anyway(budgets[0], pod):
        return
    budget = budgets[0]
    _check_budget(budget)
    status = budget["status"]
    disrupted = (status.get("disruptedPods") or {}) | {stored.name: format_time(group.now())}
    taken = {"disruptionsAllowed": status["disruptionsAllowed"] - 1, "disruptedPods": disrupted}
    group.update(
        _served(group, _BUDGETS),
        stored.namespace,
        budget["metadata"]["name"],
        budget | {"status": status | taken},
        subresource="status",
        dry_run=dry_run,
    )


def _budgets_of(group: ResourceGroup, stored: Stored) -> list[JsonObject]:
    if group.resources.by_gvr(_BUDGETS) is None:
        return []
    budgets = [b.json() for b in group.list(_served(group, _BUDGETS), stored.namespace).items]
    return [budget for budget in budgets if _covers(budget, stored)]


def _covers(budget: JsonObject, stored: Stored) -> bool:
    selector = (budget.get("spec") or {}).get("selector")
    if selector is None:
        return False  # absent selects nothing, empty selects everything
    return LabelSelector.parse(selector_text(selector)).matches(stored.labels)


def _is_unhealthy_anyway(budget: JsonObject, pod: JsonObject) -> bool:
    """Tell whether evicting this pod makes nothing worse: it is not ready, and enough others are."""
    ready = get_condition(pod, "Ready")
    if ready is not None and ready.get("status") == "True":
        return False
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status: JsonObject = budget.get("status") or {}
    desired = int(status.get("desiredHealthy", 0))
    return desired > 0 and int(status.get("currentHealthy", 0)) >= desired


def _check_budget(budget: JsonObject) -> None:
    name, status = budget["metadata"]["name"], budget.get("status") or {}
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        text = f"The disruption budget {name} is still being processed by the server."
        raise _refused(text, _RETRY_AFTER_S)
    allowed = status.get("disruptionsAllowed", 0)
    if allowed < 0:
        why = "pdb disruptions allowed is negative"
        raise errors.forbidden("poddisruptionbudget", "policy", name, why)
    if allowed == 0:
        raise _refused(_why_none_left(budget), None)


def _why_none_left(budget: JsonObject) -> str:
    name, status = budget["metadata"]["name"], budget["status"]
    desired, current = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
    if current <= desired:
        return (
            f"The disruption budget {name} needs {desired} healthy pods and has {current} currently"
        )
    return f"The disruption budget {name} does not allow evicting pods currently"


def _refused(why: str, retry_after_s: int | None) -> errors.APIError:
    causes = [{"reason": "DisruptionBudget", "message": why}]
    error = errors.too_many_requests(_REFUSED, _RETRY_AFTER_S, causes)
    error.retry_after_s = retry_after_s
    return error
