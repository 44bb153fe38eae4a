"""The coordinator process: reconciles our kinds, leases ports, places clusters on workers."""
