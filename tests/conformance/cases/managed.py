"""Managers of fields wherever they are shown, dry runs, preconditions, generations."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import (
    APPLY,
    JSON_PATCH,
    STRATEGIC,
    Case,
    Step,
    delete,
    get,
    patch,
    post,
    put,
    watch,
)

_MAPS: Final = "/api/v1/namespaces/{ns}/configmaps"
_MAP: Final = _MAPS + "/a"
_PODS: Final = "/api/v1/namespaces/{ns}/pods"
_POD: Final = _PODS + "/a"
_TEMPLATES: Final = "/api/v1/namespaces/{ns}/podtemplates"
_TEMPLATE: Final = _TEMPLATES + "/a"
_SETS: Final = "/apis/apps/v1/namespaces/{ns}/replicasets"
_SET: Final = _SETS + "/a"
_DEPLOYMENTS: Final = "/apis/apps/v1/namespaces/{ns}/deployments"
_DEPLOYMENT: Final = _DEPLOYMENTS + "/a"
_TABLE: Final = "application/json;as=Table;v=v1;g=meta.k8s.io"
_METADATA: Final = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
_METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
#: a server's own, in its own words
_WORDS: Final = ("columnDefinitions.*.description",)
_ELSE: Final = "11111111-2222-3333-4444-555555555555"


def _map(name: str = "a", metadata: dict[str, Any] | None = None, **data: str) -> dict[str, Any]:
    named = {"name": name, **(metadata or {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": named, "data": data}


def _pod_spec(image: str = "i:1") -> dict[str, Any]:
    containers = [{"name": "c", "image": image}]
    # nobody takes it: no controller and no kubelet writes it
    return {"containers": containers, "schedulerName": "nobody", "terminationGracePeriodSeconds": 0}


def _pod(name: str = "a", **metadata: Any) -> dict[str, Any]:
    named = {"name": name, **metadata}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": named, "spec": _pod_spec()}


def _sized(cpu: str) -> dict[str, Any]:
    """Return a pod whose container asks for so much."""
    pod = _pod()
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": cpu}}
    return pod


def _workload(kind: str, replicas: int = 0, image: str = "i:1", **spec: Any) -> dict[str, Any]:
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": _pod_spec(image)}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "a"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": template,
            **spec,
        },
    }


def _apply(path: str, body: object, manager: str = "m1", query: str = "", **more: Any) -> Step:
    joint = "&" if "?" in path else "?"
    return patch(f"{path}{joint}fieldManager={manager}{query}", body, APPLY, **more)


def _managed(name: str, *steps: Step) -> Case:
    return Case(f"managed: {name}", list(steps), managed_fields=True)


def _dry(name: str, *steps: Step) -> Case:
    return Case(f"dry run: {name}", list(steps), managed_fields=True)


def _precondition(name: str, *steps: Step) -> Case:
    return Case(f"precondition: {name}", list(steps))


def _generation(name: str, *steps: Step) -> Case:
    return Case(f"generation: {name}", list(steps))


_METADATA_ONLY: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
#: a controller's, when it gets to it
_REVISION: Final = (r"**.deployment\.kubernetes\.io/revision",)
_NEW: Final = post(_MAPS + "?fieldManager=m1", _map(x="1"))
#: what a controller of the real server would write by itself, at a time of its own
_SETTLED: Final = {"annotations": {"node.alpha.kubernetes.io/ttl": "0"}}
_NODE_CONDITION: Final = {
    "type": "Mine",
    "status": "True",
    "lastHeartbeatTime": "2024-01-01T00:00:00Z",
    "lastTransitionTime": "2024-01-01T00:00:00Z",
}
_SHOWN: Final = [
    _managed("in a list", _NEW, get(_MAPS + "?fieldSelector=metadata.name%3Da")),
    _managed(
        "in a list of metadata",
        _NEW,
        get(_MAPS + "?fieldSelector=metadata.name%3Da", accept=_METADATA_LIST),
    ),
    _managed("in metadata", _NEW, get(_MAP, accept=_METADATA)),
    _managed("in a table", _NEW, get(_MAP, accept=_TABLE, mask=_WORDS)),
    _managed(
        "in a table with objects",
        _NEW,
        get(_MAP + "?includeObject=Object", accept=_TABLE, mask=_WORDS),
    ),
    _managed(
        "in a table without objects",
        _NEW,
        get(_MAP + "?includeObject=None", accept=_TABLE, mask=_WORDS),
    ),
    _managed("in YAML", _NEW, get(_MAP, accept="application/yaml")),
    _managed("in protobuf", _NEW, get(_MAP, accept="application/vnd.kubernetes.protobuf")),
    _managed(
        "in watch events",
        post(_MAPS + "?fieldManager=m1", _map(x="1")),
        watch(
            _MAPS + "?resourceVersion={0.metadata.resourceVersion}&fieldSelector=metadata.name%3Da",
            4,
            during=(
                _apply(_MAP, _map(y="1"), "m2"),
                patch(_MAP + "?fieldManager=m3", {"data": {"x": "2"}}),
                patch(_MAP + "?fieldManager=m3", {"metadata": {"managedFields": [{}]}}),
                delete(_MAP),
            ),
        ),
    ),
    _managed(
        "in watch events of metadata",
        _NEW,
        watch(
            _MAPS + "?resourceVersion={0.metadata.resourceVersion}&fieldSelector=metadata.name%3Da",
            1,
            accept=_METADATA,
            during=(_apply(_MAP, _map(y="1"), "m2"),),
        ),
    ),
    _managed(
        "of what is deleted",
        post(_MAPS + "?fieldManager=m1", _map(x="1", metadata={"finalizers": ["a.io/b"]})),
        delete(_MAP),
        patch(_MAP + "?fieldManager=m2", {"metadata": {"finalizers": None}}),
    ),
    _managed(
        "metadata alone",
        post(_MAPS + "?fieldManager=m1", _map()),
        patch(_MAP + "?fieldManager=m2", {"metadata": {"labels": {"a": "b"}}}),
        patch(_MAP + "?fieldManager=m3", {"metadata": {"annotations": {"a": "b"}}}),
        patch(_MAP + "?fieldManager=m2", {"metadata": {"labels": {"a": None}}}),
    ),
    _managed(
        "of a generated name",
        post(
            _MAPS + "?fieldManager=m1",
            {"metadata": {"generateName": "a-", "labels": {"x": "y"}}, "data": {"x": "1"}},
        ),
    ),
    _managed(
        "of owner references",
        _NEW,
        post(
            _MAPS + "?fieldManager=m1",
            _map(
                "b",
                {
                    "ownerReferences": [
                        {
                            "apiVersion": "v1",
                            "kind": "ConfigMap",
                            "name": "a",
                            "uid": "{0.metadata.uid}",
                        }
                    ]
                },
            ),
        ),
        patch(
            _MAPS + "/b?fieldManager=m2",
            {
                "metadata": {
                    "ownerReferences": [
                        {
                            "apiVersion": "v1",
                            "kind": "ConfigMap",
                            "name": "c",
                            "uid": _ELSE,
                        }
                    ]
                }
            },
            STRATEGIC,
        ),
    ),
    _managed(
        "of a pod",
        post(_PODS + "?fieldManager=m1", _pod(labels={"a": "b"}), mask=("status",)),
        patch(
            _POD + "?fieldManager=m2",
            {"spec": {"containers": [{"name": "c", "image": "i:2"}]}},
            STRATEGIC,
            mask=("status",),
        ),
        patch(
            _POD + "/status?fieldManager=m3",
            {"status": {"conditions": [{"type": "Ready", "status": "False"}], "phase": "Running"}},
            STRATEGIC,
            mask=("status",),
        ),
        _apply(
            _POD + "/status",
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "a"},
                "status": {"conditions": [{"type": "Mine", "status": "True"}]},
            },
            "m4",
            mask=("status",),
        ),
    ),
    _managed(
        "of a pod's resize",
        post(_PODS + "?fieldManager=m1", _sized("1"), mask=("status",)),
        patch(
            _POD + "/resize?fieldManager=m2",
            {"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "2"}}}]}},
            STRATEGIC,
            mask=("status",),
        ),
    ),
    _managed(
        "of a pod's ephemeral containers",
        post(_PODS + "?fieldManager=m1", _pod(), mask=("status",)),
        patch(
            _POD + "/ephemeralcontainers?fieldManager=m2",
            {"spec": {"ephemeralContainers": [{"name": "d", "image": "i:1"}]}},
            STRATEGIC,
            mask=("status",),
        ),
    ),
    _managed(
        "of a pod's binding",
        post(_PODS + "?fieldManager=m1", _pod(), mask=("status",)),
        post(
            _POD + "/binding?fieldManager=m2",
            {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": "a"},
                "target": {"kind": "Node", "name": "absent-node"},
            },
        ),
        get(_POD, mask=("status",)),
    ),
    _managed(
        "of a namespace",
        post(
            "/api/v1/namespaces?fieldManager=m1",
            {"metadata": {"name": "{name}", "labels": {"a": "b"}}},
        ),
        patch("/api/v1/namespaces/{name}?fieldManager=m2", {"metadata": {"labels": {"a": "c"}}}),
        delete("/api/v1/namespaces/{name}", mask=("status", "metadata.managedFields")),
    ),
    _managed(
        "of a node",
        post(
            "/api/v1/nodes?fieldManager=m1",
            {"metadata": {"name": "{name}", **_SETTLED}, "spec": {"unschedulable": True}},
        ),
        patch(
            "/api/v1/nodes/{name}/status?fieldManager=m3",
            {
                "metadata": {"labels": {"x": "y"}},
                "status": {"conditions": [_NODE_CONDITION]},
            },
            STRATEGIC,
            mask=("spec.taints",),  # a controller's
        ),
        _apply(
            "/api/v1/nodes/{name}",
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": "{name}", "labels": {"x": "z"}},
            },
            "m4",
            mask=("spec.taints",),
        ),
        delete("/api/v1/nodes/{name}", mask=("spec.taints",)),
    ),
    _managed(
        "of a lease",
        post(
            "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases?fieldManager=m1",
            {"metadata": {"name": "a"}, "spec": {"holderIdentity": "x"}},
        ),
        put(
            "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases/a?fieldManager=m2",
            {
                "metadata": {"name": "a", "resourceVersion": "{0.metadata.resourceVersion}"},
                "spec": {"holderIdentity": "y", "leaseDurationSeconds": 3},
            },
        ),
    ),
    _managed(
        "of a secret",
        post(
            "/api/v1/namespaces/{ns}/secrets?fieldManager=m1",
            {"metadata": {"name": "a"}, "stringData": {"x": "1"}, "type": "Opaque"},
        ),
        _apply(
            "/api/v1/namespaces/{ns}/secrets/a",
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "a"},
                "stringData": {"x": "2", "y": "1"},
            },
            "m2",
            "&force=true",
        ),
    ),
    _managed(
        "of a role",
        post(
            "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles?fieldManager=m1",
            {
                "metadata": {"name": "a"},
                "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
            },
        ),
        patch(
            "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles/a?fieldManager=m2",
            {"rules": []},
        ),
    ),
    _managed(
        "of a service",
        post(
            "/api/v1/namespaces/{ns}/services?fieldManager=m1",
            {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}},
        ),
        _apply(
            "/api/v1/namespaces/{ns}/services/a",
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "a"},
                "spec": {"ports": [{"port": 81, "name": "x"}, {"port": 80, "name": "y"}]},
            },
            "m2",
            "&force=true",
        ),
    ),
    _managed(
        "of a job's status",
        post(
            "/apis/batch/v1/namespaces/{ns}/jobs?fieldManager=m1",
            {
                "metadata": {"name": "a"},
                "spec": {
                    "suspend": True,
                    "template": {"spec": {**_pod_spec(), "restartPolicy": "Never"}},
                },
            },
            mask=("spec.selector", "spec.template.metadata", "metadata.labels", "status"),
        ),
    ),
]

_ALL: Final = "?dryRun=All"
_DRY: Final = [
    _dry("create", post(_MAPS + _ALL + "&fieldManager=m1", _map(x="1")), get(_MAP)),
    _dry("create of what is there", _NEW, post(_MAPS + _ALL, _map(x="2"))),
    _dry("create of a generated name", post(_MAPS + _ALL, {"metadata": {"generateName": "a-"}})),
    _dry(
        "create in an absent namespace", post("/api/v1/namespaces/absent/configmaps" + _ALL, _map())
    ),
    _dry("create that is invalid", post(_MAPS + _ALL, _map("A"))),
    _dry(
        "create of a service",
        post(
            "/api/v1/namespaces/{ns}/services" + _ALL,
            {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}], "type": "NodePort"}},
        ),
        get("/api/v1/namespaces/{ns}/services/a"),
    ),
    _dry(
        "update",
        _NEW,
        put(_MAP + _ALL + "&fieldManager=m2", _map(x="2", y="1")),
        get(_MAP),
    ),
    _dry(
        "update of another version",
        _NEW,
        put(_MAP + _ALL, _map(metadata={"resourceVersion": "1"}, x="2")),
    ),
    _dry("update of what is not there", put(_MAP + _ALL, _map(x="2"))),
    _dry(
        "merge patch",
        _NEW,
        patch(_MAP + _ALL + "&fieldManager=m2", {"data": {"x": "2"}}),
        get(_MAP),
    ),
    _dry(
        "JSON patch",
        _NEW,
        patch(
            _MAP + _ALL + "&fieldManager=m2",
            [{"op": "add", "path": "/data/y", "value": "1"}],
            JSON_PATCH,
        ),
        get(_MAP),
    ),
    _dry(
        "strategic patch",
        post(_TEMPLATES, {"metadata": {"name": "a"}, "template": {"spec": _pod_spec()}}),
        patch(
            _TEMPLATE + _ALL + "&fieldManager=m2",
            {"template": {"spec": {"containers": [{"name": "d", "image": "i:2"}]}}},
            STRATEGIC,
        ),
        get(_TEMPLATE),
    ),
    _dry("apply that creates", _apply(_MAP + _ALL, _map(x="1")), get(_MAP)),
    _dry(
        "apply of what is there",
        _apply(_MAP, _map(x="1")),
        _apply(_MAP + _ALL, _map(y="1")),
        get(_MAP),
    ),
    _dry(
        "apply that conflicts",
        _apply(_MAP, _map(x="1")),
        _apply(_MAP + _ALL, _map(x="2"), "m2"),
        _apply(_MAP + _ALL, _map(x="2"), "m2", "&force=true"),
        get(_MAP),
    ),
    _dry(
        "apply in an absent namespace",
        _apply("/api/v1/namespaces/absent/configmaps/a" + _ALL, _map()),
    ),
    _dry("delete", _NEW, delete(_MAP + _ALL), get(_MAP)),
    _dry("delete by its body", _NEW, delete(_MAP, {"dryRun": ["All"]}), get(_MAP)),
    _dry(
        "delete of what has finalizers",
        post(_MAPS + "?fieldManager=m1", _map(metadata={"finalizers": ["a.io/b"]})),
        delete(_MAP + _ALL),
        get(_MAP),
        delete(_MAP),
        delete(_MAP + _ALL),
        patch(_MAP + _ALL, {"metadata": {"finalizers": None}}),
        get(_MAP),
        patch(_MAP, {"metadata": {"finalizers": None}}),
        get(_MAP),
    ),
    _dry("delete of what is not there", delete(_MAP + _ALL)),
    _dry(
        "delete with dependents in the foreground",
        _NEW,
        delete(_MAP + _ALL + "&propagationPolicy=Foreground"),
        get(_MAP),
    ),
    _dry(
        "delete of a pod",
        post(_PODS, _pod(), mask=("status",)),
        delete(_POD + _ALL, mask=("status",)),
        get(_POD, mask=("status",)),
    ),
    _dry(
        "delete of a collection",
        post(_MAPS + "?fieldManager=m1", _map(x="1", metadata={"labels": {"l": "1"}})),
        delete(_MAPS + _ALL + "&labelSelector=l%3D1"),
        get(_MAP),
    ),
    _dry(
        "eviction",
        post(_PODS, _pod(), mask=("status",)),
        post(
            _POD + "/eviction",
            {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": "a"},
                "deleteOptions": {"dryRun": ["All"]},
            },
        ),
        post(
            _POD + "/eviction" + _ALL,
            {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}},
        ),
        get(_POD, mask=("status",)),
    ),
    _dry(
        "binding",
        post(_PODS, _pod(), mask=("status",)),
        post(
            _POD + "/binding" + _ALL,
            {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": "a"},
                "target": {"kind": "Node", "name": "absent-node"},
            },
        ),
        get(_POD, mask=("status",)),
    ),
    _dry(
        "status",
        post(_PODS + "?fieldManager=m1", _pod(), mask=("status",)),
        patch(
            _POD + "/status" + _ALL + "&fieldManager=m2",
            {"status": {"message": "x"}},
            mask=("status",),
        ),
        get(_POD, mask=("status",)),
    ),
    _dry(
        "scale",
        post(_SETS + "?fieldManager=m1", _workload("ReplicaSet"), mask=("status",)),
        patch(_SET + "/scale" + _ALL + "&fieldManager=m2", {"spec": {"replicas": 2}}),
        get(_SET + "/scale"),
    ),
    _dry("that is none", post(_MAPS + "?dryRun=Some", _map())),
    _dry("that is empty", post(_MAPS + "?dryRun=", _map()), get(_MAP)),
    _dry("twice", post(_MAPS + "?dryRun=All&dryRun=All", _map()), get(_MAP)),
    _dry("of an update that is none", _NEW, put(_MAP + "?dryRun=Some", _map(x="2"))),
    _dry("of a patch that is none", _NEW, patch(_MAP + "?dryRun=Some", {"data": {"x": "2"}})),
    _dry("of an apply that is none", _apply(_MAP + "?dryRun=Some", _map(x="1"))),
    _dry("of a delete that is none", _NEW, delete(_MAP + "?dryRun=Some"), get(_MAP)),
    _dry("of a delete's body that is none", _NEW, delete(_MAP, {"dryRun": ["Some"]}), get(_MAP)),
    _dry(
        "of a namespace",
        post("/api/v1/namespaces" + _ALL, {"metadata": {"name": "{name}"}}),
        get("/api/v1/namespaces/{name}"),
    ),
    _dry(
        "of the delete of a namespace", delete("/api/v1/namespaces/{ns}" + _ALL, mask=("metadata",))
    ),
    _dry(
        "takes no version",
        _NEW,
        patch(_MAP + _ALL, {"data": {"x": "2"}}),
        put(_MAP, _map(metadata={"resourceVersion": "{0.metadata.resourceVersion}"}, x="3")),
    ),
]

_RIGHT: Final = {"uid": "{0.metadata.uid}", "resourceVersion": "{0.metadata.resourceVersion}"}
_PRECONDITIONS: Final = [
    _precondition(
        "delete of this uid", _NEW, delete(_MAP, {"preconditions": {"uid": "{0.metadata.uid}"}})
    ),
    _precondition("delete of another uid", _NEW, delete(_MAP, {"preconditions": {"uid": _ELSE}})),
    _precondition(
        "delete of this version",
        _NEW,
        delete(_MAP, {"preconditions": {"resourceVersion": "{0.metadata.resourceVersion}"}}),
    ),
    _precondition(
        "delete of another version",
        _NEW,
        delete(_MAP, {"preconditions": {"resourceVersion": "1"}}),
    ),
    _precondition("delete of this uid and version", _NEW, delete(_MAP, {"preconditions": _RIGHT})),
    _precondition(
        "delete of this uid and another version",
        _NEW,
        delete(_MAP, {"preconditions": {**_RIGHT, "resourceVersion": "1"}}),
    ),
    _precondition(
        "delete of another uid and version",
        _NEW,
        delete(_MAP, {"preconditions": {"uid": _ELSE, "resourceVersion": "1"}}),
    ),
    _precondition("delete of an empty uid", _NEW, delete(_MAP, {"preconditions": {"uid": ""}})),
    _precondition(
        "delete of an empty version", _NEW, delete(_MAP, {"preconditions": {"resourceVersion": ""}})
    ),
    _precondition("delete of nothing in particular", _NEW, delete(_MAP, {"preconditions": {}})),
    _precondition("delete of what is none", _NEW, delete(_MAP, {"preconditions": {"uid": 1}})),
    _precondition(
        "delete as a dry run", _NEW, delete(_MAP + _ALL, {"preconditions": {"uid": _ELSE}})
    ),
    _precondition(
        "delete of what waits for finalizers",
        post(_MAPS, _map(metadata={"finalizers": ["a.io/b"]})),
        delete(_MAP, {"preconditions": {"uid": _ELSE}}),
        delete(_MAP, {"preconditions": _RIGHT}),
        delete(_MAP, {"preconditions": _RIGHT}),
        delete(_MAP, {"preconditions": {"uid": "{0.metadata.uid}"}}),
        patch(_MAP, {"metadata": {"finalizers": None}}),
    ),
    _precondition(
        "delete of a pod",
        post(_PODS, _pod(), mask=("status",)),
        delete(_POD, {"preconditions": {"uid": _ELSE}}),
        delete(_POD, {"preconditions": {"resourceVersion": "1"}}),
    ),
    _precondition(
        "delete of a collection",
        post(_MAPS, _map(metadata={"labels": {"l": "1"}})),
        delete(_MAPS + "?labelSelector=l%3D1", {"preconditions": {"uid": _ELSE}}),
        get(_MAP),
    ),
    _precondition(
        "delete of a deployment",
        post(_DEPLOYMENTS, _workload("Deployment"), compare=False),
        delete(_DEPLOYMENT, {"preconditions": {"uid": _ELSE}}),
    ),
    _precondition(
        "delete of a namespace",
        get("/api/v1/namespaces/{ns}", compare=False),
        delete("/api/v1/namespaces/{ns}", {"preconditions": {"uid": _ELSE}}),
        delete("/api/v1/namespaces/{ns}", {"preconditions": {"resourceVersion": "1"}}),
    ),
    _precondition(
        "eviction",
        post(_PODS, _pod(), mask=("status",)),
        post(
            _POD + "/eviction",
            {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": "a"},
                "deleteOptions": {"preconditions": {"uid": _ELSE}},
            },
        ),
        post(
            _POD + "/eviction",
            {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": "a"},
                "deleteOptions": {"preconditions": {"resourceVersion": "1"}},
            },
        ),
    ),
    _precondition("update of another uid", _NEW, put(_MAP, _map(metadata={"uid": _ELSE}, x="2"))),
    _precondition(
        "update of this uid", _NEW, put(_MAP, _map(metadata={"uid": "{0.metadata.uid}"}, x="2"))
    ),
    _precondition(
        "update of another version", _NEW, put(_MAP, _map(metadata={"resourceVersion": "1"}, x="2"))
    ),
    _precondition(
        "update of a version that is none",
        _NEW,
        put(_MAP, _map(metadata={"resourceVersion": "x"}, x="2")),
    ),
    _precondition(
        "update of version 0", _NEW, put(_MAP, _map(metadata={"resourceVersion": "0"}, x="2"))
    ),
    _precondition(
        "update of a version to come",
        _NEW,
        put(_MAP, _map(metadata={"resourceVersion": "999999999999"}, x="2")),
    ),
    _precondition("update of this uid and version", _NEW, put(_MAP, _map(metadata=_RIGHT, x="2"))),
    _precondition(
        "update of another uid and version",
        _NEW,
        put(_MAP, _map(metadata={"uid": _ELSE, "resourceVersion": "1"}, x="2")),
    ),
    _precondition(
        "merge patch of another uid",
        _NEW,
        patch(_MAP, {"metadata": {"uid": _ELSE}, "data": {"x": "2"}}),
    ),
    _precondition(
        "merge patch of another version",
        _NEW,
        patch(_MAP, {"metadata": {"resourceVersion": "1"}, "data": {"x": "2"}}),
    ),
    _precondition(
        "merge patch of this uid and version",
        _NEW,
        patch(_MAP, {"metadata": _RIGHT, "data": {"x": "2"}}),
    ),
    _precondition(
        "merge patch that takes the version away",
        _NEW,
        patch(_MAP, {"metadata": {"resourceVersion": None, "uid": None}, "data": {"x": "2"}}),
    ),
    _precondition(
        "merge patch of another version that changes nothing else",
        _NEW,
        patch(_MAP, {"metadata": {"resourceVersion": "1"}}),
    ),
    _precondition(
        "strategic patch of another uid",
        _NEW,
        patch(_MAP, {"metadata": {"uid": _ELSE}, "data": {"x": "2"}}, STRATEGIC),
    ),
    _precondition(
        "strategic patch of another version",
        _NEW,
        patch(_MAP, {"metadata": {"resourceVersion": "1"}, "data": {"x": "2"}}, STRATEGIC),
    ),
    _precondition(
        "JSON patch that tests the version",
        _NEW,
        patch(
            _MAP,
            [
                {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
                {"op": "add", "path": "/data/y", "value": "1"},
            ],
            JSON_PATCH,
        ),
        patch(
            _MAP,
            [
                {
                    "op": "test",
                    "path": "/metadata/resourceVersion",
                    "value": "{0.metadata.resourceVersion}",
                },
                {"op": "test", "path": "/metadata/uid", "value": "{0.metadata.uid}"},
                {"op": "add", "path": "/data/y", "value": "1"},
            ],
            JSON_PATCH,
        ),
    ),
    _precondition(
        "JSON patch that sets the version",
        _NEW,
        patch(
            _MAP, [{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}], JSON_PATCH
        ),
    ),
    _precondition("apply of another uid", _NEW, _apply(_MAP, _map(metadata={"uid": _ELSE}, y="1"))),
    _precondition(
        "apply of another version",
        _NEW,
        _apply(_MAP, _map(metadata={"resourceVersion": "1"}, y="1")),
    ),
    _precondition(
        "apply of this uid and version", _NEW, _apply(_MAP, _map(metadata=_RIGHT, y="1"))
    ),
    _precondition(
        "apply of a version of what is not there",
        _apply(_MAP, _map(metadata={"resourceVersion": "1"}, y="1")),
    ),
    _precondition(
        "status",
        post(_PODS, _pod(), mask=("status",)),
        put(
            _POD + "/status",
            {**_pod(uid=_ELSE), "status": {"message": "x"}},
            mask=("status",),
        ),
        put(
            _POD + "/status",
            {**_pod(resourceVersion="1"), "status": {"message": "x"}},
            mask=("status",),
        ),
        patch(
            _POD + "/status",
            {"metadata": {"uid": _ELSE}, "status": {"message": "x"}},
            STRATEGIC,
            mask=("status",),
        ),
    ),
    _precondition(
        "scale",
        post(_SETS, _workload("ReplicaSet"), compare=False),
        put(
            _SET + "/scale",
            {
                "apiVersion": "autoscaling/v1",
                "kind": "Scale",
                "metadata": {"name": "a", "namespace": "{ns}", "resourceVersion": "1"},
                "spec": {"replicas": 0},
            },
        ),
        put(
            _SET + "/scale",
            {
                "apiVersion": "autoscaling/v1",
                "kind": "Scale",
                "metadata": {"name": "a", "namespace": "{ns}", "uid": _ELSE},
                "spec": {"replicas": 0},
            },
        ),
    ),
    _precondition(
        "create with a uid and a version",
        post(_MAPS, _map(metadata={"uid": _ELSE}, x="1")),
        post(_MAPS, _map("b", metadata={"resourceVersion": "1"}, x="1")),
    ),
    _precondition(
        "binding",
        post(_PODS, _pod(), mask=("status",)),
        post(
            _POD + "/binding",
            {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": "a", "uid": _ELSE},
                "target": {"kind": "Node", "name": "absent-node"},
            },
        ),
        post(
            _POD + "/binding",
            {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": "a", "uid": "{0.metadata.uid}"},
                "target": {"kind": "Node", "name": "absent-node"},
            },
        ),
    ),
]

_HELD: Final = {"finalizers": ["a.io/b"]}


def _generations(plural: str, new: dict[str, Any], change: dict[str, Any], *mask: str) -> Case:
    """Make a case of what raises a kind's generation: what is wanted, and the wish that it goes."""
    path = f"{plural}/a"
    held = {**new, "metadata": {"name": "a", **_HELD}}
    return _generation(
        plural.rpartition("/")[2],
        post(plural, held, mask=mask),
        patch(path, {"metadata": {"labels": {"x": "y"}}}, mask=mask),
        patch(path, change, mask=mask),
        patch(path, change, mask=mask),
        patch(path, {"metadata": {"generation": 7}}, mask=mask),
        patch(f"{path}{_ALL}", {"metadata": {"annotations": {"x": "y"}}, **change}, mask=mask),
        delete(path, mask=mask),
        delete(path, mask=mask),
        patch(path, {"metadata": {"finalizers": None}}, compare=False),
    )


