"""Sends a process's metrics to an OpenTelemetry collector over OTLP, without delaying a run for long."""

import asyncio
import logging
import threading
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource

from engine.llm.redaction import redact_message
from engine.settings import CollectorSettings
from flows.observability.instruments import Instruments

LOGGER = logging.getLogger("exemplars.telemetry")
NAME = "exemplars"
# How long a run waits at its end for a collector that does not answer.
FLUSH_SECONDS = 2.0
# Metrics are sent as deltas since the last export, because a process may do one run and end. Cumulative sums would
# start again with every process, and a backend would have to keep each process's series apart for ever.
DELTA: dict[type, AggregationTemporality] = dict.fromkeys((Counter, Histogram), AggregationTemporality.DELTA)


def open_sink(settings: CollectorSettings) -> "Sink":
    """Makes the sink that OpenTelemetry's variables configure."""
    chosen = settings.otel_exporter_otlp_metrics_temporality_preference
    return Sink(OTLPMetricExporter(preferred_temporality=None if chosen else dict(DELTA)))


class Sink:
    """Sends each minute (``OTEL_METRIC_EXPORT_INTERVAL``) and at the end of each run."""

    def __init__(self, exporter: MetricExporter) -> None:
        self._exporter = _MonitoredExporter(exporter)
        self._provider = MeterProvider(
            [PeriodicExportingMetricReader(self._exporter)], _name_resource(), shutdown_on_exit=False
        )
        self._sending: threading.Thread | None = None
        self.instruments = Instruments(self._provider.get_meter(NAME, version(NAME)))

    async def flush(self) -> None:
        """Sends what is recorded; waits for that at most ``FLUSH_SECONDS``, and not at all while the collector is away.

        When the collector goes away, one warning is logged.
        """
        was_away = self._exporter.is_away
        if was_away and self._sending is not None and self._sending.is_alive():
            return
        # A daemon thread: the process must not wait for it at its end.
        self._sending = threading.Thread(target=self._send, name="exemplars-metrics", daemon=True)
        self._sending.start()
        if was_away:
            return
        await asyncio.to_thread(self._sending.join, FLUSH_SECONDS)
        self._exporter.is_away |= self._sending.is_alive()
        if self._exporter.is_away:
            said = self._exporter.last_warning or f"no answer within {FLUSH_SECONDS:g} s"
            LOGGER.warning("Metrics cannot be sent to the collector; the run continues without them: %s", said)

    def _send(self) -> None:
        try:
            self._provider.force_flush()
        except Exception:
            # Mostly its own timeout.
            self._exporter.is_away = True

    def close(self) -> None:
        """Stops the sink's threads; what was not sent is lost."""
        self._provider.shutdown(timeout_millis=1000 * FLUSH_SECONDS)


class _MonitoredExporter(MetricExporter):
    """Wraps an exporter, and records whether it reaches the collector and what its library logs if it does not."""

    def __init__(self, exporter: MetricExporter) -> None:
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)
        self.is_away = False
        self._exporter = exporter
        self._heard = _LastWarning()
        # The library itself would log several lines every minute.
        library = logging.getLogger("opentelemetry")
        library.propagate = False
        library.handlers = [self._heard]

    @property
    def last_warning(self) -> str:
        """The library's last warning, redacted, since it may quote the address."""
        return redact_message(self._heard.text, ())

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **options: object
    ) -> MetricExportResult:
        result = self._exporter.export(metrics_data, timeout_millis, **options)
        self.is_away = result is not MetricExportResult.SUCCESS
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **options: object) -> None:
        self._exporter.shutdown(timeout_millis)


class _LastWarning(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


def _name_resource() -> Resource:
    """The OpenTelemetry resource: from its variables, with the service name ``exemplars`` if they have none."""
    resource = Resource.create({"service.version": version(NAME)})
    if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": NAME}))
    return resource
