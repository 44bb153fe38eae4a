"""I/O shells that serve a workload cluster: TLS, HTTP, watches, tunnels, etcd. No state."""
