"""What a real API server adds to objects of built-in kinds that were sent without it.

One table a group, read when a kind of that group is first written.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from capim.api.defaults.shape import Shape, fill

if TYPE_CHECKING:
    from collections.abc import Mapping

    from capim.api.meta import JsonObject


def set_defaults(group_resource: tuple[str, str], obj: JsonObject) -> None:
    """Fill in, in place, what a canonical object of this kind (see `capim.api.canonical`) leaves open."""
    shape = _group(group_resource[0]).get(group_resource[1])
    if shape is not None:
        fill(obj, shape)


@functools.lru_cache(maxsize=128)  # bounded: custom resources are in any group
def _group(group: str) -> Mapping[str, Shape]:
    from capim.api.defaults import core, policies, workloads  # noqa: PLC0415 - when first needed

    tables: dict[str, Mapping[str, Shape]] = {
        "": core.KINDS,
        "admissionregistration.k8s.io": policies.ADMISSION,
        "apps": workloads.APPS,
        "autoscaling": workloads.AUTOSCALING,
        "batch": workloads.BATCH,
        "discovery.k8s.io": policies.DISCOVERY,
        "flowcontrol.apiserver.k8s.io": policies.FLOWCONTROL,
        "networking.k8s.io": policies.NETWORKING,
        "rbac.authorization.k8s.io": policies.RBAC,
        "resource.k8s.io": policies.RESOURCE,
        "scheduling.k8s.io": policies.SCHEDULING,
        "storage.k8s.io": policies.STORAGE,
    }
    return tables.get(group, {})
