"""Built-in kinds are admitted, checked and kept as a real API server does."""

from typing import Any

import pytest

from capim.api.errors import APIError
from capim.api.podqos import qos_class
from capim.runtime.kinds.quotascopes import is_counted
from capim.runtime.kinds.rules import BuiltinRules
from capim.runtime.objects import PatchType
from capim.runtime.resourcegroup import ResourceGroup
from tests.support.groups import DEPLOYMENTS, NODES, PODS, SERVED, named, new_group

CONTAINERS: list[dict[str, Any]] = [{"name": "a", "image": "b:1"}]
SELECTOR = {"matchLabels": {"app": "a"}}
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": CONTAINERS}}


@pytest.fixture
def group() -> ResourceGroup:
    return new_group(rules=BuiltinRules(service_cidr="10.0.0.0/24"))


def pod(group: ResourceGroup, name: str = "p", **spec: Any) -> dict[str, Any]:
    body = named(name, spec={"containers": CONTAINERS} | spec)
    made: dict[str, Any] = group.create(PODS, "default", body).json()
    return made


def refusal(group: ResourceGroup, **spec: Any) -> APIError:
    with pytest.raises(APIError) as caught:
        pod(group, **spec)
    return caught.value


def test_pod_is_given_account_token_tolerations_and_priority(group: ResourceGroup) -> None:
    made = pod(group)
    spec = made["spec"]
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
    assert spec["volumes"][0]["name"] == spec["containers"][0]["volumeMounts"][0]["name"]
    assert [t["key"].rpartition("/")[2] for t in spec["tolerations"]] == [
        "not-ready",
        "unreachable",
    ]
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


def test_pod_without_token_has_no_volume(group: ResourceGroup) -> None:
    assert "volumes" not in pod(group, automountServiceAccountToken=False)["spec"]


def test_absent_account_and_priority_class_are_refused(group: ResourceGroup) -> None:
    refused = refusal(group, serviceAccountName="nope")
    assert (refused.code, refused.message) == (
        403,
        'pods "p" is forbidden: error looking up service account default/nope: '
        'serviceaccount "nope" not found',
    )
    assert (
        "no PriorityClass with name nope was found"
        in refusal(group, priorityClassName="nope").message
    )
    assert "must not be provided in pod spec" in refusal(group, priority=5).message


def test_priority_comes_from_the_class(group: ResourceGroup) -> None:
    group.create(SERVED["priorityclasses"], "", named("high", value=7, preemptionPolicy="Never"))
    spec = pod(group, priorityClassName="high")["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (7, "Never")
    critical = pod(group, "q", priorityClassName="system-node-critical")["spec"]
    assert critical["priority"] == 2_000_001_000


def test_all_mistakes_are_told_at_once(group: ResourceGroup) -> None:
    refused = refusal(group, containers=[{"name": "A", "image": ""}], restartPolicy="x")
    causes = (refused.details or {})["causes"]
    assert refused.code == 422
    assert [(cause["field"], cause["reason"]) for cause in causes] == [
        ("spec.containers[0].name", "FieldValueInvalid"),
        ("spec.containers[0].image", "FieldValueRequired"),
        ("spec.restartPolicy", "FieldValueNotSupported"),
    ]


def test_image_of_a_pod_may_change_and_little_else(group: ResourceGroup) -> None:
    pod(group)
    image = {"spec": {"containers": [{"name": "a", "image": "c:2"}]}}
    made = group.patch(PODS, "default", "p", image, PatchType.STRATEGIC).json()
    assert made["spec"]["containers"][0]["image"] == "c:2"
    patch = {"spec": {"restartPolicy": "Never"}}
    with pytest.raises(APIError, match="pod updates may not change fields other than"):
        group.patch(PODS, "default", "p", patch, PatchType.MERGE)


def test_selector_of_a_deployment_stays(group: ResourceGroup) -> None:
    spec = {"selector": SELECTOR, "template": TEMPLATE}
    group.create(DEPLOYMENTS, "default", named("d", spec=spec))
    labels = {"app": "b"}
    changed = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}
    with pytest.raises(APIError, match=r"spec\.selector.*field is immutable"):
        group.patch(DEPLOYMENTS, "default", "d", {"spec": changed}, PatchType.MERGE)


def test_job_selects_its_own_pods(group: ResourceGroup) -> None:
    template = {"spec": {"containers": CONTAINERS, "restartPolicy": "Never"}}
    stored = group.create(SERVED["jobs"], "default", named("j", spec={"template": template}))
    made = stored.json()
    own = {"batch.kubernetes.io/controller-uid": stored.uid}
    assert made["spec"]["selector"] == {"matchLabels": own}
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert own.items() <= labels.items()
    assert made["metadata"]["labels"] == labels


