"""Wraps a whole run: sets the context of its log lines, and logs and records its outcome and duration."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from prefect.exceptions import Abort, TerminationSignal
from prefect.runtime import flow_run

from engine.domain.progress import Event, Progress
from engine.errors import GateError, ModelBusyError, RunInterruptedError
from engine.settings import read_settings
from engine.system.log_context import log_context, read_log_context
from flows.observability.instruments import Attributes
from flows.observability.logs import set_up_logs
from flows.observability.metrics import RunMeter, find_sink

LOGGER = logging.getLogger("exemplars.runs")
# The outcome of a run by what it raised; anything else is "failed".
OUTCOMES: tuple[tuple[type[BaseException], str], ...] = (
    (GateError, "rejected"),
    (ModelBusyError, "busy"),
    (RunInterruptedError, "cancelled"),
    (asyncio.CancelledError, "cancelled"),
    (KeyboardInterrupt, "cancelled"),
    (TerminationSignal, "cancelled"),
    (Abort, "cancelled"),
)


class _DiscardProgress:
    """Discards all events, for runs without a collector."""

    def report(self, event: Event) -> None:
        """Does nothing."""


@asynccontextmanager
async def observe_run(handle: str, synth_type: str, effort: str | None) -> AsyncIterator[Progress]:
    """Observes the run inside the block, and yields where the run reports its events.

    A failure to send metrics never fails the run.
    """
    set_up_logs(read_settings().log_format)
    begun = time.monotonic()
    with log_context(run_id=str(flow_run.get_id()), handle=handle, synth_type=synth_type, effort=effort):
        sink = find_sink()
        meter = RunMeter(sink.instruments) if sink else None
        if meter and (delay := _read_delay()) is not None:
            meter.begin(delay, _list_attributes())
        outcome, error_type = "attached", ""
        try:
            yield meter or _DiscardProgress()
        except BaseException as error:
            outcome, error_type = name_outcome(error), type(error).__name__
            raise
        finally:
            seconds = time.monotonic() - begun
            _log_end(outcome, error_type, seconds)
            if sink and meter:
                meter.end(seconds, {**_list_attributes(), **_list_outcome(outcome, error_type)})
                await sink.flush()


def name_outcome(error: BaseException) -> str:
    """The outcome of a run that raised an exception."""
    return next((outcome for kind, outcome in OUTCOMES if isinstance(error, kind)), "failed")


def _log_end(outcome: str, error_type: str, seconds: float) -> None:
    told = {"outcome": outcome, "seconds": round(seconds, 3), "error": error_type or None}
    LOGGER.info("The run has ended as %s after %.1f s", outcome, seconds, extra=told)


def _read_delay() -> float | None:
    """Seconds from the run's scheduled time to its start; None for a retry, since that time is the first start's."""
    due = flow_run.get_scheduled_start_time()
    if due is None or flow_run.get_run_count() > 1:
        return None
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(str(due)).astimezone(UTC)).total_seconds())


def _list_attributes() -> Attributes:
    """The attributes of a run's metrics. The handle is not among them: it would have too many values."""
    fields = read_log_context()
    return {f"exemplars.{name}": str(fields.get(name) or "unknown") for name in ("synth_type", "effort")}


def _list_outcome(outcome: str, error_type: str) -> Attributes:
    return {"exemplars.outcome": outcome, **({"error.type": error_type} if error_type else {})}
