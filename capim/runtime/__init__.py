"""Pure state machines: a cluster's objects, machines, etcd. Time and chance are arguments."""
