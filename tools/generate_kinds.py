"""Write docs/kinds.md: what is served of every built-in kind, and what is behind it; --check compares it.

Kinds, verbs and subresources are read from the table that the server routes by, controllers from the
catalogue that the simulation runs by. What neither says stands in NOTES.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from capim.api.resources import ALL_VERBS, WORKLOAD_RESOURCES
from capim.api.workload import Simulation
from capim.runtime.controllers.catalog import handlers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.resources import Resource

PAGE = Path(__file__).resolve().parent.parent / "docs" / "kinds.md"
HEAD = """\
<!-- Written by tools/generate_kinds.py; change it there. -->
# The built-in kinds of a workload cluster
What is served of each kind, and what happens behind it. "All" verbs are create, delete, deletecollection,
get, list, patch (server-side apply too), update and watch. Everything written is checked, defaulted and
kept as a real API server would, whatever happens behind it. A controller "of its own" runs with the values
of `--workload-simulation` that are named; without one, what is written is kept and nothing follows from it.

| Kind | Version | Verbs | Subresources | Behind it |
|---|---|---|---|---|
"""
#: of the kinds with more, or less, behind them than a controller
NOTES = {
    ("", "bindings"): "binds a pod",
    ("", "componentstatuses"): "three healthy parts, which are not looked at",
    ("discovery.k8s.io", "endpointslices"): "made for Services with `status` and `pods`",
    ("", "configmaps"): "`kube-root-ca.crt` comes with every namespace",
    ("", "endpoints"): "made for Services with a selector, mirrored in EndpointSlices for others",
    ("", "namespaces"): "deleting one deletes what is in it, at once",
    ("", "nodes"): "one for each machine; there is no kubelet, a client may write what it likes",
    ("", "persistentvolumes"): "protected while they are bound",
    ("", "pods"): (
        "with `pods` a scheduler and kubelets are simulated; "
        "no container runs: logs are made up, exec, attach and proxy are refused, port-forward reaches "
        "etcd members alone; evictions heed disruption budgets"
    ),
    ("", "resourcequotas"): "counted and enforced",
    ("", "limitranges"): "enforced on new pods and claims",
    ("", "secrets"): "nothing is encrypted, no tokens are put in",
    ("", "serviceaccounts"): "`default` comes with every namespace; tokens are signed and accepted",
    ("", "services"): "addresses and node ports are allocated; nobody listens there",
    ("networking.k8s.io", "ipaddresses"): "one for each address of a Service",
    (
        "apiregistration.k8s.io",
        "apiservices",
    ): (
        "nothing is aggregated but `metrics.k8s.io`, with usage that is made up, once its APIService is "
        "applied: a new cluster of kubeadm has none either, and `kubectl top` says so"
    ),
    ("authentication.k8s.io", "selfsubjectreviews"): "answered",
    ("authentication.k8s.io", "tokenreviews"): "answered for service accounts' tokens",
    **dict.fromkeys(
        (
            ("authorization.k8s.io", "localsubjectaccessreviews"),
            ("authorization.k8s.io", "selfsubjectaccessreviews"),
            ("authorization.k8s.io", "selfsubjectrulesreviews"),
            ("authorization.k8s.io", "subjectaccessreviews"),
        ),
        "answered by `--workload-authorization`",
    ),
    ("autoscaling", "horizontalpodautoscalers"): "nothing is scaled: there are no metrics",
    ("certificates.k8s.io", "certificatesigningrequests"): (
        "approved ones of Kubernetes' own signers are signed at once"
    ),
    ("networking.k8s.io", "ingresses"): "no load balancer answers",
    ("networking.k8s.io", "networkpolicies"): "no network obeys",
    **dict.fromkeys(
        (
            ("rbac.authorization.k8s.io", "clusterrolebindings"),
            ("rbac.authorization.k8s.io", "clusterroles"),
            ("rbac.authorization.k8s.io", "rolebindings"),
            ("rbac.authorization.k8s.io", "roles"),
        ),
        "decide with `--workload-authorization=RBAC`",
    ),
    **dict.fromkeys(
        (
            ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
            ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
        ),
        "webhooks are not called",
    ),
    **dict.fromkeys(
        (
            ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
            ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
        ),
        "judge what clients write, where `cel-expr-python` is installed",
    ),
    ("apiextensions.k8s.io", "customresourcedefinitions"): (
        "established at once; conversion webhooks are not called"
    ),
    ("scheduling.k8s.io", "priorityclasses"): "give new pods their priority",
    ("flowcontrol.apiserver.k8s.io", "flowschemas"): "no request waits for another",
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"): "no request waits for another",
}


def page() -> str:
    """Return what the page should be."""
    rows = sorted(WORKLOAD_RESOURCES, key=lambda it: (it.group, it.kind, it.version))
    return HEAD + "".join(f"| {' | '.join(_row(resource))} |\n" for resource in rows)


def unused() -> set[tuple[str, str]]:
    """Return the kinds that have notes and are not served."""
    return {*NOTES} - {resource.group_resource for resource in WORKLOAD_RESOURCES}


def _row(resource: Resource) -> Iterator[str]:
    yield resource.kind
    yield resource.api_version
    yield "all" if {*resource.verbs} == {*ALL_VERBS} else ", ".join(sorted(resource.verbs))
    yield ", ".join(f"`{it.name}`" for it in resource.subresources)
    yield "; ".join(filter(None, (_controlled(resource), NOTES.get(resource.group_resource, ""))))


def _controlled(resource: Resource) -> str:
    """Say in which simulations the kind has a controller."""
    modes = [
        f"`{mode.value}`"
        for mode in Simulation
        if resource.group_resource in handlers(mode)
        and handlers(mode)[resource.group_resource].primaries
    ]
    if len(modes) == len(Simulation):
        return "a controller of its own, always"
    return f"a controller of its own with {' and '.join(modes)}" if modes else ""


def main(arguments: list[str]) -> int:
    """Write the page, or with --check compare it."""
    if arguments != ["--check"]:
        PAGE.write_text(page(), "utf-8")
        return 0
    current = PAGE.read_text("utf-8") == page()
    if not current:
        print(f"{PAGE.name} is out of date: run tools/generate_kinds.py")
    return 0 if current else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
