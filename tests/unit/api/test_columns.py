"""Printed columns: every kind's rows hold together, and each cell says what a real server says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from capim.api.columns import cells_of, columns_of, conditions_of
from capim.api.columns.custom import cell_of
from capim.api.columns.definitions import human_duration, selector_text, since
from capim.api.meta import format_time
from capim.api.resources import WORKLOAD_RESOURCES, PrinterColumn, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from capim.api.columns import Cell
    from capim.api.meta import JsonObject

NOW = 1_700_000_000.0
AN_HOUR_AGO = format_time(NOW - 3600)
KINDS = {resource.kind: resource for resource in WORKLOAD_RESOURCES}
CUSTOM = Resource("example.com", "v1", "things", "Thing", True, "thing", custom=True)


def printed(kind: str, obj: Mapping[str, Any]) -> dict[str, Cell]:
    """Return an object's cells by the names of their columns."""
    metadata = {"name": "n", "creationTimestamp": AN_HOUR_AGO} | obj.get("metadata", {})
    columns = columns_of(KINDS[kind])
    cells = cells_of(columns, {**obj, "metadata": metadata}, NOW)
    return {column.name: cell for column, cell in zip(columns, cells, strict=True)}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_bare_object_prints(kind: str) -> None:
    required: dict[str, JsonObject] = {
        "ClusterRoleBinding": {"roleRef": {"kind": "ClusterRole", "name": "r"}},
        "RoleBinding": {"roleRef": {"kind": "Role", "name": "r"}},
        "HorizontalPodAutoscaler": {"spec": {"scaleTargetRef": {"kind": "D", "name": "d"}}},
    }
    cells = printed(kind, required.get(kind, {}))
    assert cells["Name"] == "n"
    assert "<invalid>" not in cells.values()
    assert cells.get("Age", "60m") == "60m"
    assert cells.get("Created At", AN_HOUR_AGO) == AN_HOUR_AGO


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_column_definitions_are_whole(kind: str) -> None:
    columns = columns_of(KINDS[kind])
    assert len({column.name for column in columns}) == len(columns)
    assert [column.name for column in columns if column.format == "name"][:1] == ["Name"]
    for column in columns:
        assert column.type in {"string", "integer", "boolean", "date"}
        assert column.description


# --- nodes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "unschedulable", "shown"),
    [
        ("True", False, "Ready"),
        ("False", False, "NotReady"),
        ("Unknown", True, "NotReady,SchedulingDisabled"),
        (None, False, "Unknown"),
        ("True", True, "Ready,SchedulingDisabled"),
    ],
)
def test_node_status(status: str | None, unschedulable: bool, shown: str) -> None:
    conditions = [{"type": "Ready", "status": status}] if status else []
    node = {"spec": {"unschedulable": unschedulable}, "status": {"conditions": conditions}}
    assert printed("Node", node)["Status"] == shown


def test_node_wide() -> None:
    labels = {
        "node-role.kubernetes.io/worker": "",
        "node-role.kubernetes.io/control-plane": "",
        "kubernetes.io/role": "old",
        "node-role.kubernetes.io/": "x",
    }
    status = {
        "addresses": [
            {"type": "Hostname", "address": "n"},
            {"type": "InternalIP", "address": "10.0.0.1"},
            {"type": "InternalIP", "address": "fd00::1"},
        ],
        "nodeInfo": {"kubeletVersion": "v1.35.4", "osImage": "Memory"},
    }
    cells = printed("Node", {"metadata": {"labels": labels}, "status": status})
    assert cells == {
        "Name": "n",
        "Status": "Unknown",
        "Roles": "control-plane,old,worker",
        "Age": "60m",
        "Version": "v1.35.4",
        "Internal-IP": "10.0.0.1",
        "External-IP": "<none>",
        "OS-Image": "Memory",
        "Kernel-Version": "<unknown>",
        "Container-Runtime": "<unknown>",
    }


# --- pods --------------------------------------------------------------------------------------------

