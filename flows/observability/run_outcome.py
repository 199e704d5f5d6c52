"""Wraps a whole run: sets the context of its log lines, and logs and records its outcome and duration."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from prefect.exceptions import Abort, TerminationSignal
from prefect.runtime import flow_run

from engine.domain.progress import Progress
from engine.errors import GateError, ModelBusyError, RunInterruptedError, SharedBudgetError
from engine.settings import CollectorSettings, read_settings
from engine.system.concurrency import log_context, read_log_context
from flows.observability.logs import set_up_logs

if TYPE_CHECKING:
    from flows.observability.otlp import Sink

LOGGER = logging.getLogger("exemplars.runs")
# The outcome of a run by what it raised; anything else is "failed".
OUTCOMES: tuple[tuple[type[BaseException], str], ...] = (
    (GateError, "rejected"),
    (ModelBusyError, "busy"),
    (RunInterruptedError, "cancelled"),
    (SharedBudgetError, "cancelled"),
    (asyncio.CancelledError, "cancelled"),
    (KeyboardInterrupt, "cancelled"),
    (TerminationSignal, "cancelled"),
    (Abort, "cancelled"),
)


@lru_cache(maxsize=1)
def find_sink() -> "Sink | None":
    """Where this process's runs send their metrics; None if no collector is configured or it cannot be used.

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
        text = "No metrics are sent: OpenTelemetry's variables (OTEL_…) cannot be used: %s"
        logging.getLogger("exemplars.telemetry").warning(text, error)
        return None


@asynccontextmanager
async def observe_run(handle: str, synth_type: str, effort: str | None) -> AsyncIterator[Progress | None]:
    """Observes the run inside the block, and yields where it reports its events; None where there is no collector.

    A failure to send metrics never fails the run.
    """
    set_up_logs(read_settings().log_format)
    begun = time.monotonic()
    with log_context(run_id=str(flow_run.get_id()), handle=handle, synth_type=synth_type, effort=effort):
        sink = find_sink()
        meter = sink.begin_run() if sink else None
        if sink and (delay := _read_delay()) is not None:
            sink.instruments.delay_seconds.record(delay, _list_attributes())
        outcome, error_type = "attached", ""
        try:
            yield meter
        except BaseException as error:
            outcome = next((outcome for kind, outcome in OUTCOMES if isinstance(error, kind)), "failed")
            error_type = type(error).__name__
            raise
        finally:
            seconds = time.monotonic() - begun
            told = {"outcome": outcome, "seconds": round(seconds, 3), "error": error_type or None}
            LOGGER.info("The run has ended as %s after %.1f s", outcome, seconds, extra=told)
            if sink and meter:
                ended = {"exemplars.outcome": outcome, **({"error.type": error_type} if error_type else {})}
                meter.end(seconds, {**_list_attributes(), **ended})
                await sink.flush()


def _read_delay() -> float | None:
    """Seconds from the run's scheduled time to its start; None for a retry, since that time is the first start's."""
    due = flow_run.get_scheduled_start_time()
    if due is None or flow_run.get_run_count() > 1:
        return None
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(str(due)).astimezone(UTC)).total_seconds())


def _list_attributes() -> dict[str, str]:
    """The attributes of a run's metrics. The handle is not among them: it would have too many values."""
    fields = read_log_context()
    return {f"exemplars.{name}": str(fields.get(name) or "unknown") for name in ("synth_type", "effort")}
