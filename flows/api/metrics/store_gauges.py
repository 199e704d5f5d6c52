"""Prometheus gauges of what the sample store holds, counted in a background thread."""

import time
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily

from engine.errors import StoreError
from engine.listing.statistics import StoreStatistics, count_store
from flows.api.metrics.background_gauges import LOGGER, BackgroundGauges

# The pause between two counts: at least so many seconds, and at least so many times the duration of the last count.
PAUSE_SECONDS, PAUSE_TIMES = 60.0, 10.0
LABELS = ["namespace", "pool", "synth_type", "effort", "status"]


class StoreGauges(BackgroundGauges):
    """Exports the last count of a store, and whether it succeeded; a scrape itself does not read the store."""

    def __init__(self, samples_uri: str, pause_seconds: float = PAUSE_SECONDS) -> None:
        super().__init__()
        self._samples_uri = samples_uri
        self._least_pause_seconds = pause_seconds
        self._tally: StoreStatistics | None = None
        self._took_seconds = 0.0
        self._counted_at = 0.0

    @property
    def pause_seconds(self) -> float:
        """The longer, the longer the last count took."""
        return max(self._least_pause_seconds, PAUSE_TIMES * self._took_seconds)

    def refresh(self) -> None:
        """Counts once; if the store cannot be read, the last count stays."""
        begun = time.monotonic()
        try:
            self._tally = count_store(self._samples_uri)
        except StoreError as error:
            if self.is_up or self._tally is None:
                LOGGER.warning("The sample store cannot be counted: %s", error)
            self.is_up = False
        else:
            self.is_up, self._counted_at = True, time.time()
        self._took_seconds = time.monotonic() - begun

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges; totals are missing until the store has been counted for the first time."""
        tally = self._tally
        yield _make_gauge("up", "1 where the last count of the sample store succeeded.", float(self.is_up or False))
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


_SUMS = {
    "sets": "Sets in the sample store.",
    "exemplars": "Exemplars in the sets.",
    "rejected_rows": "Rejected rows that are kept beside the sets.",
    "cost_usd": "What the replies of the sets' runs cost, as far as prices are known.",
}


def _make_gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"exemplars_store_{name}", about, value=value)
