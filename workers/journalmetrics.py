"""What a worker's journal tells Prometheus; the coordinator adds up what its workers say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workers.journal import Journal


class JournalMetrics(Collector):
    """Reads a journal's state when it is scraped."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the families."""
        yield GaugeMetricFamily(
            "capim_journals_unwritable",
            "Journals that cannot be written now; writes to their clusters are refused.",
            value=float(bool(self._journal.broken)),
        )
        yield GaugeMetricFamily(
            "capim_journal_damaged_clusters",
            "Clusters that are not what was written down of them, since their workers began.",
            value=float(self._journal.damaged),
        )
