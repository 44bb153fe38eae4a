"""Printed columns of volumes, claims, storage classes and what CSI drivers tell of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.columns.definitions import (
    AGE,
    NAME,
    NONE,
    UNSET,
    Column,
    at,
    count,
    flag,
    items_at,
    text,
)

if TYPE_CHECKING:
    from capim.api.columns.definitions import CellOf
    from capim.api.meta import JsonObject

_ACCESS_MODES: Final = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
_DEFAULT_CLASS: Final = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
_OLD_CLASS: Final = "volume.beta.kubernetes.io/storage-class"


def _phase(obj: JsonObject, _: float) -> str:
    if at(obj, "metadata.deletionTimestamp"):
        return "Terminating"
    return str(at(obj, "status.phase") or "")


def _modes(obj: JsonObject, path: str) -> str:
    modes = items_at(obj, path)
    return ",".join(short for mode, short in _ACCESS_MODES.items() if mode in modes)


def _class_name(obj: JsonObject, _: float) -> str:
    old = (at(obj, "metadata.annotations") or {}).get(_OLD_CLASS)
    return str(old if old is not None else at(obj, "spec.storageClassName") or "")


_VOLUME_ATTRIBUTES: Final = Column(
    "VolumeAttributesClass", text("spec.volumeAttributesClassName", UNSET), "Its attributes"
)
_VOLUME_MODE: Final = Column(
    "VolumeMode", text("spec.volumeMode", UNSET), "Filesystem or Block", priority=1
)


def _claim(volume: JsonObject, _: float) -> str:
    claim = at(volume, "spec.claimRef")
    return f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim is not None else ""


PERSISTENT_VOLUMES: Final = (
    NAME,
    Column("Capacity", text("spec.capacity.storage", "0"), "How much it holds"),
    Column("Access Modes", lambda obj, _: _modes(obj, "spec.accessModes"), "How it may be mounted"),
    Column(
        "Reclaim Policy", text("spec.persistentVolumeReclaimPolicy"), "What follows its release"
    ),
    Column("Status", _phase, "What it is at"),
    Column("Claim", _claim, "Who has it"),
    Column("StorageClass", _class_name, "Its class"),
    _VOLUME_ATTRIBUTES,
    Column("Reason", text("status.reason"), "Why it failed"),
    AGE,
    _VOLUME_MODE,
)


def _when_bound(cell: CellOf) -> CellOf:
    """Print only of a claim that has a volume."""
    return lambda claim, now: cell(claim, now) if at(claim, "spec.volumeName") else ""


PERSISTENT_VOLUME_CLAIMS: Final = (
    NAME,
    Column("Status", _phase, "What it is at"),
    Column("Volume", text("spec.volumeName"), "The volume it got"),
    Column("Capacity", _when_bound(text("status.capacity.storage", "0")), "How much that holds"),
    Column(
        "Access Modes",
        _when_bound(lambda obj, _: _modes(obj, "status.accessModes")),
        "How it may be mounted",
    ),
    Column("StorageClass", _class_name, "Its class"),
    _VOLUME_ATTRIBUTES,
    AGE,
    _VOLUME_MODE,
)


def _name_and_default(storage_class: JsonObject, _: float) -> str:
    annotations = at(storage_class, "metadata.annotations") or {}
    default = any(annotations.get(key) == "true" for key in _DEFAULT_CLASS)
    name: str = storage_class["metadata"]["name"]
    return f"{name} (default)" if default else name


STORAGE_CLASSES: Final = (
    Column("Name", _name_and_default, NAME.description, format="name"),
    Column("Provisioner", text("provisioner"), "Who makes the volumes"),
    Column("ReclaimPolicy", text("reclaimPolicy", "Delete"), "What follows a release"),
    Column("VolumeBindingMode", text("volumeBindingMode", "Immediate"), "When claims get volumes"),
    Column("AllowVolumeExpansion", flag("allowVolumeExpansion"), "Whether claims may grow"),
    AGE,
)
VOLUME_ATTRIBUTES_CLASSES: Final = (NAME, Column("DriverName", text("driverName"), "Driver"), AGE)
VOLUME_ATTACHMENTS: Final = (
    NAME,
    Column("Attacher", text("spec.attacher"), "Driver that attaches", format="name"),
    Column("PV", text("spec.source.persistentVolumeName"), "The volume"),
    Column("Node", text("spec.nodeName"), "Where it is to be attached"),
    Column("Attached", flag("status.attached"), "Whether it is", "boolean"),
    AGE,
)
CSI_NODES: Final = (NAME, Column("Drivers", count("spec.drivers"), "How many", "integer"), AGE)


def _audiences(driver: JsonObject, _: float) -> str:
    requests = at(driver, "spec.tokenRequests")
    if requests is None:
        return UNSET
    return ",".join(request.get("audience", "") for request in requests)


def _lifecycles(driver: JsonObject, _: float) -> str:
    return ",".join(items_at(driver, "spec.volumeLifecycleModes")) or NONE


CSI_DRIVERS: Final = (
    NAME,
    Column(
        "AttachRequired", flag("spec.attachRequired", default=True), "Needs attaching", "boolean"
    ),
    Column("PodInfoOnMount", flag("spec.podInfoOnMount"), "Is told of the pod", "boolean"),
    Column("StorageCapacity", flag("spec.storageCapacity"), "Tells what is free", "boolean"),
    Column("TokenRequests", _audiences, "Audiences of the tokens it is given"),
    Column("RequiresRepublish", flag("spec.requiresRepublish"), "Is called again", "boolean"),
    Column("Modes", _lifecycles, "Kinds of volumes"),
    AGE,
)
