"""CAPIM: a Cluster API infrastructure provider whose machines do not exist.

The nouns. An *installation* is one CAPIM in one management cluster: a *coordinator* process that
reconciles ``InMemoryCluster`` and ``InMemoryMachine`` and leases ports, and *worker* processes, each
hosting a *shard* of *workload clusters*. A workload cluster is a *resource group* (its objects, their
versions and watch history), an etcd membership, and a *listener*: one TLS port that serves the fake
Kubernetes API and, by SNI or through port-forward, the fake etcd.

The folders, lowest first; each imports only from those above it in this list:

- ``capim.api``        pure data: names, errors, the table of served kinds, our own kinds
- ``capim.wire``       bytes in, values out, and back: patches, selectors, protobuf, SPDY, gRPC frames
- ``capim.runtime``    pure state: resource groups, garbage collection, simulated machines, etcd members
- ``capim.aio``        the event loop's helpers: clocks and supervised tasks
- ``capim.messaging``, ``capim.certs``  messages between processes; certificates
- ``capim.server``     I/O shells: the listener with its API server and etcd
- ``coordinator``, ``workers``  the two kinds of process; they share messages and nothing else
- ``capim.cli``, ``capim.embedded``, ``capim.testing``  commands; the management API and stand-in of
  ``capim up``; clusters for other projects' tests, with fixtures for pytest
"""

__version__ = "0.1.0"
