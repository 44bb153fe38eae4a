"""kubectl's commands that the fake answers otherwise: "scenario: command" -> cause."""

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

KUBECTL: Final[dict[str, str]] = {
    **dict.fromkeys(
        _DESCRIPTIONS,
        "descriptions come from the Python client, whose fields that refer to a type have none of their own",
    ),
    "apply: kubectl replace --raw /api/v1/namespaces/$NS/configmaps/plain -f plain.json": (
        "a raw answer has its fields in another order"
    ),
    "create: kubectl get pdb,quota,ingress,cronjob": (
        "pods of jobs run and end here, and wait for a kubelet there: a quota counts them until they end"
    ),
    "describe: kubectl describe pvc claim": (
        "the controller of the real server tries again, and counts its event"
    ),
    "describe: kubectl describe pdb guard": "no event tells that a budget selects no pods",
    "nodes: kubectl describe node $NAME": (
        "nodes that clients make get no taint for not being ready, and no annotation of a lifetime"
    ),
}
