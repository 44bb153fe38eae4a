"""How many files and sockets this process may have open, and what fits into that."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Final

#: kept from connections: journal, sockets between the processes, libraries, files that come and go
_RESERVED: Final = 96
#: a listening socket, the connections of three Cluster API controllers, and some for people
_OF_A_CLUSTER: Final = 8
#: more than any worker serves; a limit of millions makes some programs we start close them one by one
_WANTED: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the limit of open files allows."""

    descriptors: int  #: the limit

    @property
    def connections(self) -> int:
        """Sockets of clients and listeners together; a socket of a higher number is one too many."""
        return max(self.descriptors - _RESERVED, self.descriptors // 2)

    @property
    def clusters(self) -> int:
        """Workload clusters with the connections that they have in everyday life."""
        return self.connections // _OF_A_CLUSTER

    def __str__(self) -> str:
        return (
            f"{self.descriptors} open files allow {self.connections} connections to a process,"
            f" enough for about {self.clusters} clusters"
        )


def raise_limit() -> Capacity:
    """Raise this process's limit of open files as far as the system allows, and tell what fits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return Capacity(_WANTED if soft == resource.RLIM_INFINITY else soft)
