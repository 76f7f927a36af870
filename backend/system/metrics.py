"""Numbers for Prometheus. Counters of this process, and counts out of the database at each scrape.

Never a label with a dataset, a class or a person in it.
"""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from backend.counters import PROCESS
from backend.db.session import ReadSession
from backend.storage.base import Storage
from backend.system.repository import SystemRepository
from backend.version import version

ALIVE_WITHIN_S: Final = 60.0
"""A worker beats every ten seconds; one that was silent for a lease counts as gone."""


def metrics_text(session: ReadSession, storage: Storage) -> bytes:
    """Everything, in Prometheus' text form."""
    counted = CollectorRegistry()
    counted.register(_Counts(SystemRepository(session), storage))
    return generate_latest(PROCESS) + generate_latest(counted)


class _Counts(Collector):
    def __init__(self, counts: SystemRepository, storage: Storage) -> None:
        self._counts = counts
        self._storage = storage

    def describe(self) -> list[Metric]:
        """Nothing in advance: the registry needn't ask the database for names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Count now."""
        runs = CounterMetricFamily("tellapart_runs", "Runs by their present state.", labels=["status"])
        for state, number in self._counts.runs_by_state().items():
            runs.add_metric([state.value], number)
        yield runs
        length = GaugeMetricFamily("tellapart_queue_length", "Jobs that wait.", labels=["kind"])
        wait = GaugeMetricFamily("tellapart_queue_wait_seconds", "How long the oldest job waits.", labels=["kind"])
        for kind, waiting in self._counts.waiting().items():
            length.add_metric([kind.value], waiting.jobs)
            wait.add_metric([kind.value], waiting.oldest_s)
        yield length
        yield wait
        number, seconds = self._counts.epochs()
        yield SummaryMetricFamily("tellapart_epoch_duration_seconds", "Epochs trained.", number, seconds)
        alive = len(self._counts.workers(ALIVE_WITHIN_S))
        yield GaugeMetricFamily("tellapart_workers_alive", "Workers that reported within a minute.", alive)
        free = self._storage.free_bytes()
        yield GaugeMetricFamily("tellapart_storage_free_bytes", "Room left for pictures and models.", free)
        build = GaugeMetricFamily("tellapart_build_info", "Which version this is.", labels=["version"])
        build.add_metric([version()], 1)
        yield build
