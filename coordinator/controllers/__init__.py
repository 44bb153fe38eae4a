"""Reconciliation of InMemoryCluster and InMemoryMachine: plans are pure, controllers carry them out."""
