"""Fake clusters for other projects' tests: start them, let them suffer, look at what your program does.

    import capim.testing

    with capim.testing.fleet() as fleet:
        cluster = fleet.cluster("demo", workers=2)
        run_my_controller(kubeconfig=cluster.kubeconfig)
        with cluster.fault(nodes={"effect": "NotReady"}, machines={"names": ["demo-md-0"]}) as fault:
            ...

No management cluster and no other process: a worker runs in a thread. With pytest the fixtures
`capim_fleet` and `capim_cluster` are there as soon as CAPIM is installed.
"""

from __future__ import annotations

from capim.testing.fleet import Answer, Cluster, DeclaredFault, Fleet, fleet

__all__ = ["Answer", "Cluster", "DeclaredFault", "Fleet", "fleet"]
