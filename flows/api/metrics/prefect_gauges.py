"""Prometheus gauges of what Prefect's server knows of workers and of runs that wait, asked in a background thread."""

from collections.abc import Iterator, Mapping

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
    WorkerFilter,
    WorkerFilterStatus,
    WorkPoolFilter,
    WorkPoolFilterName,
    WorkQueueFilter,
    WorkQueueFilterName,
)
from prefect.client.schemas.objects import WorkerStatus
from prefect.exceptions import PrefectException
from prometheus_client.core import GaugeMetricFamily

from flows.api.metrics.background_gauges import BackgroundGauges
from flows.deploy.work_pool import POOL, QUEUES

PAUSE_SECONDS = 30.0
ONLINE = WorkerFilter(status=WorkerFilterStatus(any_=[WorkerStatus.ONLINE]))
LATE = FlowRunFilter(state=FlowRunFilterState(name=FlowRunFilterStateName(any_=["Late"])))
OUR_POOL = WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))


class PrefectGauges(BackgroundGauges):
    """Exports whether Prefect's server answered when it was last asked, and then how many workers and late runs it has.

    A scrape itself does not ask. Before the first answer there is no gauge.

    Args:
        client: a client that is not yet open; the thread opens it.
    """

    def __init__(self, client: SyncPrefectClient) -> None:
        super().__init__()
        self._client = client
        self._online = 0
        self._late: Mapping[str, int] = {}

    @property
    def pause_seconds(self) -> float:
        """Always the same."""
        return PAUSE_SECONDS

    def refresh(self) -> None:
        """Asks once."""
        try:
            # The status in the answer is by the last heartbeat, that of the filter by the server's last look.
            workers = self._client.read_workers_for_work_pool(POOL, ONLINE)
            self._online = sum(worker.status == WorkerStatus.ONLINE for worker in workers)
            self._late = {queue.name: self._count_late(queue.name) for queue in QUEUES}
        except (httpx.HTTPError, PrefectException):
            self.is_up = False
        else:
            self.is_up = True

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges; what only the server knows is missing while it does not answer."""
        if self.is_up is None:
            return
        about = "1 where Prefect's server answered when it was last asked."
        yield GaugeMetricFamily("exemplars_prefect_up", about, value=float(self.is_up))
        if not self.is_up:
            return
        about = f"Workers of the pool {POOL} whose heartbeats arrive."
        yield GaugeMetricFamily("exemplars_workers_online", about, value=self._online)
        late = GaugeMetricFamily("exemplars_runs_late", "Runs that are due and that no worker takes.", labels=["queue"])
        for queue, count in self._late.items():
            late.add_metric([queue], count)
        yield late

    def _count_late(self, queue: str) -> int:
        where = WorkQueueFilter(name=WorkQueueFilterName(any_=[queue]))
        return self._client.count_flow_runs(flow_run_filter=LATE, work_pool_filter=OUR_POOL, work_queue_filter=where)

    def _look_on(self) -> None:
        with self._client:
            super()._look_on()
