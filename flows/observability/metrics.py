"""Telemetry: what a run sees, as OpenTelemetry metrics, where somebody is named to send them to.

Names, units and meanings: docs/decisions/025-seeing-what-goes-on.md. OpenTelemetry's SDK is imported where there is a
collector, and not before: a run without one pays nothing.
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
    """The sink of this process, made at the first call; None where no collector is named, or none can be made.

    All runs of the process share it: each would else have a thread, and series, of its own.
    """
    settings = CollectorSettings()
    if not settings.sends:
        return None
    try:
        from flows.observability.otlp import open_sink

        return open_sink(settings)
    except Exception as error:
        # OpenTelemetry's variables are somebody else's to check, and no reason for a run to fail.
        LOGGER.warning("No metrics are sent: OpenTelemetry's variables (OTEL_…) cannot be used: %s", error)
        return None


class RunMeter:
    """What one run has to count: it takes the run's events."""

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
        """The run has begun, so long after its time."""
        self._instruments.count_delay(delay_seconds, attributes)

    def end(self, seconds: float, attributes: Attributes) -> None:
        """The run is over."""
        self._instruments.count_run(seconds, self._counted, attributes)
