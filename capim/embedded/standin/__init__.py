"""A small Cluster API for `capim up`: plays cluster, control plane, deployment, machine and bootstrap.

It talks to the management API and to workload clusters over the wire only, as the real controllers do.
"""
