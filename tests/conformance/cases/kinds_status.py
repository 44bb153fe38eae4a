"""Whether a write of status takes the metadata that comes with it."""

from __future__ import annotations

from typing import Final

from tests.conformance.case import Case, get, patch, post
from tests.conformance.smallest import KINDS, Kind

#: kinds that have a status, by their names
_WITH_STATUS: Final = (
    "CronJob",
    "DaemonSet",
    "Deployment",
    "FlowSchema",
    "HorizontalPodAutoscaler",
    "Ingress",
    "Job",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "PriorityLevelConfiguration",
    "ReplicaSet",
    "ReplicationController",
    "ResourceClaim",
    "ResourceQuota",
    "Service",
    "StatefulSet",
    "VolumeAttachment",
)
_SENT: Final = {"metadata": {"labels": {"sent": "1"}, "annotations": {"sent": "1"}}}
_METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
#: what controllers change meanwhile
_THEIRS: Final = (
    *(r"**.deployment\.kubernetes\.io/revision", r"**.deprecated\.daemonset\.template\.generation"),
    *("**.generation", "**.finalizers", r"**.node\.alpha\.kubernetes\.io/ttl"),
)


def _case(kind: Kind) -> Case:
    one = f"{kind.path}/{kind.name}"
    made = post(kind.path, kind.body(), compare=False, until=lambda answer: answer.status != 403)
    sent = patch(f"{one}/status", _SENT, accept=_METADATA, mask=_THEIRS)
    name = f"status: what of {kind.kind}'s metadata is taken"
    return Case(name, [made, sent, get(one, accept=_METADATA, mask=_THEIRS)], (one,))


CASES: Final[list[Case]] = [_case(KINDS[name]) for name in _WITH_STATUS]
