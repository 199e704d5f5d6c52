"""Records OpenTelemetry metrics of runs and calls, if a collector is configured.

Names, units and meanings: docs/decisions/025-seeing-what-goes-on.md. OpenTelemetry's SDK is imported only if there is a
collector, so a run without one pays nothing.
"""

import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from engine.domain.progress import CallEnded, Event, KeptCounted, Tried
from engine.settings import CollectorSettings

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

    from flows.observability.otlp import Sink

LOGGER = logging.getLogger("exemplars.telemetry")
# The bucket boundaries of OpenTelemetry's conventions for generative models.
CALL_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144)
RUN_SECONDS = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)

Attributes = Mapping[str, str]


@lru_cache(maxsize=1)
def find_sink() -> "Sink | None":
    """The process's sink, made on the first call; None if no collector is configured or the sink cannot be made.

    All runs of the process share it: otherwise each would have its own thread and its own time series.
    """
    settings = CollectorSettings()
    if not settings.sends:
        return None
    try:
        from flows.observability.otlp import open_sink

        return open_sink(settings)
    except Exception as error:
        # Wrong variables of OpenTelemetry are no reason for a run to fail.
        LOGGER.warning("No metrics are sent: OpenTelemetry's variables (OTEL_…) cannot be used: %s", error)
        return None


class Instruments:
    """The metric instruments of a process; every attribute has few distinct values."""

    def __init__(self, meter: "Meter") -> None:
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration", "s", explicit_bucket_boundaries_advisory=CALL_SECONDS
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", explicit_bucket_boundaries_advisory=TOKENS
        )
        self._calls = meter.create_counter("exemplars.calls", "{call}")
        self._cost = meter.create_counter("exemplars.cost", "USD")
        self._wait = meter.create_histogram(
            "exemplars.call.wait", "s", explicit_bucket_boundaries_advisory=CALL_SECONDS
        )
        self._kept = meter.create_counter("exemplars.kept", "{exemplar}")
        self._rejected = meter.create_counter("exemplars.rejected", "{exemplar}")
        self._runs = meter.create_histogram(
            "exemplars.run.duration", "s", explicit_bucket_boundaries_advisory=RUN_SECONDS
        )
        self._delay = meter.create_histogram(
            "exemplars.run.start_delay", "s", explicit_bucket_boundaries_advisory=RUN_SECONDS
        )

    def count_try(self, tried: Tried) -> None:
        """Records one attempt of a call."""
        model = {"gen_ai.request.model": tried.model}
        operation = "chat" if tried.style == "chat" else "text_completion"
        asked = {**model, "gen_ai.operation.name": operation, "gen_ai.provider.name": tried.model.partition("/")[0]}
        failed = {"error.type": tried.error} if tried.error else {}
        self._duration.record(tried.seconds, {**asked, **failed})
        self._wait.record(tried.turn_seconds, {**model, "exemplars.waits_for": "turn"})
        self._wait.record(tried.permit_seconds, {**model, "exemplars.waits_for": "permit"})
        outcome = "failed" if tried.error else "refused" if tried.refused else "answered"
        self._calls.add(1, {**model, "exemplars.outcome": outcome})
        if tried.prompt_tokens or tried.completion_tokens:
            self._tokens.record(tried.prompt_tokens, {**asked, "gen_ai.token.type": "input"})
            self._tokens.record(tried.completion_tokens, {**asked, "gen_ai.token.type": "output"})
        if tried.cost_usd:
            self._cost.add(tried.cost_usd, model)

    def count_reused(self) -> None:
        """Counts a call that was answered from kept replies."""
        self._calls.add(1, {"exemplars.outcome": "reused"})

    def count_run(self, seconds: float, counted: KeptCounted | None, attributes: Attributes) -> None:
        """Records a run that has ended, with its last counts of kept and rejected exemplars."""
        self._runs.record(seconds, attributes)
        if counted is None:
            return
        self._kept.add(sum(counted.kept.values()), attributes)
        for reason, count in counted.rejected.items():
            self._rejected.add(count, {**attributes, "exemplars.reason": reason})

    def count_delay(self, seconds: float, attributes: Attributes) -> None:
        """Records how long after its scheduled time a run began."""
        self._delay.record(seconds, attributes)


class RunMeter:
    """Records the metrics of one run from its events."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._counted: KeptCounted | None = None

    def report(self, event: Event) -> None:
        """Records one event."""
        if isinstance(event, Tried):
            self._instruments.count_try(event)
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
