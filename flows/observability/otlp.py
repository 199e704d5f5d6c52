"""Sends a process's metrics to an OpenTelemetry collector over OTLP, by OpenTelemetry's own exporter.

Imported only if there is a collector (``flows/observability/run_outcome.py``), so a run without one pays nothing.
"""

import asyncio
import logging
import threading
from contextlib import suppress
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.util.re import parse_env_headers

from engine.llm.client.redaction import MARK, redact_message
from engine.settings import CollectorSettings
from flows.observability.instruments import Instruments

LOGGER = logging.getLogger("exemplars.telemetry")
NAME = "exemplars"
# How long a run waits at its end for a collector that does not answer.
FLUSH_SECONDS = 2.0
# Metrics are sent as deltas since the last export, because a process may do one run and end. Cumulative sums would
# start again with every process, and a backend would have to keep each process's series apart for ever.
DELTA: dict[type, AggregationTemporality] = dict.fromkeys((Counter, Histogram), AggregationTemporality.DELTA)


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

    def close(self) -> None:
        """Stops the sink's threads; what was not sent is lost."""
        self._provider.shutdown(timeout_millis=1000 * FLUSH_SECONDS)


def _redact(record: logging.LogRecord) -> bool:
    """Redacts a line of the exporter's, since it may quote the collector's address with a key in it."""
    record.msg, record.args = redact_message(record.getMessage(), ()), None
    return True


def _hide_quoted(record: logging.LogRecord) -> bool:
    """Hides the header that a line quotes since it cannot be read: there may be a key in it."""
    record.args = (MARK,) * len(record.args or ())
    return True