RUNNING = {"name": "c", "ready": True, "state": {"running": {}}}
DONE = {"name": "c", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
FAILED = {"name": "c", "state": {"terminated": {"exitCode": 3}}}
KILLED = {"name": "c", "state": {"terminated": {"exitCode": 137, "signal": 9}}}
CRASHING = {"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
STARTING = {"name": "c", "state": {"waiting": {"reason": "PodInitializing"}}}
READY = {"type": "Ready", "status": "True"}
GONE = {"metadata": {"deletionTimestamp": AN_HOUR_AGO}}


def pod(phase: str, *statuses: JsonObject, init: Any = (), **more: Any) -> JsonObject:
    """Make a pod of so many containers; `init` are the statuses of its init containers."""
    status = {
        "phase": phase,
        "containerStatuses": list(statuses),
        "initContainerStatuses": [one | {"name": f"i{n}"} for n, one in enumerate(init)],
    }
    always = more.pop("sidecars", ())
    init_containers = [
        {"name": f"i{n}"} | ({"restartPolicy": "Always"} if n in always else {})
        for n in range(len(init))
    ]
    spec = {
        "containers": [{"name": "c"}] * max(1, len(statuses)),
        "initContainers": init_containers,
    }
    status |= more.pop("status", {})
    return {"spec": spec, "status": status} | more


@pytest.mark.parametrize(
    ("made", "ready", "status"),
    [
        pytest.param(pod("Pending"), "0/1", "Pending", id="pending"),
        pytest.param(pod("Running", RUNNING), "1/1", "Running", id="running"),
        pytest.param(pod("Running", RUNNING, CRASHING), "1/2", "CrashLoopBackOff", id="crash"),
        pytest.param(pod("Succeeded", DONE), "0/1", "Completed", id="completed"),
        pytest.param(
            pod("Running", DONE, RUNNING, status={"conditions": [READY]}),
            "1/2",
            "Running",
            id="some",
        ),
        pytest.param(pod("Running", DONE, RUNNING), "1/2", "NotReady", id="not-ready"),
        pytest.param(pod("Failed", FAILED), "0/1", "ExitCode:3", id="exit-code"),
        pytest.param(pod("Failed", KILLED), "0/1", "Signal:9", id="signal"),
        pytest.param(pod("Failed", DONE, FAILED), "0/2", "ExitCode:3", id="error-wins"),
        pytest.param(pod("Failed", status={"reason": "Evicted"}), "0/1", "Evicted", id="evicted"),
        pytest.param(pod("Pending", STARTING, init=[STARTING]), "0/1", "Init:0/1", id="init"),
        pytest.param(
            pod("Pending", STARTING, init=[DONE, CRASHING]),
            "0/1",
            "Init:CrashLoopBackOff",
            id="init-crash",
        ),
        pytest.param(pod("Pending", init=[DONE, FAILED]), "0/1", "Init:ExitCode:3", id="init-exit"),
        pytest.param(pod("Pending", init=[KILLED]), "0/1", "Init:Signal:9", id="init-signal"),
        pytest.param(
            pod("Running", RUNNING, init=[RUNNING | {"started": True}], sidecars=[0]),
            "2/2",
            "Running",
            id="sidecar",
        ),
        pytest.param(
            pod("Pending", STARTING, init=[RUNNING | {"started": True}, {}], sidecars=[0]),
            "1/2",
            "Init:1/2",
            id="sidecar-first",
        ),
        pytest.param(pod("Running", RUNNING, **GONE), "1/1", "Terminating", id="terminating"),
        pytest.param(pod("Succeeded", DONE, **GONE), "0/1", "Completed", id="ended-and-going"),
        pytest.param(
            pod("Running", RUNNING, status={"reason": "NodeLost"}, **GONE),
            "1/1",
            "Unknown",
            id="lost",
        ),
        pytest.param(
            pod(
                "Pending",
                status={"conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]},
            ),
            "0/1",
            "SchedulingGated",
            id="gated",
        ),
    ],
)
def test_pod(made: JsonObject, ready: str, status: str) -> None:
    cells = printed("Pod", made)
    assert (cells["Ready"], cells["Status"]) == (ready, status)


def test_pod_restarts() -> None:
    last = {"terminated": {"exitCode": 1, "finishedAt": format_time(NOW - 300)}}
    earlier = {"terminated": {"exitCode": 1, "finishedAt": format_time(NOW - 4000)}}
    restarted = RUNNING | {"restartCount": 2, "lastState": earlier}
    again = RUNNING | {"restartCount": 1, "lastState": last}
    assert printed("Pod", pod("Running", RUNNING))["Restarts"] == "0"
    assert printed("Pod", pod("Running", restarted, again))["Restarts"] == "3 (5m ago)"
    # once the pod is initialized, only sidecars count beside its containers
    init = [DONE | {"restartCount": 7}, again | {"started": True}]
    assert printed("Pod", pod("Running", restarted, init=init[:1]))["Restarts"] == "2 (66m ago)"
    both = pod("Running", restarted, init=init, sidecars=[1])
    assert printed("Pod", both)["Restarts"] == "3 (5m ago)"
    assert printed("Pod", pod("Pending", init=[CRASHING | {"restartCount": 4}]))["Restarts"] == "4"


def test_pod_wide() -> None:
    made = pod("Running", RUNNING, status={"podIPs": [{"ip": "10.1.0.1"}], "conditions": [READY]})
    made["spec"] |= {
        "nodeName": "a",
        "readinessGates": [{"conditionType": "Ready"}, {"conditionType": "Other"}],
    }
    cells = printed("Pod", made)
    assert (cells["IP"], cells["Node"], cells["Nominated Node"]) == ("10.1.0.1", "a", "<none>")
    assert cells["Readiness Gates"] == "1/2"


def test_rows_of_ended_pods_say_so() -> None:
    assert conditions_of(KINDS["Pod"], pod("Running")) == []
    (condition,) = conditions_of(KINDS["Pod"], pod("Succeeded"))
    assert (condition["type"], condition["reason"]) == ("Completed", "Succeeded")
    assert conditions_of(KINDS["Job"], pod("Succeeded")) == []


# --- a table of other kinds --------------------------------------------------------------------------

CONTAINERS = {"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}}
SELECTOR = {"matchLabels": {"k": "v"}}
CASES: list[tuple[str, JsonObject, dict[str, Cell]]] = [
    (
        "Deployment",
        {
            "spec": {"replicas": 3, "template": CONTAINERS, "selector": SELECTOR},
            "status": {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
        },
        {
            "Ready": "1/3",
            "Up-to-date": 2,
            "Available": 1,
            "Containers": "a,b",
            "Images": "x,y",
            "Selector": "k=v",
        },
    ),
    (
        "DaemonSet",
        {"spec": {"template": {"spec": {"nodeSelector": {"b": "2", "a": "1"}}}}},
        {"Desired": 0, "Node Selector": "a=1,b=2", "Selector": "<none>"},
    ),
    ("StatefulSet", {"spec": {"replicas": 2}}, {"Ready": "0/2"}),
    (
        "ReplicaSet",
        {"spec": {"replicas": 2}, "status": {"replicas": 1}},
        {"Desired": 2, "Current": 1},
    ),
    (
        "ControllerRevision",
        {
            "metadata": {
                "ownerReferences": [
                    {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "controller": True}
                ]
            },
            "revision": 4,
        },
        {"Controller": "daemonset.apps/d", "Revision": 4},
    ),
    (
        "Job",
        {
            "spec": {"completions": 2},
            "status": {
                "succeeded": 2,
                "startTime": AN_HOUR_AGO,
                "completionTime": format_time(NOW - 3500),
                "conditions": [{"type": "Complete", "status": "True"}],
            },
        },
        {"Status": "Complete", "Completions": "2/2", "Duration": "100s"},
    ),
    (
        "Job",
        {"spec": {"parallelism": 3}, "status": {"startTime": AN_HOUR_AGO}},
        {"Status": "Running", "Completions": "0/1 of 3", "Duration": "60m"},
    ),
    ("Job", GONE, {"Status": "Terminating", "Completions": "0/1", "Duration": ""}),
    (
        "CronJob",
        {
            "spec": {"schedule": "* * * * *", "suspend": False},
            "status": {"active": [{}], "lastScheduleTime": AN_HOUR_AGO},
        },
        {"Suspend": "False", "Active": 1, "Last Schedule": "60m", "Timezone": "<none>"},
    ),
    (
        "PodDisruptionBudget",
        {"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 1}},
        {"Min Available": "50%", "Max Unavailable": "N/A", "Allowed Disruptions": 1},
    ),
    (
        "HorizontalPodAutoscaler",
        {
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "web"},
                "maxReplicas": 5,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {"name": "cpu", "target": {"averageUtilization": 80}},
                    },
                    {"type": "Pods", "pods": {"target": {"averageValue": "5"}}},
                    {"type": "Object", "object": {"target": {"value": "9"}}},
                ],
            },
            "status": {
                "currentMetrics": [
                    {"type": "Resource", "resource": {"current": {"averageUtilization": 40}}}
                ]
            },
        },
        {
            "Reference": "Deployment/web",
            "Targets": "cpu: 40%/80%, <unknown>/5 + 1 more...",
            "MinPods": "<unset>",
            "MaxPods": 5,
        },
    ),
    (
        "Service",
        {
            "spec": {
                "type": "NodePort",
                "clusterIPs": ["10.0.0.1", "fd00::1"],
                "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53}],
            }
        },
        {"Type": "NodePort", "Cluster-IP": "10.0.0.1", "Port(s)": "80:30080/TCP,53/TCP"},
    ),
    (
        "Service",
        {"spec": {"type": "LoadBalancer"}},
        {"External-IP": "<pending>", "Port(s)": "<none>"},
    ),
    (
        "Service",
        {
            "spec": {"type": "LoadBalancer", "externalIPs": ["9.9.9.9"]},
            "status": {"loadBalancer": {"ingress": [{"hostname": "b"}, {"ip": "1.1.1.1"}]}},
        },
        {"External-IP": "1.1.1.1,b,9.9.9.9"},
    ),
    (
        "Service",
        {"spec": {"type": "ExternalName", "externalName": "x.y"}},
        {"External-IP": "x.y", "Cluster-IP": "<none>"},
    ),
    (
        "Endpoints",
        {
            "subsets": [
                {"addresses": [{"ip": "1.1.1.1"}, {"ip": "fd00::1"}], "ports": [{"port": 1}]},
                {"addresses": [{"ip": "2.2.2.2"}, {"ip": "3.3.3.3"}]},
            ]
        },
        {"Endpoints": "1.1.1.1:1,[fd00::1]:1,2.2.2.2 + 1 more..."},
    ),
    (
        "EndpointSlice",
        {"addressType": "IPv4", "ports": [{"port": 80}, {"name": "x"}, {}], "endpoints": []},
        {"Ports": "80,x,*", "Endpoints": "<unset>"},
    ),
    (
        "Ingress",
        {"spec": {"tls": [{}], "rules": [{"host": h} for h in "abcde"]}},
        {"Hosts": "a,b,c + 2 more...", "Ports": "80, 443", "Class": "<none>"},
    ),
    (
        "IPAddress",
        {"spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "k"}}},
        {"ParentRef": "services/default/k"},
    ),
    (
        "Event",
        {
            "lastTimestamp": AN_HOUR_AGO,
            "involvedObject": {"kind": "Node", "name": "a"},
            "source": {"component": "kubelet", "host": "a"},
            "message": "m\n",
        },
        {
            "Last Seen": "60m",
            "Object": "node/a",
            "Source": "kubelet, a",
            "Message": "m",
            "Count": 1,
        },
    ),
    (
        "Event",
        {
            "eventTime": AN_HOUR_AGO,
            "series": {"count": 7, "lastObservedTime": format_time(NOW - 5)},
            "reportingComponent": "c",
        },
        {"Last Seen": "5s", "First Seen": "60m", "Count": 7, "Source": "c"},
    ),
    ("Secret", {"type": "Opaque", "data": {"a": "", "b": ""}}, {"Type": "Opaque", "Data": 2}),
    ("ConfigMap", {"data": {"a": ""}, "binaryData": {"b": ""}}, {"Data": 2}),
    ("Namespace", {"status": {"phase": "Active"}}, {"Status": "Active"}),
    (
        "ResourceQuota",
        {"status": {"hard": {"limits.cpu": "2", "pods": "9"}, "used": {"pods": "1"}}},
        {"Request": "pods: 1/9", "Limit": "limits.cpu: 0/2"},
    ),
    (
        "PersistentVolume",
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
                "claimRef": {"namespace": "d", "name": "c"},
                "storageClassName": "fast",
            }
        },
        {"Capacity": "1Gi", "Access Modes": "RWO,RWX", "Claim": "d/c", "StorageClass": "fast"},
    ),
    (
        "PersistentVolumeClaim",
        {"spec": {}, "status": {"phase": "Pending", "capacity": {"storage": "1Gi"}}},
        {"Status": "Pending", "Capacity": "", "Access Modes": "", "VolumeMode": "<unset>"},
    ),
    (
        "PersistentVolumeClaim",
        {"spec": {"volumeName": "v"}, "status": {"capacity": {"storage": "1Gi"}}},
        {"Capacity": "1Gi", "Volume": "v"},
    ),
    (
        "StorageClass",
        {
            "metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "p",
        },
        {"Name": "n (default)", "ReclaimPolicy": "Delete", "AllowVolumeExpansion": False},
    ),
    (
        "CSIDriver",
        {"spec": {"attachRequired": False}},
        {"AttachRequired": False, "Modes": "<none>"},
    ),
    (
        "ClusterRoleBinding",
        {
            "roleRef": {"kind": "ClusterRole", "name": "r"},
            "subjects": [
                {"kind": "User", "name": "u"},
                {"kind": "Group", "name": "g"},
                {"kind": "Group", "name": "h"},
                {"kind": "ServiceAccount", "namespace": "s", "name": "a"},
            ],
        },
        {"Role": "ClusterRole/r", "Users": "u", "Groups": "g, h", "ServiceAccounts": "s/a"},
    ),
    (
        "CertificateSigningRequest",
        {
            "spec": {"signerName": "s", "username": "u", "expirationSeconds": 86400},
            "status": {"conditions": [{"type": "Approved"}], "certificate": "x"},
        },
        {"RequestedDuration": "24h", "Condition": "Approved,Issued", "Requestor": "u"},
    ),
    (
        "APIService",
        {"status": {"conditions": [{"type": "Available", "status": "False", "reason": "Gone"}]}},
        {"Service": "Local", "Available": "False (Gone)"},
    ),
    (
        "ValidatingAdmissionPolicyBinding",
        {"spec": {"policyName": "p", "paramRef": {"name": "x"}}},
        {"PolicyName": "p", "ParamRef": "*/x"},
    ),
    (
        "PriorityLevelConfiguration",
        {"spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 0}}},
        {"NominalConcurrencyShares": 0, "Queues": "<none>"},
    ),
    (
        "FlowSchema",
        {"spec": {"priorityLevelConfiguration": {"name": "x"}, "matchingPrecedence": 5}},
        {"PriorityLevel": "x", "MatchingPrecedence": 5, "MissingPL": "?"},
    ),
    (
        "ResourceClaim",
        {"status": {"allocation": {}, "reservedFor": [{}]}},
        {"State": "allocated,reserved"},
    ),
    ("ResourceClaim", GONE, {"State": "deleted"}),
]


@pytest.mark.parametrize(
    ("kind", "obj", "expected"), CASES, ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)]
)
def test_cells(kind: str, obj: JsonObject, expected: dict[str, Cell]) -> None:
    assert printed(kind, obj).items() >= expected.items()


