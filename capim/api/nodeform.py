"""What a machine's Node looks like by its template: capacity, labels, taints. Pure values.

The same goes into a template's status, by which an autoscaler knows a machine before there is one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from capim.api.quantities import parse_quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from capim.api.meta import JsonObject

ARCHITECTURE: Final = "amd64"
ARCHITECTURES: Final = ("amd64", "arm64", "ppc64le", "s390x")
OPERATING_SYSTEM: Final = "linux"
#: of a machine whose template says nothing
CAPACITY: Final = {
    "cpu": "4",
    "ephemeral-storage": "101430960Ki",
    "hugepages-1Gi": "0",
    "hugepages-2Mi": "0",
    "memory": "16393216Ki",
    "pods": "110",
}
#: what kubelet leaves of it by default: 100 MiB of memory and a tenth of the disk are kept back
_ALLOCATABLE: Final = CAPACITY | {"ephemeral-storage": "93478772582", "memory": "16290816Ki"}
_NANO: Final = 10**9
_MEMORY_KEPT_BYTES: Final = 100 << 20
_DISK_KEPT: Final = 10  #: one part in so many


@dataclass(frozen=True, slots=True)
class NodeForm:
    """What a template says of its machines' Nodes; empty, they are all alike."""

    capacity: dict[str, str] = field(default_factory=dict)  #: in place of ours, by resource
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()  #: `key=value:Effect`
    architecture: str = ""


#: of machines whose template says nothing: nearly all
PLAIN: Final = NodeForm()


def capacity_of(form: NodeForm) -> dict[str, str]:
    """Return what a Node of this form has."""
    return CAPACITY | form.capacity


def allocatable_of(form: NodeForm) -> dict[str, str]:
    """Return what kubelet leaves for pods."""
    if not form.capacity:
        return dict(_ALLOCATABLE)
    capacity = capacity_of(form)
    memory = max(0, _bytes(capacity, "memory") - _MEMORY_KEPT_BYTES)
    disk = _bytes(capacity, "ephemeral-storage")
    kept = -(-disk // _DISK_KEPT)
    return capacity | {"ephemeral-storage": str(disk - kept), "memory": f"{memory >> 10}Ki"}


def _bytes(capacity: Mapping[str, str], resource: str) -> int:
    return parse_quantity(capacity[resource]).nanos // _NANO


def parse_taint(text: str) -> JsonObject:
    """Read `key=value:Effect` or `key:Effect`, as kubectl does."""
    named, _, effect = text.rpartition(":")
    key, _, value = named.partition("=")
    return {"key": key, "effect": effect} | ({"value": value} if value else {})
