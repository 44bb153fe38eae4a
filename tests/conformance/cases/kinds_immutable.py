"""What an update of a kind may not change, and what it may."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import Case, patch, post
from tests.conformance.smallest import KINDS

_OTHER: Final = {"matchLabels": {"b": "c"}}

#: kind -> merge patches, sent one after the other
_PATCHES: Final[dict[str, list[dict[str, Any]]]] = {
    "ConfigMap": [{"immutable": True}, {"data": {"q": "z"}}, {"immutable": False}],
    "Secret": [
        {"type": "a/b"},
        {"immutable": True},
        {"data": {"q": "eA=="}},
        {"immutable": None},
    ],
    "Deployment": [{"spec": {"selector": _OTHER}}],
    "ReplicaSet": [
        {"spec": {"selector": _OTHER, "template": {"metadata": {"labels": {"b": "c"}}}}}
    ],
    "StatefulSet": [
        {"spec": {"serviceName": "q"}},
        {"spec": {"selector": _OTHER}},
        {"spec": {"podManagementPolicy": "Parallel"}},
        {"spec": {"minReadySeconds": 3}},
    ],
    "ControllerRevision": [{"data": {"q": 1}}],
    "Job": [{"spec": {"completions": 4}}, {"spec": {"completionMode": "Indexed"}}],
    "RoleBinding": [{"roleRef": {"name": "q"}}],
    "ClusterRoleBinding": [{"roleRef": {"name": "q"}}],
    "StorageClass": [
        {"provisioner": "q"},
        {"parameters": {"a": "b"}},
        {"reclaimPolicy": "Retain"},
        {"volumeBindingMode": "WaitForFirstConsumer"},
        {"allowVolumeExpansion": True},
    ],
    "PriorityClass": [{"value": 7}, {"preemptionPolicy": "Never"}, {"description": "x"}],
    "IngressClass": [{"spec": {"controller": "q.r/s"}}],
    "RuntimeClass": [{"handler": "q"}],
    "EndpointSlice": [{"addressType": "IPv6", "endpoints": [{"addresses": ["fd00::1"]}]}],
    "CSIDriver": [
        {"spec": {"attachRequired": False}},
        {"spec": {"fsGroupPolicy": "File"}},
        {"spec": {"volumeLifecycleModes": ["Ephemeral"]}},
    ],
    "CSINode": [
        {"spec": {"drivers": [{"name": "a", "nodeID": "b"}]}},
        {"spec": {"drivers": [{"name": "a", "nodeID": "c"}]}},
    ],
    "VolumeAttachment": [{"spec": {"nodeName": "q"}}],
    "CSIStorageCapacity": [{"storageClassName": "q"}],
    "VolumeAttributesClass": [{"parameters": {"a": "c"}}],
    "Node": [
        {"spec": {"providerID": "a"}},
        {"spec": {"providerID": "b"}},
    ],
    "ResourceQuota": [{"spec": {"scopes": ["BestEffort"]}}],
    "HorizontalPodAutoscaler": [{"spec": {"minReplicas": 9}}],
    "PriorityLevelConfiguration": [{"spec": {"type": "Exempt"}}],
}


def _case(kind_name: str) -> Case:
    kind = KINDS[kind_name]
    one = f"{kind.path}/{kind.name}"
    # what is allowed is shown by the code alone: controllers write to some of these, too
    made = post(kind.path, kind.body(), compare=False)
    masked = ("metadata", "status", "spec.taints")
    steps = [patch(one, body, mask=masked) for body in _PATCHES[kind_name]]
    return Case(f"kinds: what of {kind_name} may change", [made, *steps], (one,))


CASES: Final[list[Case]] = [_case(name) for name in _PATCHES]
