"""Reads the clusters' authorities from their Secrets, each version once: checking a key costs time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from capim.api.errors import APIError
from capim.api.gvk import NamespacedName
from coordinator.controllers import gates
from coordinator.controllers.objects import SECRETS
from coordinator.controllers.secrets import (
    PURPOSES,
    Authorities,
    read_authorities,
    replaced_server,
    secret_name,
)
from coordinator.kube.informers import version_of

if TYPE_CHECKING:
    from capim.aio.clock import Clock
    from capim.api.meta import JsonObject
    from coordinator.controllers.objects import Objects

#: A Secret that is not watched is read again when its cluster is looked at after so long: at a resync.
_UNWATCHED_S: Final = 60.0


class AuthorityReader:
    """The authorities of every cluster as last read. One loop, no lock."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock
        self._read: dict[NamespacedName, tuple[tuple[str, ...], Authorities]] = {}
        #: Secrets that users brought without Cluster API's label, which the informer does not see, and
        #: when they were read
        self._unlabelled: dict[NamespacedName, tuple[float, JsonObject]] = {}

    def last(self, cluster: NamespacedName) -> Authorities:
        """Return what was last read of a cluster."""
        return self._read[cluster][1] if cluster in self._read else Authorities()

    def forget(self, cluster: NamespacedName) -> None:
        """Drop a cluster that has gone."""
        self._read.pop(cluster, None)
        for purpose in PURPOSES:
            self._unlabelled.pop(_key(cluster, purpose), None)

    async def read(self, cluster: NamespacedName) -> Authorities:
        """Read a cluster's authorities; what was there once stays, so that no API server loses its CA."""
        secrets = {purpose: await self._secret(cluster, purpose) for purpose in PURPOSES}
        versions = tuple(version_of(secret) if secret else "" for secret in secrets.values())
        before = self._read.get(cluster)
        if before is not None and before[0] == versions:
            return before[1]
        fresh = read_authorities(cluster, secrets)
        kept = {**self.last(cluster).pairs, **fresh.pairs}
        authorities = Authorities(kept, fresh.problems)
        self._read[cluster] = (versions, authorities)
        return authorities

    async def _secret(self, cluster: NamespacedName, purpose: str) -> JsonObject | None:
        key = _key(cluster, purpose)
        if (watched := self._objects.secrets.get(key)) is not None:
            return watched
        read_at, secret = self._unlabelled.get(key, (-math.inf, None))
        if self._clock() - read_at < _UNWATCHED_S or not self.needed(cluster):
            return secret
        if (fresh := await _get(self._objects, key)) is not None:
            self._unlabelled[key] = (self._clock(), fresh)
        return fresh or secret

    def needed(self, cluster: NamespacedName) -> bool:
        """Say whether the Secrets must exist by now: bootstrap data is made after them."""
        return any(
            gates.is_control_plane(machine) and gates.bootstrap_secret(machine) is not None
            for _, machine in self._objects.machines_of(cluster)
        )


async def point_kubeconfig(objects: Objects, cluster: NamespacedName, server: str) -> None:
    """Make the cluster's kubeconfig name this server; Cluster API does not do it for a valid one."""
    key = _key(cluster, "kubeconfig")
    secret = await _get(objects, key)
    if secret is not None and (patch := replaced_server(secret, server)):
        patch["metadata"] = {"resourceVersion": version_of(secret)}
        await objects.client.patch(SECRETS, key.namespace, key.name, patch)


def _key(cluster: NamespacedName, purpose: str) -> NamespacedName:
    return NamespacedName(cluster.namespace, secret_name(cluster, purpose))


async def _get(objects: Objects, key: NamespacedName) -> JsonObject | None:
    try:
        return await objects.client.get(SECRETS, key.namespace, key.name)
    except APIError as error:
        if error.code != 404:
            raise
        return None
