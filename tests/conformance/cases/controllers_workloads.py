"""What the controllers of workloads make of a spec; the pods are bound by nobody, on either side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.conformance.case import STRATEGIC, Case, delete, get, patch, post

if TYPE_CHECKING:
    from tests.conformance.case import Answer, Step, Until

APPS: Final = "/apis/apps/v1/namespaces/{ns}"
CORE: Final = "/api/v1/namespaces/{ns}"
BATCH: Final = "/apis/batch/v1/namespaces/{ns}"
#: what a side draws for itself, in pods that are made from templates
_DRAWN: Final = (
    "items.*.spec.volumes",
    "items.*.spec.containers.*.volumeMounts",
    "items.*.metadata.labels.controller-uid",
    "items.*.apiVersion",  # a real list of a built-in kind says it once
    "items.*.kind",
)
_LISTED: Final = ("items.*.apiVersion", "items.*.kind")


def template(image: str = "x:1", labels: dict[str, str] | None = None, **spec: Any) -> Any:
    """Return a template whose pods no scheduler binds."""
    pod = {"schedulerName": "nobody", "containers": [{"name": "a", "image": image}]}
    return {"metadata": {"labels": labels or {"app": "a"}}, "spec": pod | spec}


def workload(name: str = "a", labels: dict[str, str] | None = None, **spec: Any) -> Any:
    """Return the body of a Deployment and its like."""
    made = {"selector": {"matchLabels": {"app": name}}}
    made["template"] = template(labels={"app": name} | (labels or {}))
    return {"metadata": {"name": name}, "spec": made | spec}


def observed(**fields: Any) -> Until:
    """Return whether a status is of the newest spec and has these values; None: absent."""

    def check(answer: Answer) -> bool:
        if answer.at("status.observedGeneration") != answer.at("metadata.generation"):
            return False
        return all(answer.at(f"status.{field}") == value for field, value in fields.items())

    return check


def counts(number: int) -> Until:
    """Return whether a list has so many items."""
    return lambda answer: len(answer.at("items") or []) == number


def settled(path: str, **fields: Any) -> Step:
    """Wait for a status."""
    return get(path, until=observed(**fields), compare=False)


def listed(path: str, **options: Any) -> Step:
    """Read a list."""
    return get(path, mask=_LISTED, **options)


def pods(number: int) -> Step:
    """Read the pods once there are so many."""
    return get(f"{CORE}/pods", until=counts(number), mask=_DRAWN)


def image(tag: str) -> Any:
    """Return a patch of the template's image."""
    return {"spec": {"template": {"spec": {"containers": [{"name": "a", "image": tag}]}}}}


_IPS: Final = [{"ip": "10.9.9.9"}]


def ready(name: str, *, step: str = "") -> Step:
    """Let a pod be ready, as its kubelet would say."""
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    body = {
        "status": {
            "phase": "Running",
            "podIP": "10.9.9.9",
            "podIPs": _IPS,
            "conditions": conditions,
        }
    }
    return patch(f"{CORE}/pods/{step or name}/status", body, STRATEGIC, compare=False)


def _deployment(name: str, *steps: Step, **spec: Any) -> Case:
    path = f"{APPS}/deployments"
    first = post(path, workload(**spec), compare=False)
    wanted = spec.get("replicas", 1)
    wait = settled(f"{path}/a", updatedReplicas=wanted or None)
    # the set is read first, so that its name's hash is known
    named = get(_SETS, compare=False)
    return Case(f"controllers: a deployment {name}", [first, wait, named, *steps])


_D: Final = f"{APPS}/deployments/a"
_SETS: Final = f"{APPS}/replicasets"


def _sizes(*sizes: int) -> Until:
    """Return whether the replica sets ask for these numbers, in any order."""
    return lambda answer: (
        sorted(one["spec"]["replicas"] for one in answer.at("items") or ()) == sorted(sizes)
    )


def _condition(kind: str, reason: str) -> Until:
    def check(answer: Answer) -> bool:
        conditions = answer.at("status.conditions") or ()
        return any((c["type"], c["reason"]) == (kind, reason) for c in conditions)

    return check


_resumed: Final = _condition("Progressing", "DeploymentResumed")


