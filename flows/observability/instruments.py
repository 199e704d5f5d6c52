"""OpenTelemetry's instruments of a process, and what a run records with them from its events.

Names, units and meanings: docs/guides/operate/watch.md. Every attribute has few values.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.domain.progress import CallAttempted, CallEnded, Event, KeptCounted, WaitedForTurn

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, Meter

# Those of OpenTelemetry's conventions for generative models.
CALL_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144)
RUN_SECONDS = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)

Attributes = Mapping[str, str]


class Instruments:
    """The instruments, which all runs of the process share."""

    def __init__(self, meter: "Meter") -> None:
        def make_histogram(name: str, unit: str, bounds: tuple[float, ...]) -> "Histogram":
            return meter.create_histogram(name, unit, explicit_bucket_boundaries_advisory=bounds)

        self.call_seconds = make_histogram("gen_ai.client.operation.duration", "s", CALL_SECONDS)
        self.tokens = make_histogram("gen_ai.client.token.usage", "{token}", TOKENS)
        self.wait_seconds = make_histogram("exemplars.call.wait", "s", CALL_SECONDS)
        self.run_seconds = make_histogram("exemplars.run.duration", "s", RUN_SECONDS)
        self.delay_seconds = make_histogram("exemplars.run.start_delay", "s", RUN_SECONDS)
        self.calls = meter.create_counter("exemplars.calls", "{call}")
        self.cost_usd = meter.create_counter("exemplars.cost", "USD")
        self.kept = meter.create_counter("exemplars.kept", "{exemplar}")
        self.rejected = meter.create_counter("exemplars.rejected", "{exemplar}")


class RunMeter:
    """Records one run."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._counted: KeptCounted | None = None

    def report(self, event: Event) -> None:
        """Takes one event."""
        if isinstance(event, CallAttempted):
            self._record_try(event)
        elif isinstance(event, WaitedForTurn):
            waits = {"gen_ai.request.model": event.model, "exemplars.waits_for": "turn"}
            self._instruments.wait_seconds.record(event.seconds, waits)
        elif isinstance(event, CallEnded) and event.reused:
            self._instruments.calls.add(1, {"exemplars.outcome": "reused"})
        elif isinstance(event, KeptCounted):
            self._counted = event

    def end(self, seconds: float, attributes: Attributes) -> None:
        """Records that the run has ended, after so many seconds, and what it had come to."""
        self._instruments.run_seconds.record(seconds, attributes)
        if self._counted is None:
            return
        self._instruments.kept.add(sum(self._counted.kept.values()), attributes)
        for reason, count in self._counted.rejected.items():
            self._instruments.rejected.add(count, {**attributes, "exemplars.reason": reason})

    def _record_try(self, tried: CallAttempted) -> None:
        """Records one try of a call."""
        its = self._instruments
        model = {"gen_ai.request.model": tried.model}
        operation = "chat" if tried.style == "chat" else "text_completion"
        asked = {**model, "gen_ai.operation.name": operation, "gen_ai.provider.name": tried.model.partition("/")[0]}
        its.call_seconds.record(tried.seconds, {**asked, **({"error.type": tried.error} if tried.error else {})})
        its.wait_seconds.record(tried.permit_seconds, {**model, "exemplars.waits_for": "permit"})
        outcome = "failed" if tried.error else "refused" if tried.refused else "answered"
        its.calls.add(1, {**model, "exemplars.outcome": outcome})
        if tried.prompt_tokens or tried.completion_tokens:
            its.tokens.record(tried.prompt_tokens, {**asked, "gen_ai.token.type": "input"})
            its.tokens.record(tried.completion_tokens, {**asked, "gen_ai.token.type": "output"})
        if tried.cost_usd:
            its.cost_usd.add(tried.cost_usd, model)