def test_template_generation_follows_the_template(group: ResourceGroup) -> None:
    daemons = SERVED["daemonsets"]
    body = named("d", spec={"selector": SELECTOR, "template": TEMPLATE})
    group.create(daemons, "default", body)
    key = "deprecated.daemonset.template.generation"

    def patched(patch: dict[str, Any]) -> str:
        stored = group.patch(daemons, "default", "d", patch, PatchType.MERGE)
        return str(stored.json()["metadata"]["annotations"][key])

    assert patched({"spec": {"minReadySeconds": 1}}) == "1"
    assert patched({"spec": {"template": {"spec": {"hostNetwork": True}}}}) == "2"


def test_claim_in_use_waits_for_its_pod(group: ResourceGroup) -> None:
    claims = SERVED["persistentvolumeclaims"]
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    group.create(claims, "default", named("c", spec=spec))
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
    pod(group, volumes=[volume], nodeName="n")
    _, gone = group.delete(claims, "default", "c")
    assert not gone
    group.delete(PODS, "default", "p")
    assert not group.list(claims, "default").items


def test_unused_volume_goes_at_once(group: ResourceGroup) -> None:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "hostPath": {"path": "/x"},
    }
    group.create(SERVED["persistentvolumes"], "", named("v", spec=spec))
    assert group.delete(SERVED["persistentvolumes"], "", "v")[1]


def test_claim_takes_the_default_class(group: ResourceGroup) -> None:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    body = named("fast", metadata={"annotations": annotations}, provisioner="a.b/c")
    group.create(SERVED["storageclasses"], "", body)
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    made = group.create(SERVED["persistentvolumeclaims"], "default", named("c", spec=spec)).json()
    assert made["spec"]["storageClassName"] == "fast"


def test_nodes_of_clients_begin_tainted_and_own_ones_do_not(group: ResourceGroup) -> None:
    taints = group.create(NODES, "", named("n")).json()["spec"]["taints"]
    assert taints == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
    assert "spec" not in group.create(NODES, "", named("m"), keep_status=True).json()


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        (
            {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}},
            "Guaranteed",
        ),
        ({"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}, "Burstable"),
    ],
)
def test_quality_of_service(resources: dict[str, Any], quality: str) -> None:
    assert qos_class({"containers": [{"resources": resources}]}) == quality


