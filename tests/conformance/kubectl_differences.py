"""kubectl's commands that the fake answers otherwise: "scenario: command" -> cause."""

# ruff: noqa: E501 - commands as they stand in the list

from __future__ import annotations

from typing import Final

_DESCRIPTIONS: Final = (
    "discovery: kubectl explain pods",
    "discovery: kubectl explain deployment.spec.strategy",
    "discovery: kubectl explain deployments --api-version=apps/v1",
    "discovery: kubectl explain cronjob.spec.jobTemplate.spec.template.spec --output=plaintext-openapiv2",
    "discovery: kubectl explain svc.spec.ports",
    "discovery: kubectl explain ingress.spec.rules.http.paths.backend",
    "discovery: kubectl explain crd.spec.versions",
    "discovery: kubectl explain horizontalpodautoscaler.spec.metrics",
    "discovery: kubectl explain crontabs",
)

_BODIES: Final = (
    "create: kubectl create -f bad.yaml",
    "create: kubectl create -f bad.yaml --validate=false",
    "create: kubectl create -f bad.yaml --validate=warn",
    "apply: kubectl apply -f bad.yaml",
    "apply: kubectl replace --raw /api/v1/namespaces/$NS/configmaps/plain -f plain.json",
    """change: kubectl patch deploy web -p '{"spec":{"replicas":"many"}}'""",
)

_ROLES: Final = (
    "auth: kubectl get clusterrole view -o jsonpath='{.aggregationRule}'",
    "auth: kubectl get clusterroles -l kubernetes.io/bootstrapping=rbac-defaults -o name",
    "auth: kubectl get clusterrolebindings -l kubernetes.io/bootstrapping=rbac-defaults -o name",
    "auth: kubectl describe clusterrole system:basic-user",
)

_GROUPS: Final = (
    "discovery: kubectl api-versions",
    "discovery: kubectl api-resources",
    "discovery: kubectl api-resources -o wide",
    "discovery: kubectl api-resources --verbs=list,delete -o name",
)

_CUSTOM: Final = (
    """discovery: kubectl patch ct mine --type=merge -p '{"spec":{"replicas":"x"}}'""",
)

_WORKLOADS: Final = (
    "create: kubectl get pdb,quota,ingress,cronjob",
    """rollout: kubectl get deploy web -o jsonpath='{.status}' | sed 's/"lastUpdateTime[^,}]*//g;s/"lastTransitionTime[^,}]*//g'""",
    "describe: kubectl describe pvc claim",
    "describe: kubectl describe pdb guard",
    "describe: kubectl get svc,endpoints,endpointslices -o name",
    "nodes: kubectl describe node $NAME",
)

KUBECTL: Final[dict[str, str]] = {
    **dict.fromkeys(
        _DESCRIPTIONS,
        "descriptions come from the Python client, whose fields that refer to a type have none of their own",
    ),
    **dict.fromkeys(
        _BODIES, "bodies and patches are not read strictly yet, in a real server's words"
    ),
    **dict.fromkeys(_ROLES, "the roles of a new cluster are not all there yet"),
    **dict.fromkeys(_GROUPS, "events.k8s.io and autoscaling/v1 are not served yet"),
    **dict.fromkeys(_CUSTOM, "custom resources are not checked by their schemas yet"),
    **dict.fromkeys(_WORKLOADS, "no controllers of workloads, services, budgets and claims yet"),
}