def _paused(answer: Answer) -> bool:
    is_paused = _condition("Progressing", "DeploymentPaused")
    return observed()(answer) and bool(is_paused(answer))


_DEPLOYMENTS: Final = [
    _deployment("has its status", get(_D), replicas=2),
    _deployment("has a replica set", listed(_SETS), replicas=2),
    _deployment("has pods", pods(2), replicas=2),
    _deployment("of no replicas", get(_D), listed(_SETS), replicas=0),
    _deployment(
        "copies its annotations",
        patch(_D, {"metadata": {"annotations": {"example.com/a": "b"}}}, compare=False),
        get(
            _SETS,
            until=lambda a: "example.com/a" in (a.at("items.0.metadata.annotations") or {}),
            mask=_LISTED,
        ),
    ),
    _deployment(
        "is scaled up",
        patch(f"{_D}/scale", {"spec": {"replicas": 4}}, compare=False),
        settled(_D, replicas=4),
        get(_D),
        listed(_SETS),
    ),
    _deployment(
        "is scaled to nothing",
        patch(_D, {"spec": {"replicas": 0}}, compare=False),
        settled(_D, replicas=None),
        get(_D),
        pods(0),
        replicas=3,
    ),
    _deployment(
        "whose new pods do not come up",
        patch(_D, image("x:2"), STRATEGIC, compare=False),
        get(_SETS, until=_sizes(0, 5), compare=False),
        get(_D, until=observed(updatedReplicas=5), mask=("metadata.resourceVersion",)),
        replicas=4,
    ),
    _deployment(
        "keeps what is available",
        get(f"{CORE}/pods", until=counts(1), compare=False),
        ready("", step="{3.items.0.metadata.name}"),
        get(_D, until=_condition("Available", "MinimumReplicasAvailable")),
        patch(_D, image("x:2"), STRATEGIC, compare=False),
        get(_SETS, until=_sizes(1, 1), compare=False),
        get(_D, until=observed(replicas=2)),
    ),
    _deployment(
        "rolls out when its pod is ready",
        get(f"{CORE}/pods", until=counts(1), compare=False),
        ready("", step="{3.items.0.metadata.name}"),
        get(_D, until=_condition("Progressing", "NewReplicaSetAvailable")),
    ),
    _deployment(
        "goes back to an earlier template",
        patch(_D, image("x:2"), STRATEGIC, compare=False),
        get(_SETS, until=_sizes(0, 1), compare=False),
        patch(_D, image("x:1"), STRATEGIC, compare=False),
        get(
            _D,
            until=lambda a: (
                (a.at("metadata.annotations") or {}).get("deployment.kubernetes.io/revision") == "3"
            ),
            compare=False,
        ),
        get(_D, until=observed(updatedReplicas=1, replicas=1)),
    ),
    _deployment(
        "that recreates",
        patch(_D, image("x:2"), STRATEGIC, compare=False),
        get(_SETS, until=_sizes(0, 2), compare=False),
        pods(2),
        replicas=2,
        strategy={"type": "Recreate"},
    ),
    _deployment(
        "that is paused",
        patch(_D, {"spec": {"paused": True}}, compare=False),
        get(_D, until=_paused),
        patch(_D, image("x:2"), STRATEGIC, compare=False),
        settled(_D),
        listed(_SETS),
    ),
    _deployment(
        "that goes on",
        patch(_D, {"spec": {"paused": True}}, compare=False),
        get(_D, until=_condition("Progressing", "DeploymentPaused"), compare=False),
        patch(_D, {"spec": {"paused": False}}, compare=False),
        get(
            _D,
            until=lambda a: _resumed(a) and observed()(a),
        ),
    ),
    _deployment("without a deadline", get(_D), progressDeadlineSeconds=2**31 - 1),
    _deployment("with a time to be ready", listed(_SETS), minReadySeconds=5),
    _deployment(
        "that is deleted takes all along",
        delete(_D, mask=("details.uid",)),
        listed(_SETS, until=counts(0)),
        pods(0),
    ),
    _deployment(
        "that is deleted and leaves its sets",
        delete(f"{_D}?propagationPolicy=Orphan", compare=False),
        get(_D, until=lambda a: a.status == 404),
        listed(_SETS),
    ),
    _deployment(
        "deleted in the foreground",
        delete(f"{_D}?propagationPolicy=Foreground", compare=False),
        get(_D, until=lambda a: a.status == 404),
        listed(_SETS),
    ),
    _deployment(
        "takes back its orphans",
        delete(f"{_D}?propagationPolicy=Orphan", compare=False),
        get(_D, until=lambda a: a.status == 404, compare=False),
        post(f"{APPS}/deployments", workload(), compare=False),
        settled(_D, updatedReplicas=1),
        listed(_SETS),
    ),
    _deployment(
        "tells of it in events",
        get(
            f"{CORE}/events?fieldSelector=involvedObject.kind=Deployment",
            until=counts(1),
            mask=(
                "items.*.metadata.name",
                "items.*.message",
                "items.*.involvedObject.resourceVersion",
                *_LISTED,
            ),
        ),
    ),
]


