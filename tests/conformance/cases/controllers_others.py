"""Jobs, services, budgets, claims, namespaces and the garbage collector, as controllers see to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.conformance.case import STRATEGIC, Case, delete, get, patch, post
from tests.conformance.cases.controllers_workloads import (
    BATCH,
    CORE,
    counts,
    listed,
    pods,
    ready,
    settled,
    template,
    workload,
)

if TYPE_CHECKING:
    from tests.conformance.case import Answer, Step

_J: Final = f"{BATCH}/jobs/a"


def _job(name: str, *steps: Step, active: int | None = 1, **spec: Any) -> Case:
    never = template(restartPolicy="Never")
    body = {"metadata": {"name": "a"}, "spec": {"template": never} | spec}
    wait = get(_J, until=lambda a: a.at("status.active") == active, compare=False)
    return Case(
        f"controllers: a job {name}", [post(f"{BATCH}/jobs", body, compare=False), wait, *steps]
    )


def _ends(phase: str) -> list[Step]:
    """Let the one pod end."""
    name = "{2.items.0.metadata.name}"
    body = {"status": {"phase": phase}}
    return [
        get(f"{CORE}/pods", until=counts(1), compare=False),
        patch(f"{CORE}/pods/{name}/status", body, STRATEGIC, compare=False),
    ]


def _has(kind: str, value: str = "True") -> Any:
    def check(answer: Answer) -> bool:
        conditions = answer.at("status.conditions") or ()
        return any((c["type"], c["status"]) == (kind, value) for c in conditions)

    return check


_DRAWN: Final = ("metadata.labels", "spec.selector", "spec.template.metadata.labels")
_JOBS: Final = [
    _job("has its status", get(_J, mask=_DRAWN), completions=3, parallelism=2, active=2),
    _job("makes pods", pods(1)),
    _job(
        "of indexes",
        get(_J),
        pods(2),
        active=2,
        completions=2,
        parallelism=2,
        completionMode="Indexed",
    ),
    _job("completes", *_ends("Succeeded"), get(_J, until=_has("Complete")), pods(1)),
    _job("fails", *_ends("Failed"), get(_J, until=_has("Failed")), backoffLimit=0),
    _job("is suspended", get(_J, until=_has("Suspended")), pods(0), active=None, suspend=True),
    _job(
        "is resumed",
        get(_J, until=_has("Suspended"), compare=False),
        patch(_J, {"spec": {"suspend": False}}, compare=False),
        get(_J, until=_has("Suspended", "False"), compare=False),
        get(_J, until=lambda a: a.at("status.active") == 1),
        active=None,
        suspend=True,
    ),
    _job("takes too long", get(_J, until=_has("Failed")), activeDeadlineSeconds=1),
    _job(
        "is forgotten",
        *_ends("Succeeded"),
        get(_J, until=lambda a: a.status == 404),
        ttlSecondsAfterFinished=1,
    ),
    _job(
        "leaves its pods unless told otherwise",
        delete(_J, compare=False),
        get(_J, until=lambda a: a.status == 404),
        pods(1),
    ),
    _job("takes its pods along", delete(f"{_J}?propagationPolicy=Background"), pods(0)),
    Case(
        "controllers: a cron job waits",
        [
            post(
                f"{BATCH}/cronjobs",
                {
                    "metadata": {"name": "a"},
                    "spec": {
                        "schedule": "0 0 1 1 *",
                        "jobTemplate": {"spec": {"template": template(restartPolicy="Never")}},
                    },
                },
                compare=False,
            ),
            get(f"{BATCH}/cronjobs/a"),
            get(f"{BATCH}/jobs"),
        ],
    ),
]

_SERVICE: Final[dict[str, Any]] = {
    "metadata": {"name": "a"},
    "spec": {"selector": {"app": "a"}, "ports": [{"port": 80, "targetPort": 8080}]},
}
_SLICES: Final = "/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices"
#: a node without a kubelet, and a pod that is bound to it by hand
_NODE: Final = post("/api/v1/nodes", {"metadata": {"name": "{name}-0"}}, compare=False)
_POD: Final = {
    "metadata": {"name": "p", "labels": {"app": "a"}},
    "spec": template()["spec"] | {"nodeName": "{name}-0"},
}


def _service(name: str, *steps: Step, **spec: Any) -> Case:
    body = _SERVICE | {"spec": _SERVICE["spec"] | spec}
    made = post(f"{CORE}/services", body, compare=False)
    return Case(
        f"controllers: a service {name}", [made, *steps], cleanup=("/api/v1/nodes/{name}-0",)
    )


_EMPTY: Final = (
    listed(_SLICES, until=counts(1)),
    get(f"{CORE}/endpoints/a", until=lambda a: a.status == 200),
)
_SERVICES: Final = [
    _service("of no pod", *_EMPTY),
    _service("without an address", *_EMPTY, clusterIP="None"),
    _service(
        "of a pod",
        _NODE,
        post(f"{CORE}/pods", _POD, compare=False, until=lambda a: a.status != 403),
        ready("p"),
        listed(_SLICES, until=lambda a: a.at("items.0.endpoints.0.conditions.ready")),
        get(f"{CORE}/endpoints/a", until=lambda a: a.at("subsets.0.addresses")),
    ),
    _service(
        "of a pod that is not ready",
        _NODE,
        post(f"{CORE}/pods", _POD, compare=False, until=lambda a: a.status != 403),
        patch(
            f"{CORE}/pods/p/status",
            {"status": {"phase": "Running", "podIP": "10.9.9.9", "podIPs": [{"ip": "10.9.9.9"}]}},
            compare=False,
        ),
        listed(_SLICES, until=lambda a: a.at("items.0.endpoints.0")),
        get(f"{CORE}/endpoints/a", until=lambda a: a.at("subsets.0.notReadyAddresses")),
    ),
    _service(
        "of a pod on no node",
        post(f"{CORE}/pods", _POD, compare=False, until=lambda a: a.status != 403),
        ready("p"),
        get(f"{CORE}/endpoints/a", until=lambda a: a.at("subsets.0.addresses")),
        listed(_SLICES),
    ),
    _service(
        "gets its slice back",
        get(_SLICES, until=counts(1), compare=False),
        delete(f"{_SLICES}/{{2.items.0.metadata.name}}", compare=False),
        listed(_SLICES, until=counts(1)),
    ),
    _service(
        "takes all along",
        get(_SLICES, until=counts(1), compare=False),
        get(f"{CORE}/endpoints/a", until=lambda a: a.status == 200, compare=False),
        delete(f"{CORE}/services/a", compare=False),
        listed(_SLICES, until=counts(0)),
        get(f"{CORE}/endpoints/a", until=lambda a: a.status == 404),
    ),
]

_PDB: Final = "/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets"


def _budget(name: str, *steps: Step, replicas: int = 2, **spec: Any) -> Case:
    body = {
        "metadata": {"name": "a"},
        "spec": {"selector": {"matchLabels": {"app": "a"}}} | spec,
    }
    made = post(
        "/apis/apps/v1/namespaces/{ns}/deployments", workload(replicas=replicas), compare=False
    )
    return Case(
        f"controllers: a budget {name}",
        [
            made,
            get(f"{CORE}/pods", until=counts(replicas), compare=False),
            post(_PDB, body, compare=False),
            settled(f"{_PDB}/a", expectedPods=replicas),
            *steps,
        ],
    )


_BUDGETS: Final = [
    _budget("of too few pods", get(f"{_PDB}/a"), minAvailable=1),
    _budget("of a share", get(f"{_PDB}/a"), minAvailable="50%"),
    _budget("of what may be missing", get(f"{_PDB}/a"), maxUnavailable=1),
    _budget("of no pods", get(f"{_PDB}/a"), minAvailable=1, replicas=0),
    _budget(
        "refuses and allows",
        ready("", step="{1.items.0.metadata.name}"),
        ready("", step="{1.items.1.metadata.name}"),
        settled(f"{_PDB}/a", currentHealthy=2),
        get(f"{_PDB}/a"),
        post(
            f"{CORE}/pods/{{1.items.0.metadata.name}}/eviction?dryRun=All",
            {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": "{1.items.0.metadata.name}"},
            },
        ),
        patch(f"{_PDB}/a", {"spec": {"minAvailable": 2}}, compare=False),
        settled(f"{_PDB}/a", desiredHealthy=2),
        post(
            f"{CORE}/pods/{{1.items.0.metadata.name}}/eviction",
            {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": "{1.items.0.metadata.name}"},
            },
        ),
        minAvailable=1,
    ),
]

_CLAIMS: Final = f"{CORE}/persistentvolumeclaims"
_CLAIM: Final = {
    "metadata": {"name": "c"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
_VOLUMES: Final = template()["spec"] | {
    "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
}
_USER: Final = {"metadata": {"name": "p"}, "spec": _VOLUMES | {"nodeName": "{name}-0"}}
_STORAGE: Final = [
    Case(
        "controllers: an unused claim goes",
        [
            post(_CLAIMS, _CLAIM, compare=False),
            get(f"{_CLAIMS}/c"),
            delete(f"{_CLAIMS}/c", compare=False),
            get(f"{_CLAIMS}/c", until=lambda a: a.status == 404),
        ],
    ),
    Case(
        "controllers: a claim in use stays until its pod goes",
        [
            post(_CLAIMS, _CLAIM, compare=False),
            _NODE,
            post(f"{CORE}/pods", _USER, compare=False, until=lambda a: a.status != 403),
            patch(f"{CORE}/pods/p/status", {"status": {"phase": "Succeeded"}}, compare=False),
            delete(f"{_CLAIMS}/c", compare=False),
            get(f"{_CLAIMS}/c"),
            delete(f"{CORE}/pods/p?gracePeriodSeconds=0", compare=False),
            get(f"{_CLAIMS}/c", until=lambda a: a.status == 404),
        ],
        cleanup=("/api/v1/nodes/{name}-0",),
    ),
    Case(
        "controllers: a claim goes from a pod that is on no node",
        [
            post(_CLAIMS, _CLAIM, compare=False),
            post(
                f"{CORE}/pods",
                {"metadata": {"name": "p"}, "spec": _VOLUMES | {"schedulerName": "none"}},
                compare=False,
                until=lambda a: a.status != 403,
            ),
            delete(f"{_CLAIMS}/c", compare=False),
            get(f"{_CLAIMS}/c", until=lambda a: a.status == 404),
        ],
    ),
]

_ACCOUNT: Final = f"{CORE}/serviceaccounts/default"
_ROOT_CA: Final = f"{CORE}/configmaps/kube-root-ca.crt"


def _another(step: int) -> Any:
    """Return whether an object is another than that of a step before: it bears no mark."""
    del step
    return lambda a: a.status == 200 and "mark" not in (a.at("metadata.labels") or {})


_MARK: Final = {"metadata": {"labels": {"mark": "yes"}}}
_NAMESPACES: Final = [
    Case(
        "controllers: a namespace gets its account back",
        [
            patch(_ACCOUNT, _MARK, compare=False),
            delete(_ACCOUNT, compare=False),
            get(_ACCOUNT, until=_another(0)),
        ],
    ),
    Case(
        "controllers: a namespace gets its authority back",
        [
            patch(_ROOT_CA, _MARK, compare=False),
            delete(_ROOT_CA),
            get(_ROOT_CA, until=_another(0)),
        ],
    ),
    Case(
        "controllers: an authority that was changed is put right",
        [
            patch(_ROOT_CA, {"data": {"ca.crt": "mine", "more": "x"}}, compare=False),
            get(_ROOT_CA, until=lambda a: "more" not in (a.at("data") or {})),
        ],
    ),
    Case(
        "controllers: a namespace that cannot end says what remains",
        [
            post("/api/v1/namespaces", {"metadata": {"name": "{name}"}}, compare=False),
            post(
                "/api/v1/namespaces/{name}/configmaps",
                {"metadata": {"name": "held", "finalizers": ["example.com/a", "example.com/b"]}},
                compare=False,
            ),
            post(
                "/api/v1/namespaces/{name}/secrets",
                {"metadata": {"name": "held", "finalizers": ["example.com/a"]}},
                compare=False,
            ),
            delete("/api/v1/namespaces/{name}", compare=False),
            get(
                "/api/v1/namespaces/{name}",
                until=lambda a: any(
                    c["type"] == "NamespaceFinalizersRemaining" and c["status"] == "True"
                    for c in a.at("status.conditions") or ()
                ),
                timeout_s=60,
            ),
            patch(
                "/api/v1/namespaces/{name}/configmaps/held",
                {"metadata": {"finalizers": None}},
                compare=False,
            ),
            patch(
                "/api/v1/namespaces/{name}/secrets/held",
                {"metadata": {"finalizers": None}},
                compare=False,
            ),
            get("/api/v1/namespaces/{name}", until=lambda a: a.status == 404, timeout_s=60),
        ],
    ),
]


def _owned(name: str, owner: str, step: int, *, block: bool = False) -> Step:
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": owner,
        "uid": f"{{{step}.metadata.uid}}",
        "blockOwnerDeletion": block,
    }
    body = {"metadata": {"name": name, "ownerReferences": [reference]}}
    return post(f"{CORE}/secrets", body, compare=False)


_MAPS: Final = f"{CORE}/configmaps"
_OWNER: Final = post(_MAPS, {"metadata": {"name": "owner"}}, compare=False)
_GARBAGE: Final = [
    Case(
        "controllers: dependents go in the background",
        [
            _OWNER,
            _owned("d", "owner", 0),
            delete(f"{_MAPS}/owner"),
            get(f"{CORE}/secrets/d", until=lambda a: a.status == 404),
        ],
    ),
    Case(
        "controllers: dependents are left",
        [
            _OWNER,
            _owned("d", "owner", 0),
            delete(f"{_MAPS}/owner?propagationPolicy=Orphan", compare=False),
            get(f"{_MAPS}/owner", until=lambda a: a.status == 404),
            get(f"{CORE}/secrets/d"),
        ],
    ),
    Case(
        "controllers: an owner waits for what blocks it",
        [
            _OWNER,
            post(
                f"{CORE}/secrets",
                {
                    "metadata": {
                        "name": "d",
                        "finalizers": ["example.com/hold"],
                        "ownerReferences": [
                            {
                                "apiVersion": "v1",
                                "kind": "ConfigMap",
                                "name": "owner",
                                "uid": "{0.metadata.uid}",
                                "blockOwnerDeletion": True,
                            }
                        ],
                    }
                },
                compare=False,
            ),
            delete(f"{_MAPS}/owner?propagationPolicy=Foreground", compare=False),
            get(f"{CORE}/secrets/d", until=lambda a: a.at("metadata.deletionTimestamp")),
            get(f"{_MAPS}/owner"),
            patch(f"{CORE}/secrets/d", {"metadata": {"finalizers": None}}, compare=False),
            get(f"{_MAPS}/owner", until=lambda a: a.status == 404),
        ],
    ),
    Case(
        "controllers: one of two owners goes",
        [
            _OWNER,
            post(_MAPS, {"metadata": {"name": "other"}}, compare=False),
            post(
                f"{CORE}/secrets",
                {
                    "metadata": {
                        "name": "d",
                        "ownerReferences": [
                            {
                                "apiVersion": "v1",
                                "kind": "ConfigMap",
                                "name": name,
                                "uid": f"{{{step}.metadata.uid}}",
                            }
                            for step, name in enumerate(("owner", "other"))
                        ],
                    }
                },
                compare=False,
            ),
            delete(f"{_MAPS}/owner", compare=False),
            get(
                f"{CORE}/secrets/d",
                until=lambda a: len(a.at("metadata.ownerReferences") or ()) == 1,
            ),
        ],
    ),
    Case(
        "controllers: what is born of an absent owner goes",
        [
            _OWNER,
            delete(f"{_MAPS}/owner", compare=False),
            _owned("d", "owner", 0),
            get(f"{CORE}/secrets/d", until=lambda a: a.status == 404),
        ],
    ),
]

CASES: Final[list[Case]] = [*_JOBS, *_SERVICES, *_BUDGETS, *_STORAGE, *_NAMESPACES, *_GARBAGE]
