"""The stock: what the sample store holds, counted in the background, as Prometheus gauges."""

import logging
import threading
import time
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from engine.errors import StoreError
from engine.listing.statistics import StoreCounter, StoreStatistics

LOGGER = logging.getLogger("flows.api")
# From the end of one count to the next at least so long, and so many times what the last one took.
PAUSE_SECONDS, PAUSE_TIMES = 60.0, 10.0
LABELS = ["namespace", "pool", "synth_type", "effort", "status"]


class Stock(Collector):
    """The last count of a store, and whether it could be counted; a scrape asks nothing of the store."""

    def __init__(self, samples_uri: str, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._counter = StoreCounter(samples_uri)
        self._pause_seconds = pause_seconds
        self._tally: StoreStatistics | None = None
        self._is_up = False
        self._took_seconds = 0.0
        self._counted_at = 0.0
        self._stopping = threading.Event()

    def start(self) -> None:
        """Counts from now on, in a thread of its own."""
        threading.Thread(target=self._count_on, name="exemplars-stock", daemon=True).start()

    def stop(self) -> None:
        """Counts no more; a count under way ends with the process."""
        self._stopping.set()

    def refresh(self) -> None:
        """Counts once. A store that is away leaves the last count as it is."""
        begun = time.monotonic()
        try:
            self._tally = self._counter.count()
        except StoreError as error:
            if self._is_up or self._tally is None:
                LOGGER.warning("The sample store cannot be counted: %s", error)
            self._is_up = False
        else:
            self._is_up, self._counted_at = True, time.time()
        self._took_seconds = time.monotonic() - begun

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges; those of the sums are missing until the store was counted for the first time."""
        tally = self._tally
        yield _make_gauge("up", "1 where the last count of the sample store succeeded.", float(self._is_up))
        yield _make_gauge("count_seconds", "How long the last count took.", self._took_seconds)
        if tally is None:
            return
        yield _make_gauge("counted_timestamp_seconds", "When the store was last counted.", self._counted_at)
        yield _make_gauge("unreadable_sets", "Sets whose manifest or verdict cannot be read.", float(tally.unreadable))
        for name, about in _SUMS.items():
            gauge = GaugeMetricFamily(f"exemplars_store_{name}", about, labels=LABELS)
            for group, sums in tally.groups.items():
                gauge.add_metric([getattr(group, label) for label in LABELS], getattr(sums, name))
            yield gauge

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing: else the registry would ask for the gauges before there are any."""
        return []

    def _count_on(self) -> None:
        while not self._stopping.is_set():
            try:
                self.refresh()
            except Exception:
                self._is_up = False
                LOGGER.exception("The sample store could not be counted")
            self._stopping.wait(max(self._pause_seconds, PAUSE_TIMES * self._took_seconds))


_SUMS = {
    "sets": "Sets in the sample store.",
    "exemplars": "Exemplars in the sets.",
    "rejected_rows": "Rejected rows that are kept beside the sets.",
    "cost_usd": "What the replies of the sets' runs cost, as far as prices are known.",
}


def _make_gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"exemplars_store_{name}", about, value=value)
