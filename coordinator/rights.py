"""What the manager's account may do, no more and no less; deploy/rbac/ says the same to an API server."""

from __future__ import annotations

from typing import Final, NamedTuple

from capim.api import infrastructure as infra
from coordinator.controllers.gates import CLUSTER_API_GROUP


class Right(NamedTuple):
    """Verbs on a resource, which may be a subresource: `inmemoryclusters/status`."""

    group: str
    resource: str
    verbs: tuple[str, ...]


#: in all namespaces, by the ClusterRole
CLUSTER_RIGHTS: Final = (
    Right("", "events", ("create", "patch")),
    Right("", "secrets", ("get", "list", "patch", "watch")),
    Right("authentication.k8s.io", "tokenreviews", ("create",)),
    Right("authorization.k8s.io", "subjectaccessreviews", ("create",)),
    Right(CLUSTER_API_GROUP, "clusters", ("list", "watch")),
    Right(CLUSTER_API_GROUP, "machinepools", ("list", "watch")),
    Right(CLUSTER_API_GROUP, "machines", ("delete", "list", "watch")),
    Right(infra.GROUP, "inmemoryclusters", ("list", "patch", "watch")),
    Right(infra.GROUP, "inmemoryclusters/status", ("patch",)),
    Right(infra.GROUP, "inmemoryfaults", ("list", "watch")),
    Right(infra.GROUP, "inmemoryfaults/status", ("patch",)),
    Right(infra.GROUP, "inmemorymachinepools", ("list", "patch", "watch")),
    Right(infra.GROUP, "inmemorymachinepools/status", ("patch",)),
    Right(infra.GROUP, "inmemorymachines", ("create", "delete", "list", "patch", "watch")),
    Right(infra.GROUP, "inmemorymachines/status", ("patch",)),
    Right(infra.GROUP, "inmemorymachinetemplates", ("list", "watch")),
    Right(infra.GROUP, "inmemorymachinetemplates/status", ("patch",)),
)

#: in the manager's own namespace, by the Role
OWN_RIGHTS: Final = (Right("coordination.k8s.io", "leases", ("create", "get", "update")),)
