"""Defaults of the groups that configure a cluster. Source: their `defaults.go` in k8s.io/kubernetes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.defaults.shape import Shape

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

_RBAC: Final = "rbac.authorization.k8s.io"


def _network_policy(spec: JsonObject) -> None:
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _subject(subject: JsonObject) -> None:
    if subject.get("kind") in {"User", "Group"} and not subject.get("apiGroup"):
        subject["apiGroup"] = _RBAC


def _driver(spec: JsonObject) -> None:
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]


def _device_request(request: JsonObject) -> None:
    if not request.get("allocationMode"):
        request["allocationMode"] = "ExactCount"
    if request["allocationMode"] == "ExactCount" and not request.get("count"):
        request["count"] = 1


def _limited(limited: JsonObject) -> None:
    if limited.get("nominalConcurrencyShares") is None:
        limited["nominalConcurrencyShares"] = 30


_POLICY_PORTS: Final = Shape(each={"ports": Shape({"protocol": "TCP"})})
_MATCH: Final = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}
_ANY_SCOPE: Final = Shape({"scope": "*"})
_WEBHOOK: Final = Shape(
    {"failurePolicy": "Fail", "timeoutSeconds": 10} | _MATCH,
    parts={"clientConfig": Shape(parts={"service": Shape({"port": 443})})},
    each={"rules": _ANY_SCOPE},
)
_MATCH_RESOURCES: Final = Shape(
    _MATCH, each={"resourceRules": _ANY_SCOPE, "excludeResourceRules": _ANY_SCOPE}
)
_BINDING: Final = Shape(
    parts={"roleRef": Shape({"apiGroup": _RBAC})}, each={"subjects": Shape(last=_subject)}
)
_DEVICES: Final = Shape(
    parts={
        "devices": Shape(
            each={
                "requests": Shape(
                    parts={"exactly": Shape(last=_device_request)},
                    each={"firstAvailable": Shape(last=_device_request)},
                )
            }
        )
    }
)


def _spec(shape: Shape) -> Shape:
    return Shape(parts={"spec": shape})


NETWORKING: Final = {
    "ingressclasses": _spec(Shape(parts={"parameters": Shape({"scope": "Cluster"})})),
    "networkpolicies": _spec(
        Shape(each={"ingress": _POLICY_PORTS, "egress": _POLICY_PORTS}, last=_network_policy)
    ),
}
RBAC: Final = {"clusterrolebindings": _BINDING, "rolebindings": _BINDING}
STORAGE: Final = {
    "csidrivers": _spec(
        Shape(
            {
                "attachRequired": True,
                "podInfoOnMount": False,
                "storageCapacity": False,
                "fsGroupPolicy": "ReadWriteOnceWithFSType",
                "requiresRepublish": False,
                "seLinuxMount": False,
            },
            last=_driver,
        )
    ),
    "storageclasses": Shape({"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
}
SCHEDULING: Final = {"priorityclasses": Shape({"preemptionPolicy": "PreemptLowerPriority"})}
DISCOVERY: Final = {"endpointslices": Shape(each={"ports": Shape({"name": "", "protocol": "TCP"})})}
ADMISSION: Final = {
    "mutatingwebhookconfigurations": Shape(
        each={
            "webhooks": Shape(
                {**_WEBHOOK.values, "reinvocationPolicy": "Never"},
                parts=_WEBHOOK.parts,
                each=_WEBHOOK.each,
            )
        }
    ),
    "validatingwebhookconfigurations": Shape(each={"webhooks": _WEBHOOK}),
    "validatingadmissionpolicies": _spec(
        Shape({"failurePolicy": "Fail"}, parts={"matchConstraints": _MATCH_RESOURCES})
    ),
    "validatingadmissionpolicybindings": _spec(Shape(parts={"matchResources": _MATCH_RESOURCES})),
}
FLOWCONTROL: Final = {
    "flowschemas": _spec(Shape(zeros={"matchingPrecedence": 1000})),
    "prioritylevelconfigurations": _spec(
        Shape(
            parts={
                "exempt": Shape({"nominalConcurrencyShares": 0, "lendablePercent": 0}),
                "limited": Shape(
                    {"lendablePercent": 0},
                    parts={
                        "limitResponse": Shape(
                            parts={
                                "queuing": Shape(
                                    zeros={"handSize": 8, "queues": 64, "queueLengthLimit": 50}
                                )
                            }
                        )
                    },
                    first=_limited,
                ),
            }
        )
    ),
}
RESOURCE: Final = {
    "resourceclaims": _spec(_DEVICES),
    "resourceclaimtemplates": _spec(_spec(_DEVICES)),
}
