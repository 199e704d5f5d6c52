"""OpenTelemetry's instruments of a process, what a run records with them, and their sending to a collector over OTLP.

Names, units and meanings: docs/guides/operate/watch.md. Every attribute has few values. Imported only if there is a
collector (``flows/observability/run_outcome.py``), so a run without one pays nothing.
"""

import asyncio
import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Histogram as MeteredHistogram
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.util.re import parse_env_headers

from engine.domain.progress import CallAttempted, CallEnded, Event, KeptCounted, WaitedForTurn
from engine.llm.client.redaction import MARK, redact_message
from engine.settings import CollectorSettings

LOGGER = logging.getLogger("exemplars.telemetry")
NAME = "exemplars"
# How long a run waits at its end for a collector that does not answer.
FLUSH_SECONDS = 2.0
# Metrics are sent as deltas since the last export, because a process may do one run and end. Cumulative sums would
# start again with every process, and a backend would have to keep each process's series apart for ever.
DELTA: dict[type, AggregationTemporality] = dict.fromkeys((Counter, Histogram), AggregationTemporality.DELTA)
# Those of OpenTelemetry's conventions for generative models.
CALL_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144)
RUN_SECONDS = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)


class Sink:
    """Sends each minute (``OTEL_METRIC_EXPORT_INTERVAL``) and at the end of each run.

    OpenTelemetry logs itself what it cannot send, and tries again for ``OTEL_EXPORTER_OTLP_TIMEOUT`` seconds.
    """

    def __init__(self, settings: CollectorSettings) -> None:
        chosen = settings.otel_exporter_otlp_metrics_temporality_preference
        logging.getLogger(OTLPMetricExporter.__module__).addFilter(_redact)
        logging.getLogger(parse_env_headers.__module__).addFilter(_hide_quoted)
        exporter = OTLPMetricExporter(preferred_temporality=None if chosen else dict(DELTA))
        named = Resource.create({"service.name": NAME, "service.version": version(NAME)})
        self._provider = MeterProvider(
            [PeriodicExportingMetricReader(exporter)],
            named.merge(OTELResourceDetector().detect()),
            shutdown_on_exit=False,
        )
        self._late: threading.Thread | None = None
        self.instruments = Instruments(self._provider.get_meter(NAME, version(NAME)))

    async def flush(self) -> None:
        """Sends what is recorded, and waits for that at most ``FLUSH_SECONDS``; not at all while a send hangs."""
        if self._late is not None and self._late.is_alive():
            return
        # A daemon thread: the process must not wait for it at its end.
        sending = threading.Thread(target=self._send, name="exemplars-metrics", daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, FLUSH_SECONDS)
        if sending.is_alive():
            self._late = sending
            LOGGER.warning("The collector of metrics does not answer within %g s; the run goes on", FLUSH_SECONDS)

    def _send(self) -> None:
        # OpenTelemetry has logged why.
        with suppress(Exception):
            self._provider.force_flush()

    def begin_run(self) -> "RunMeter":
        """The meter of a run that begins."""
        return RunMeter(self.instruments)


class Instruments:
    """The instruments, which all runs of the process share."""

    def __init__(self, meter: Meter) -> None:
        def make_histogram(name: str, unit: str, bounds: tuple[float, ...]) -> MeteredHistogram:
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

    def end(self, seconds: float, attributes: Mapping[str, str]) -> None:
        """Records that the run has ended, after so many seconds, and what it had come to."""
        self._instruments.run_seconds.record(seconds, attributes)
        if self._counted is None:
            return
        self._instruments.kept.add(sum(self._counted.kept.values()), attributes)
        for reason, count in self._counted.rejected.items():
            self._instruments.rejected.add(count, {**attributes, "exemplars.reason": reason})

    def _record_try(self, tried: CallAttempted) -> None:
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


def _redact(record: logging.LogRecord) -> bool:
    """Redacts a line of the exporter's, since it may quote the collector's address with a key in it."""
    record.msg, record.args = redact_message(record.getMessage(), ()), None
    return True


def _hide_quoted(record: logging.LogRecord) -> bool:
    """Hides the header that a line quotes since it cannot be read: there may be a key in it."""
    record.args = (MARK,) * len(record.args or ())
    return True
