"""What CAPIM's processes have now: memory, descriptors and threads by /proc, tasks by their metrics."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson
import urllib3

from tests.e2e import processes
from tests.soak.trend import Sample

if TYPE_CHECKING:
    from tests.e2e.provider import CapimProvider

_TASKS: Final = re.compile(r'^capim_tasks\{process="([^"]+)"\} (\S+)$', re.MULTILINE)
#: levels of a log's lines that nothing of the churn may cause
_BAD: Final = frozenset({"error", "critical"})


class Gauge:
    """Looks at the manager and its workers; they must be the same processes all the time."""

    def __init__(self, capim: CapimProvider) -> None:
        self._metrics = f"http://127.0.0.1:{capim.manager.diagnostics_port}/metrics"
        self._log = capim.log
        self._pids = {_name(pid): pid for pid in capim.pids()}

    def look(self, at_s: float, cycle: int, *, resting: bool) -> list[Sample]:
        """Return a sample of each process.

        Raises:
            OSError: one has ended.
            urllib3.exceptions.HTTPError: the manager does not answer.
        """
        text = urllib3.request("GET", self._metrics, timeout=10).data.decode()
        tasks = {name: int(float(value)) for name, value in _TASKS.findall(text)}
        found = []
        for name, pid in self._pids.items():
            used = processes.usage([pid])
            folder = Path("/proc", str(pid))
            found.append(
                Sample(
                    at_s=round(at_s, 1),
                    cycle=cycle,
                    resting=resting,
                    process=name,
                    rss_bytes=used.rss_bytes,
                    pss_bytes=used.pss_bytes,
                    descriptors=len(list((folder / "fd").iterdir())),
                    threads=len(list((folder / "task").iterdir())),
                    tasks=tasks[name],
                )
            )
        return found

    def complaints(self) -> tuple[list[str], int]:
        """Return the log's lines that tell of errors or are no log lines, and how many only warn."""
        errors, warnings = [], 0
        for line in self._log.read_text(errors="replace").splitlines():
            try:
                level = orjson.loads(line)["level"]
            except (ValueError, KeyError, TypeError):
                level = "error"  # a traceback that nobody caught
            if level in _BAD:
                errors.append(line)
            warnings += level == "warning"
        return errors, warnings


def _name(pid: int) -> str:
    words = processes.command_line(pid)
    return words[words.index("--name") + 1] if "--name" in words else "manager"
