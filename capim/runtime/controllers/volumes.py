"""Claims and volumes: a claim whose class is simulated gets a volume.

Any StorageClass has its volumes made here, as if its provisioner ran. Source: kube-controller-manager's
persistentvolume-binder, pvc-protection and pv-protection controllers. Departure: claims are not
matched with volumes that clients made, but for those that name their claim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.runtime.controllers import events
from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.kinds import CLAIMS, PODS, STORAGE_CLASSES, VOLUMES
from capim.runtime.controllers.podstate import claims_of, is_deleting
from capim.runtime.graceful import has_ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.objects import Change

_COMPONENT: Final = "persistentvolume-controller"
_NO_PROVISIONER: Final = "kubernetes.io/no-provisioner"


def _reconcile(context: Context, namespace: str, name: str) -> None:
    claim = context.get(CLAIMS, namespace, name)
    if claim is None:
        return
    if not is_deleting(claim) and not claim["spec"].get("volumeName"):
        _provision(context, claim)


def _users(context: Context, claim: JsonObject) -> Iterator[JsonObject]:
    """Yield the pods that use a claim and have not ended."""
    name = claim["metadata"]["name"]
    for stored in context.stored(PODS, claim["metadata"]["namespace"]):
        pod = stored.json()
        if name in claims_of(pod) and not has_ended(pod):
            yield pod


def _provision(context: Context, claim: JsonObject) -> None:
    class_name = claim["spec"].get("storageClassName")
    found = context.get(STORAGE_CLASSES, "", class_name) if class_name else None
    if found is None:
        text = "no persistent volumes available for this claim and no storage class is set"
        if class_name:
            text = f'storageclass.storage.k8s.io "{class_name}" not found'
        reason = "ProvisioningFailed" if class_name else "FailedBinding"
        kind = "Warning" if class_name else "Normal"
        events.record(context, claim, _COMPONENT, reason, text, kind=kind)
        return
    if found.get("provisioner") == _NO_PROVISIONER or not context.makes_pods:
        return
    waits = found.get("volumeBindingMode") == "WaitForFirstConsumer"
    if waits and not any(_users(context, claim)):
        text = "waiting for first consumer to be created before binding"
        events.record(context, claim, _COMPONENT, "WaitForFirstConsumer", text)
        return
    _bind(context, claim, found)


def _bind(context: Context, claim: JsonObject, storage: JsonObject) -> None:
    metadata, spec = claim["metadata"], claim["spec"]
    name = f"pvc-{metadata['uid']}"
    capacity = {"storage": spec["resources"]["requests"]["storage"]}
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    reference |= {key: metadata[key] for key in ("name", "namespace", "resourceVersion", "uid")}
    provisioner = storage.get("provisioner", "")
    volume = context.create(
        VOLUMES,
        {
            "metadata": {
                "name": name,
                "annotations": {"pv.kubernetes.io/provisioned-by": provisioner},
            },
            "spec": {
                "accessModes": spec["accessModes"],
                "capacity": capacity,
                "claimRef": reference,
                "csi": {"driver": provisioner, "volumeHandle": name},
                "persistentVolumeReclaimPolicy": storage.get("reclaimPolicy", "Delete"),
                "storageClassName": spec["storageClassName"],
                "volumeMode": spec.get("volumeMode", "Filesystem"),
            },
        },
    )
    if volume is not None:
        context.save(VOLUMES, volume | {"status": {"phase": "Bound"}})
    annotations = metadata.get("annotations") or {}
    metadata["annotations"] = annotations | {
        "pv.kubernetes.io/bind-completed": "yes",
        "pv.kubernetes.io/bound-by-controller": "yes",
        "volume.kubernetes.io/storage-provisioner": provisioner,
    }
    status = {"accessModes": spec["accessModes"], "capacity": capacity, "phase": "Bound"}
    context.save(CLAIMS, claim | {"spec": spec | {"volumeName": name}, "status": status})
    text = f"Successfully provisioned volume {name}"
    events.record(context, claim, provisioner, "ProvisioningSucceeded", text)


def _reconcile_volume(context: Context, _: str, name: str) -> None:
    volume = context.get(VOLUMES, "", name)
    if volume is None:
        return
    reference = volume["spec"].get("claimRef") or {}
    claim = context.get(CLAIMS, reference.get("namespace", ""), reference.get("name", ""))
    bound = claim is not None and claim["metadata"]["uid"] == reference.get("uid")
    if is_deleting(volume):
        return
    if not bound and reference.get("uid"):
        if (volume.get("status") or {}).get("phase") != "Released":
            volume = context.save(VOLUMES, volume | {"status": {"phase": "Released"}})
        if volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
            context.delete(VOLUMES, "", name)
    elif not reference and (volume.get("status") or {}).get("phase") == "Pending":
        context.save(VOLUMES, volume | {"status": {"phase": "Available"}})


def _claims_of_pod(_: Context, change: Change) -> Iterator[Key]:
    if b"persistentVolumeClaim" in change.stored.rest:
        for name in claims_of(change.stored.json()):
            yield change.stored.namespace, name


def _claims_of_class(context: Context, change: Change) -> Iterator[Key]:
    if change.type == "ADDED":
        for stored in context.stored(CLAIMS, None):
            yield stored.namespace, stored.name


def _volume_of_claim(_: Context, change: Change) -> Iterator[Key]:
    if change.type == "DELETED":
        name = (change.stored.json().get("spec") or {}).get("volumeName")
        if name:
            yield "", name


CONTROLLERS: Final = (
    Controller(
        "claims",
        CLAIMS,
        _reconcile,
        watches=((PODS, _claims_of_pod), (STORAGE_CLASSES, _claims_of_class)),
    ),
    Controller("volumes", VOLUMES, _reconcile_volume, watches=((CLAIMS, _volume_of_claim),)),
)
