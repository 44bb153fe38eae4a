"""What a real API server refuses of built-in kinds, and the words it has for it.

Pure: canonical objects with their defaults in, causes out. One module a set of groups, read when a kind
of theirs is first written; a kind that is in no table is never refused for its own fields.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from capim.api.meta import JsonObject
    from capim.api.validation.field import Cause

    Check = Callable[[JsonObject], Iterator[Cause]]
    Update = Callable[[JsonObject, JsonObject], Iterator[Cause]]


def causes(
    group_resource: tuple[str, str], obj: JsonObject, old: JsonObject | None
) -> Iterator[Cause]:
    """Yield what is wrong with an object of this kind, in the order a real server says it.

    Args:
        group_resource: the kind.
        obj: as it is to be stored.
        old: as it was, None for a new one.
    """
    check = _group(group_resource[0]).get(group_resource[1])
    if check is not None:
        yield from check(obj)
    if old is not None:
        update = _updates().get(group_resource)
        if update is not None:
            yield from update(obj, old)


def view_causes(view: str, obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
    """Yield what is wrong with the part of an object that a subresource writes."""
    if view == "ephemeralcontainers":
        from capim.api.validation import ephemeral  # noqa: PLC0415 - when first needed

        yield from ephemeral.causes(obj["spec"], old["spec"])
    elif view == "resize":
        from capim.api.validation import resize  # noqa: PLC0415 - when first needed

        yield from resize.causes(obj["spec"], old["spec"])
    elif obj.get("kind") == "CertificateSigningRequest":
        from capim.api.validation import requests  # noqa: PLC0415 - when first needed

        yield from requests.causes(view, obj, old)


@functools.cache
def _updates() -> Mapping[tuple[str, str], Update]:
    from capim.api.validation.updates import UPDATES  # noqa: PLC0415 - when first needed

    return UPDATES


@functools.lru_cache(maxsize=128)  # bounded: custom resources are in any group
def _group(group: str) -> Mapping[str, Check]:
    from capim.api.validation import addresses, core, policies, workloads  # noqa: PLC0415 - when first needed

    tables: dict[str, Mapping[str, Check]] = {
        "": core.KINDS,
        "admissionregistration.k8s.io": policies.ADMISSION,
        "apps": workloads.APPS,
        "autoscaling": workloads.AUTOSCALING,
        "batch": workloads.BATCH,
        "certificates.k8s.io": policies.CERTIFICATES,
        "coordination.k8s.io": policies.COORDINATION,
        "discovery.k8s.io": policies.DISCOVERY,
        "flowcontrol.apiserver.k8s.io": policies.FLOWCONTROL,
        "networking.k8s.io": policies.NETWORKING | addresses.KINDS,
        "node.k8s.io": policies.NODE,
        "policy": workloads.POLICY,
        "rbac.authorization.k8s.io": policies.RBAC,
        "resource.k8s.io": policies.RESOURCE,
        "scheduling.k8s.io": policies.SCHEDULING,
        "storage.k8s.io": policies.STORAGE,
    }
    return tables.get(group, {})
