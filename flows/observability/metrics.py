"""Records OpenTelemetry metrics of runs and calls, if a collector is configured.

Names, units and meanings: docs/decisions/025-seeing-what-goes-on.md. OpenTelemetry's SDK is imported only if there is a
collector, so a run without one pays nothing.
"""

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

from engine.domain.progress import CallAttempted, CallEnded, Event, KeptCounted, WaitedForTurn
from engine.settings import CollectorSettings
from flows.observability.instruments import Attributes, Instruments

if TYPE_CHECKING:
    from flows.observability.otlp import Sink

LOGGER = logging.getLogger("exemplars.telemetry")


@lru_cache(maxsize=1)
def find_sink() -> "Sink | None":
    """The process's sink, made on the first call; None if no collector is configured or the sink cannot be made.

    All runs of the process share it: otherwise each would have its own thread and its own time series.
    """
    settings = CollectorSettings()
    if not settings.sends:
        return None
    try:
        from flows.observability.otlp import Sink

        return Sink(settings)
    except Exception as error:
        # Wrong variables of OpenTelemetry are no reason for a run to fail.
        LOGGER.warning("No metrics are sent: OpenTelemetry's variables (OTEL_…) cannot be used: %s", error)
        return None


class RunMeter:
    """Records the metrics of one run from its events."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._counted: KeptCounted | None = None

    def report(self, event: Event) -> None:
        """Takes one event."""
        if isinstance(event, CallAttempted):
            self._instruments.count_try(event)
        elif isinstance(event, WaitedForTurn):
            self._instruments.count_wait(event)
        elif isinstance(event, CallEnded) and event.reused:
            self._instruments.count_reused()
        elif isinstance(event, KeptCounted):
            self._counted = event

    def begin(self, delay_seconds: float, attributes: Attributes) -> None:
        """Records that the run has begun, so long after its scheduled time."""
        self._instruments.count_delay(delay_seconds, attributes)

    def end(self, seconds: float, attributes: Attributes) -> None:
        """Records that the run has ended, after so many seconds."""
        self._instruments.count_run(seconds, self._counted, attributes)