def test_limits_of_a_namespace_are_given_and_kept(group: ResourceGroup) -> None:
    item = {"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "100m"}}
    limits = [item | {"default": {"cpu": "300m"}}, {"type": "Pod", "max": {"cpu": "3"}}]
    group.create(SERVED["limitranges"], "default", named("l", spec={"limits": limits}))
    made = pod(group)
    amounts = {"limits": {"cpu": "300m"}, "requests": {"cpu": "300m"}}
    assert made["spec"]["containers"][0]["resources"] == amounts
    told = made["metadata"]["annotations"]["kubernetes.io/limit-ranger"]
    assert told == "LimitRanger plugin set: cpu request for container a; cpu limit for container a"
    resources = {"requests": {"cpu": "50m"}, "limits": {"cpu": "4"}}
    refused = refusal(group, containers=[CONTAINERS[0] | {"resources": resources}])
    assert refused.message == (
        'pods "p" is forbidden: [minimum cpu usage per Container is 100m, but request is 50m, '
        "maximum cpu usage per Container is 2, but limit is 4, "
        "maximum cpu usage per Pod is 3, but limit is 4]"
    )


ASKING = {"containers": [CONTAINERS[0] | {"resources": {"requests": {"cpu": "1"}}}]}
ENDING = {"activeDeadlineSeconds": 5}
TERM = {"topologyKey": "x", "labelSelector": {}}
LIKED = "preferredDuringSchedulingIgnoredDuringExecution"
ACROSS, WITHIN = (
    {"affinity": {"podAntiAffinity": {LIKED: [{"weight": 1, "podAffinityTerm": term}]}}}
    for term in (TERM | {"namespaces": ["other"]}, TERM)
)
URGENT = {"priorityClassName": "urgent"}


def _priority(operator: str, *values: str) -> dict[str, Any]:
    requirement = {"scopeName": "PriorityClass", "operator": operator, "values": list(values)}
    return {"scopeSelector": {"matchExpressions": [requirement]}}


@pytest.mark.parametrize(
    ("scope", "inside", "outside"),
    [
        pytest.param({"scopes": ["Terminating"]}, ENDING, {}, id="terminating"),
        pytest.param({"scopes": ["NotTerminating"]}, {}, ENDING, id="not-terminating"),
        pytest.param({"scopes": ["BestEffort"]}, {}, ASKING, id="best-effort"),
        pytest.param({"scopes": ["NotBestEffort"]}, ASKING, {}, id="not-best-effort"),
        pytest.param({"scopes": ["Terminating", "BestEffort"]}, ENDING, ASKING | ENDING, id="both"),
        pytest.param(_priority("In", "urgent"), URGENT, {}, id="in-priority-classes"),
        pytest.param(_priority("NotIn", "urgent"), {}, URGENT, id="in-no-priority-class-of"),
        pytest.param(_priority("Exists"), URGENT, {}, id="in-any-priority-class"),
        pytest.param(_priority("DoesNotExist"), {}, URGENT, id="in-no-priority-class"),
        pytest.param({"scopes": ["CrossNamespacePodAffinity"]}, ACROSS, WITHIN, id="across"),
    ],
)
def test_quota_counts_what_is_in_its_scopes(
    scope: dict[str, Any], inside: dict[str, Any], outside: dict[str, Any]
) -> None:
    quota = {"spec": {"hard": {"pods": "1"}, **scope}}
    held = [{"spec": {"containers": CONTAINERS} | spec} for spec in (inside, outside)]
    kind = ("", "pods")
    assert [is_counted(quota, kind, body) for body in held] == [True, False]
    assert not is_counted(quota, ("", "services"), {"spec": {}})


def test_quota_with_scopes_has_room_for_others(group: ResourceGroup) -> None:
    quotas = SERVED["resourcequotas"]
    spec = {"hard": {"pods": "1"}, "scopes": ["Terminating"]}
    group.create(quotas, "default", named("q", spec=spec))
    pod(group, "a")
    pod(group, "b", **ENDING)
    pod(group, "c")
    used = group.get(quotas, "default", "q").json()["status"]["used"]
    assert used == {"pods": "1"}
    assert "exceeded quota: q" in refusal(group, **ENDING).message


def test_quota_counts_refuses_and_forgets(group: ResourceGroup) -> None:
    quotas = SERVED["resourcequotas"]
    hard = {"pods": "1", "requests.cpu": "1"}
    group.create(quotas, "default", named("q", spec={"hard": hard}))

    def used() -> dict[str, str]:
        shown: dict[str, str] = group.get(quotas, "default", "q").json()["status"]["used"]
        return shown

    assert used() == {"pods": "0", "requests.cpu": "0"}
    assert "failed quota: q: must specify requests.cpu for: a" in refusal(group).message
    asks = [CONTAINERS[0] | {"resources": {"requests": {"cpu": "500m"}}}]
    pod(group, "a", containers=asks)
    assert used() == {"pods": "1", "requests.cpu": "500m"}
    assert refusal(group, containers=asks).message == (
        'pods "p" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1'
    )
    group.delete(PODS, "default", "a")
    assert used() == {"pods": "0", "requests.cpu": "0"}


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        pytest.param("configmaps", {"a": "x" * 2**20, "b": "y"}, "[]", id="data"),
        pytest.param("configmaps", {"a": "ä" * 2**19, "b": "y"}, "[]", id="bytes"),
        pytest.param("secrets", {"a": "AAAA" * 349_526}, "data", id="decoded"),
    ],
)
def test_more_than_a_mebibyte_is_not_kept(
    group: ResourceGroup, kind: str, data: dict[str, str], field: str
) -> None:
    with pytest.raises(APIError) as caught:
        group.create(SERVED[kind], "default", named("a", data=data))
    told = f"{field}: Too long: may not be more than 1048576 bytes"
    assert caught.value.message.endswith(told)


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        pytest.param({"requests": {"cpu": "2"}}, "", id="more"),
        pytest.param({}, "resource requests cannot be removed", id="removed"),
        pytest.param({"requests": {"cpu": "1", "storage": "1"}}, "only cpu and memory", id="other"),
        pytest.param({"requests": {"cpu": "0"}}, "QOS Class may not change", id="quality"),
        pytest.param({"requests": {"cpu": "-1"}}, "must be greater than or equal to 0", id="less"),
    ],
)
def test_a_resize_keeps_a_pods_quality(
    group: ResourceGroup, resources: dict[str, Any], told: str
) -> None:
    pod(group, "a", **ASKING)
    name = ASKING["containers"][0]["name"]
    spec = {"containers": [{"name": name, "image": "other", "resources": resources}]}
    body = named("a", spec=spec)
    if not told:
        made = group.update(SERVED["pods"], "default", "a", body, subresource="resize").json()
        (container,) = made["spec"]["containers"]
        assert (container["resources"], container["image"] == "other") == (resources, False)
        return
    with pytest.raises(APIError) as caught:
        group.update(SERVED["pods"], "default", "a", body, subresource="resize")
    assert told in caught.value.message