def test_a_field_of_a_wrong_type_spoils_its_cell_alone() -> None:
    cells = printed("Node", {"status": {"addresses": "nowhere", "conditions": []}})
    assert (cells["Internal-IP"], cells["Status"]) == ("<invalid>", "Unknown")


# --- times, selectors, custom resources --------------------------------------------------------------

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-2, "<invalid>"),
        (-1.5, "0s"),
        (0, "0s"),
        (119.9, "119s"),
        (2 * MINUTE, "2m"),
        (5 * MINUTE + 7, "5m7s"),
        (10 * MINUTE + 59, "10m"),
        (179 * MINUTE, "179m"),
        (3 * HOUR, "3h"),
        (7 * HOUR + 59 * MINUTE, "7h59m"),
        (8 * HOUR + 59 * MINUTE, "8h"),
        (47 * HOUR, "47h"),
        (2 * DAY, "2d"),
        (7 * DAY + 23 * HOUR, "7d23h"),
        (8 * DAY + 23 * HOUR, "8d"),
        (2 * YEAR - 1, "729d"),
        (2 * YEAR + DAY, "2y1d"),
        (8 * YEAR + DAY, "8y"),
    ],
)
def test_time_spans_have_few_figures(seconds: float, shown: str) -> None:
    assert human_duration(seconds) == shown


