"""Wraps a whole run: sets the context of its log lines, and logs its outcome and duration."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefect.exceptions import Abort, Pause, TerminationSignal
from prefect.runtime import flow_run

from engine.errors import GateError, ModelBusyError, RunInterruptedError, SharedBudgetError
from engine.settings import read_settings
from engine.system.concurrency import log_context, read_log_context
from flows.observability.logs import set_up_logs

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
    (Pause, "suspended"),
)


@asynccontextmanager
async def observe_run(handle: str, synth_type: str, effort: str | None) -> AsyncIterator[None]:
    """Has the log lines of the run inside the block say whose they are, and logs how it has ended.

    That is ``attached``, what the block has added to the log context as ``outcome``, or as it raised.
    """
    set_up_logs(read_settings().log_format)
    begun = time.monotonic()
    with log_context(run_id=str(flow_run.get_id()), handle=handle, synth_type=synth_type, effort=effort):
        outcome, error_type = "attached", ""
        try:
            yield
            outcome = str(read_log_context().get("outcome", outcome))
        except BaseException as error:
            outcome = next((outcome for kind, outcome in OUTCOMES if isinstance(error, kind)), "failed")
            error_type = type(error).__name__
            raise
        finally:
            seconds = time.monotonic() - begun
            told = {"outcome": outcome, "seconds": round(seconds, 3), "error": error_type or None}
            LOGGER.info("The run has ended as %s after %.1f s", outcome, seconds, extra=told)
