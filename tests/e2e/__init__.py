"""End-to-end tests: real Cluster API controllers against the provider, as plain local processes."""