_RULES: Final = {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}
_BACKEND: Final = {"service": {"name": "x", "port": {"number": 80}}}
_GENERATIONS: Final = [
    _generations(_MAPS, _map(x="1"), {"data": {"x": "2"}}),
    _generations("/api/v1/namespaces/{ns}/secrets", {"type": "Opaque"}, {"data": {"x": "eA=="}}),
    _generations(
        "/api/v1/namespaces/{ns}/services",
        {"spec": {"ports": [{"port": 80}]}},
        {"spec": {"selector": {"a": "b"}}},
    ),
    _generations(
        "/api/v1/namespaces/{ns}/endpoints",
        {"subsets": []},
        {"subsets": [{"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 80}]}]},
    ),
    _generations(_PODS, {"spec": _pod_spec()}, {"spec": {"activeDeadlineSeconds": 9}}, "status"),
    _generations(
        _SETS,
        _workload("ReplicaSet"),
        {"spec": {"minReadySeconds": 5}},
        "status",
    ),
    _generations(
        "/apis/apps/v1/namespaces/{ns}/daemonsets",
        {
            "spec": {
                "selector": {"matchLabels": {"app": "a"}},
                "template": {
                    "metadata": {"labels": {"app": "a"}},
                    "spec": {**_pod_spec(), "nodeSelector": {"none": "such"}},
                },
            }
        },
        {"spec": {"minReadySeconds": 5}},
        "status",
    ),
    _generations(
        "/apis/networking.k8s.io/v1/namespaces/{ns}/ingresses",
        {"spec": {"defaultBackend": _BACKEND}},
        {"spec": {"ingressClassName": "x"}},
    ),
    _generations(
        "/apis/networking.k8s.io/v1/namespaces/{ns}/networkpolicies",
        {"spec": {"podSelector": {}}},
        {"spec": {"policyTypes": ["Egress"]}},
    ),
    _generations(
        "/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets",
        {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"no": "such"}}}},
        {"spec": {"minAvailable": 2}},
        "status",
    ),
    _generations("/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles", _RULES, {"rules": []}),
    _generations(
        "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases",
        {"spec": {"holderIdentity": "x"}},
        {"spec": {"holderIdentity": "y"}},
    ),
    _generations(
        "/api/v1/namespaces/{ns}/serviceaccounts", {}, {"automountServiceAccountToken": True}
    ),
    _generations(
        "/api/v1/namespaces/{ns}/limitranges",
        {"spec": {"limits": []}},
        {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "9"}}]}},
    ),
    _generations(
        _TEMPLATES,
        {"template": {"spec": _pod_spec()}},
        {"template": {"metadata": {"labels": {"a": "b"}}}},
    ),
    _generation(
        "scale",
        post(_SETS, _workload("ReplicaSet"), mask=("status",)),
        patch(_SET + "/scale", {"spec": {"replicas": 0}}),
        patch(_SET + "/scale", {"spec": {"replicas": 1}}),
        get(_SET, mask=("status",)),
    ),
    _generation(
        "status",
        post(_PODS, _pod(), mask=("status",)),
        patch(_POD + "/status", {"status": {"message": "x"}}, mask=("status",)),
        patch(_POD + "/status", {"spec": {"activeDeadlineSeconds": 5}}, mask=("status",)),
    ),
    _generation(
        "annotations of a deployment",
        post(_DEPLOYMENTS, _workload("Deployment", replicas=0), compare=False),
        *(
            patch(
                _DEPLOYMENTS + path,
                {"metadata": {key: {"x": "y"}}},
                accept=_METADATA_ONLY,
                mask=_REVISION,
            )
            for path, key in (("/a", "annotations"), ("/a", "labels"), ("/a/status", "annotations"))
        ),
    ),
    _generation(
        "apply",
        _apply(_SET, _workload("ReplicaSet"), mask=("status",)),
        _apply(_SET, _workload("ReplicaSet"), mask=("status",)),
        _apply(_SET, _workload("ReplicaSet", minReadySeconds=3), mask=("status",)),
    ),
    _generation(
        "stated by the client",
        post(
            _SETS,
            {**_workload("ReplicaSet"), "metadata": {"name": "a", "generation": 5}},
            mask=("status",),
        ),
        put(
            _SET,
            {**_workload("ReplicaSet"), "metadata": {"name": "a", "generation": 9}},
            mask=("status",),
        ),
    ),
]

CASES: Final[list[Case]] = [*_SHOWN, *_DRY, *_PRECONDITIONS, *_GENERATIONS]