def _set(kind: str, path: str, name: str, *steps: Step, **spec: Any) -> Case:
    body = workload(**spec)
    if kind == "replication controller":
        body["spec"]["selector"] = {"app": "a"}
    first = post(path, body, compare=False)
    replicas = spec.get("replicas", 1)
    return Case(
        f"controllers: a {kind} {name}", [first, settled(f"{path}/a", replicas=replicas), *steps]
    )


def _sets(kind: str, path: str) -> list[Case]:
    one = f"{path}/a"
    lone = {"metadata": {"name": "lone", "labels": {"app": "a"}}, "spec": template()["spec"]}
    return [
        _set(kind, path, "has its status", get(one), pods(2), replicas=2),
        _set(
            kind,
            path,
            "follows its scale",
            patch(f"{one}/scale", {"spec": {"replicas": 3}}, compare=False),
            settled(one, replicas=3),
            get(one),
        ),
        _set(
            kind,
            path,
            "counts what is ready",
            get(f"{CORE}/pods", until=counts(1), compare=False),
            ready("", step="{2.items.0.metadata.name}"),
            get(one, until=observed(readyReplicas=1)),
        ),
        _set(
            kind,
            path,
            "replaces a pod",
            get(f"{CORE}/pods", until=counts(1), compare=False),
            delete(f"{CORE}/pods/{{2.items.0.metadata.name}}", compare=False),
            get(
                f"{CORE}/pods",
                until=lambda a: len(a.at("items") or ()) == 1,
                mask=_DRAWN,
            ),
        ),
        Case(
            f"controllers: a {kind} takes orphans",
            [
                post(f"{CORE}/pods", lone, compare=False, until=lambda a: a.status != 403),
                post(
                    path,
                    workload()
                    if kind != "replication controller"
                    else {
                        "metadata": {"name": "a"},
                        "spec": {"selector": {"app": "a"}, "template": template()},
                    },
                    compare=False,
                ),
                settled(one, replicas=1),
                pods(1),
            ],
        ),
        _set(
            kind,
            path,
            "lets a pod go that it no longer selects",
            get(f"{CORE}/pods", until=counts(1), compare=False),
            patch(
                f"{CORE}/pods/{{2.items.0.metadata.name}}",
                {"metadata": {"labels": {"app": "b"}}},
                compare=False,
            ),
            get(f"{CORE}/pods", until=counts(2), compare=False),
            get(f"{CORE}/pods?labelSelector=app=b", mask=_DRAWN),
        ),
        _set(
            kind,
            path,
            "takes its pods along",
            delete(f"{one}?propagationPolicy=Background", compare=False),
            pods(0),
        ),
    ]


_S: Final = f"{APPS}/statefulsets"
_CLAIM: Final = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def _stateful(name: str, *steps: Step, replicas_seen: int = 1, **spec: Any) -> Case:
    first = post(_S, workload(**({"serviceName": "a"} | spec)), compare=False)
    wait = settled(f"{_S}/a", replicas=replicas_seen)
    named = get(f"{APPS}/controllerrevisions", compare=False)
    return Case(f"controllers: a stateful set {name}", [first, wait, named, *steps])


