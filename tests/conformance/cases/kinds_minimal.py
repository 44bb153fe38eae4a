"""The smallest object of every kind comes back whole: canonical, with its defaults."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import Case, post
from tests.conformance.smallest import CONTAINERS, KINDS, Kind

_TOKEN: Final = ("spec.volumes.*.name", "spec.containers.*.volumeMounts.*.name")
_PORTS: Final = {"ports": [{"name": "a", "containerPort": 80}]}


def _created(kind: Kind, **fields: Any) -> Any:
    mask = _TOKEN if kind.kind == "Pod" else ()
    # a namespace's default account comes a little after it
    path = f"{kind.path}?dryRun=All"
    return post(path, kind.body(**fields), mask=mask, until=lambda answer: answer.status != 403)


def _pod(**spec: Any) -> Any:
    return _created(KINDS["Pod"], spec={**CONTAINERS, **spec})


def _container(**fields: Any) -> Any:
    return _created(KINDS["Pod"], spec={"containers": [{"name": "a", "image": "x:1", **fields}]})


def _service(**spec: Any) -> Any:
    return _created(KINDS["Service"], spec={"ports": [{"port": 80}], **spec})


_SPECIAL: Final = {
    "a pod with a probe": _container(livenessProbe={"httpGet": {"port": 80}}),
    "a pod with limits": _container(resources={"limits": {"cpu": "0.5", "memory": "1024Mi"}}),
    "a pod with whole limits": _container(resources={"limits": {"cpu": "1", "memory": "1Gi"}}),
    "a pod with ports": _container(**_PORTS),
    "a pod with an environment": _container(
        env=[
            {"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "b", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        ]
    ),
    "a pod on its host's network": _pod(
        hostNetwork=True, containers=[{"name": "a", "image": "x", **_PORTS}]
    ),
    "a pod with volumes": _pod(
        volumes=[
            {"name": "a"},
            {"name": "b", "secret": {"secretName": "s"}},
            {"name": "c", "configMap": {"name": "c"}},
            {"name": "d", "hostPath": {"path": "/x"}},
            {"name": "e", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        ]
    ),
    "a pod without a token": _pod(automountServiceAccountToken=False),
    "a pod with tolerations": _pod(tolerations=[{"operator": "Exists"}]),
    "a critical pod": _pod(priorityClassName="system-cluster-critical"),
    "a service of node ports": _service(type="NodePort"),
    "a service of a load balancer": _service(type="LoadBalancer"),
    "a service that is a name": _service(type="ExternalName", externalName="a.example.com"),
    "a headless service": _service(clusterIP="None", selector={"a": "b"}),
    "a headless service of nobody": _service(clusterIP="None"),
    "a sticky service": _service(sessionAffinity="ClientIP"),
    "a service that would like two families": _service(ipFamilyPolicy="PreferDualStack"),
}

CASES: Final[list[Case]] = [
    *(Case(f"kinds: the smallest {kind.kind}", [_created(kind)]) for kind in KINDS.values()),
    *(Case(f"kinds: {what}", [step]) for what, step in _SPECIAL.items()),
]