def test_times_that_are_none() -> None:
    assert since(None, NOW) == "<unknown>"
    assert since("yesterday", NOW) == "<invalid>"


def test_selectors_read_as_kubectl_takes_them() -> None:
    expressions = [
        {"key": "c", "operator": "In", "values": ["y", "x"]},
        {"key": "a", "operator": "Exists"},
        {"key": "d", "operator": "DoesNotExist"},
        {"key": "e", "operator": "NotIn", "values": ["z"]},
    ]
    selector = {"matchLabels": {"b": "1"}, "matchExpressions": expressions}
    assert selector_text(selector) == "a,b=1,c in (x,y),!d,e notin (z)"
    assert selector_text(None) == ""


def test_custom_resource_prints_what_its_definition_declares() -> None:
    declared = replace(
        CUSTOM,
        columns=(
            PrinterColumn("Phase", ".status.phase"),
            PrinterColumn("Broken", "..phase"),
            PrinterColumn("Host", ".spec.ports[*].host"),
            PrinterColumn("Null", ".spec.null"),
            PrinterColumn("Size", ".spec.null", "integer"),
            PrinterColumn("Age", ".metadata.creationTimestamp", "date", "How old", "x", 1),
        ),
    )
    columns = columns_of(declared)
    obj = {
        "metadata": {"name": "n", "creationTimestamp": AN_HOUR_AGO},
        "spec": {"ports": [{}, {"host": "a"}, {"host": "b"}], "null": None},
        "status": {"phase": "Up"},
    }
    assert cells_of(columns, obj, NOW) == ["n", "Up", None, "a", "<no value>", None, "60m"]
    assert columns[1].description == "What lies at .status.phase"
    assert columns[-1].definition() == {
        "name": "Age",
        "type": "date",
        "format": "x",
        "description": "How old",
        "priority": 1,
    }


def test_custom_resource_prints_its_age_by_default() -> None:
    assert [(column.name, column.type) for column in columns_of(CUSTOM)] == [
        ("Name", "string"),
        ("Age", "date"),
    ]


@pytest.mark.parametrize(
    ("value", "kind", "cell"),
    [
        (None, "string", None),
        ("x", "string", "x"),
        (True, "string", "true"),
        (1.5, "string", "1.5"),
        (["a", "b"], "string", '["a","b"]'),
        (3, "integer", 3),
        (3.9, "integer", 3),
        ("3", "integer", None),
        (True, "integer", None),
        (3, "number", 3),
        (False, "boolean", False),
        ("true", "boolean", None),
        (AN_HOUR_AGO, "date", "60m"),
        (5, "date", None),
        (5, "unheard-of", None),
    ],
)
def test_custom_cells_are_of_the_columns_type(value: Any, kind: str, cell: Cell) -> None:
    got = cell_of(value, kind, NOW)
    assert (got, type(got)) == (cell, type(cell))