_STATEFUL_SETS: Final = [
    _stateful("makes its first pod", get(f"{_S}/a"), pods(1), replicas=3),
    _stateful(
        "makes all at once",
        get(f"{_S}/a"),
        pods(3),
        replicas=3,
        replicas_seen=3,
        podManagementPolicy="Parallel",
    ),
    _stateful(
        "makes the next when one is ready",
        ready("a-0"),
        settled(f"{_S}/a", replicas=2),
        get(f"{_S}/a"),
        pods(2),
        replicas=3,
    ),
    _stateful(
        "makes claims",
        listed(f"{CORE}/persistentvolumeclaims"),
        pods(1),
        volumeClaimTemplates=[_CLAIM],
    ),
    _stateful("has a revision", listed(f"{APPS}/controllerrevisions")),
    _stateful(
        "has another revision",
        ready("a-0"),
        settled(f"{_S}/a", readyReplicas=1),
        patch(f"{_S}/a", image("x:2"), STRATEGIC, compare=False),
        get(f"{APPS}/controllerrevisions", until=counts(2), compare=False),
        get(
            f"{CORE}/pods",
            until=lambda a: a.at("items.0.spec.containers.0.image") == "x:2",
            mask=_DRAWN,
        ),
        get(f"{_S}/a", until=observed(updatedReplicas=1, readyReplicas=None)),
    ),
    _stateful("begins elsewhere", pods(1), ordinals={"start": 5}),
    _stateful(
        "is scaled down from its end",
        patch(f"{_S}/a", {"spec": {"replicas": 1}}, compare=False),
        settled(f"{_S}/a", replicas=1),
        pods(1),
        replicas=3,
        replicas_seen=3,
        podManagementPolicy="Parallel",
    ),
    _stateful("is deleted", delete(f"{_S}/a", compare=False), pods(0)),
]

_DS: Final = f"{APPS}/daemonsets"
_NODES: Final = "/api/v1/nodes"
_ONLY: Final[dict[str, Any]] = {
    "nodeSelector": {"example.com/only": "{name}"},
    "tolerations": [{"operator": "Exists"}],
}


def node(suffix: str) -> Step:
    """Make a node without a kubelet."""
    labels = {"example.com/only": "{name}"}
    body = {"metadata": {"name": f"{{name}}-{suffix}", "labels": labels}}
    return post(_NODES, body, compare=False)


def _daemons(name: str, *steps: Step, nodes: int = 1, **spec: Any) -> Case:
    body = workload(**({"template": template(**_ONLY)} | spec))
    made = [node(str(number)) for number in range(nodes)]
    wait = settled(f"{_DS}/a", desiredNumberScheduled=nodes, currentNumberScheduled=nodes)
    cleanup = tuple(f"{_NODES}/{{name}}-{number}" for number in range(3))
    steps = (*made, post(_DS, body, compare=False), wait, *steps)
    return Case(f"controllers: a daemon set {name}", list(steps), cleanup)


_DAEMON_SETS: Final = [
    _daemons("of no node", get(f"{_DS}/a"), nodes=0),
    _daemons("of two nodes", get(f"{_DS}/a"), nodes=2),
    _daemons("makes pods", pods(1)),
    _daemons("has a revision", listed(f"{APPS}/controllerrevisions")),
    _daemons(
        "follows nodes",
        node("2"),
        settled(f"{_DS}/a", desiredNumberScheduled=2, currentNumberScheduled=2),
        get(f"{_DS}/a"),
    ),
    _daemons(
        "is updated",
        patch(f"{_DS}/a", image("x:2"), STRATEGIC, compare=False),
        settled(f"{_DS}/a", updatedNumberScheduled=1),
        get(f"{_DS}/a"),
        get(f"{APPS}/controllerrevisions", until=counts(2), compare=False),
    ),
    _daemons(
        "waits for a person",
        patch(f"{_DS}/a", image("x:2"), STRATEGIC, compare=False),
        get(f"{APPS}/controllerrevisions", until=counts(2), compare=False),
        settled(f"{_DS}/a", updatedNumberScheduled=None),
        get(f"{_DS}/a"),
        updateStrategy={"type": "OnDelete"},
    ),
]

CASES: Final[list[Case]] = [
    *_DEPLOYMENTS,
    *_sets("replica set", _SETS),
    *_sets("replication controller", f"{CORE}/replicationcontrollers"),
    *_STATEFUL_SETS,
    *_DAEMON_SETS,
]
