"""The manager's options for tests that run a fleet's workers without a manager."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """What of the manager's options the fleet reads."""

    runtime_dir: str
    workers: int = 1
    bind_host: str = "127.0.0.1"
    verbosity: int = 0
    logging_format: str = "text"
    workload_simulation: str = "off"
    workload_authorization: str = "AlwaysAllow"
    remote_workers: tuple[tuple[str, str], ...] = ()
    worker_listen: str = ""
    worker_keys: str = ""
    state_dir: str = ""
    journal_sync: str = "normal"
