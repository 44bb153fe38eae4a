"""The worker process: hosts a shard of workload clusters at the coordinator's command."""
