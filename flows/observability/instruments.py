"""OpenTelemetry's instruments of a process; names and units: docs/decisions/025-seeing-what-goes-on.md."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.domain.progress import CallAttempted, KeptCounted, WaitedForTurn

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

# Those of OpenTelemetry's conventions for generative models.
CALL_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144)
RUN_SECONDS = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)

Attributes = Mapping[str, str]


class Instruments:
    """The instruments of a process; every attribute has few values."""

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

    def count_try(self, tried: CallAttempted) -> None:
        """Counts one try of a call."""
        model = {"gen_ai.request.model": tried.model}
        operation = "chat" if tried.style == "chat" else "text_completion"
        asked = {**model, "gen_ai.operation.name": operation, "gen_ai.provider.name": tried.model.partition("/")[0]}
        failed = {"error.type": tried.error} if tried.error else {}
        self._duration.record(tried.seconds, {**asked, **failed})
        self._wait.record(tried.permit_seconds, {**model, "exemplars.waits_for": "permit"})
        outcome = "failed" if tried.error else "refused" if tried.refused else "answered"
        self._calls.add(1, {**model, "exemplars.outcome": outcome})
        if tried.prompt_tokens or tried.completion_tokens:
            self._tokens.record(tried.prompt_tokens, {**asked, "gen_ai.token.type": "input"})
            self._tokens.record(tried.completion_tokens, {**asked, "gen_ai.token.type": "output"})
        if tried.cost_usd:
            self._cost.add(tried.cost_usd, model)

    def count_wait(self, waited: WaitedForTurn) -> None:
        """Counts how long one try of a call waited for its turn."""
        self._wait.record(waited.seconds, {"gen_ai.request.model": waited.model, "exemplars.waits_for": "turn"})

    def count_reused(self) -> None:
        """Counts a call that was answered from kept replies."""
        self._calls.add(1, {"exemplars.outcome": "reused"})

    def count_run(self, seconds: float, counted: KeptCounted | None, attributes: Attributes) -> None:
        """Counts a run that has ended, and what it had come to."""
        self._runs.record(seconds, attributes)
        if counted is None:
            return
        self._kept.add(sum(counted.kept.values()), attributes)
        for reason, count in counted.rejected.items():
            self._rejected.add(count, {**attributes, "exemplars.reason": reason})

    def count_delay(self, seconds: float, attributes: Attributes) -> None:
        """Counts how long after its time a run began."""
        self._delay.record(seconds, attributes)
