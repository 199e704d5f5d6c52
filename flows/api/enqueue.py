"""Enqueue a synthesis run: at most one per model, even if many requests arrive at the same instant.

The proof is in ``docs/decisions/009-http.md``. In short: an idempotency key is derived only from a finished run,
and Prefect creates one run for each key.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence

from fastapi.concurrency import run_in_threadpool

from engine.domain.model import Effort, SynthType
from engine.errors import OrchestratorError
from engine.llm.batches.outbox import list_awaited
from engine.settings import DatabaseUrl
from flows.api.errors import RUN_ID, ApiError
from flows.api.orchestrator import UNSURE, Orchestrator, UnsureError
from flows.run.flow_runs import Run
from flows.run.labels import name_tag

# Maximum time that a caller waits, including the wait for the lock.
DEADLINE_SECONDS = 20.0


async def enqueue(
    orchestrator: Orchestrator, handle: str, synth_type: SynthType, effort: Effort, model_effort: Effort | None
) -> Run:
    """Enqueue a run for a model that no other run works on, and return the new run.

    Args:
        model_effort: the effort in the model's definition; a run without an effort uses it.

    Raises:
        ApiError: 409, another run works on the model.
        UnsureError: it is not known whether the run was enqueued.
        OrchestratorError: nothing was enqueued.
    """
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            # Runs from the UI, schedules and retries are not in the chain of keys. A request that sees one is refused.
            # If the two miss each other, the model's lease lets only one of them work.
            if live := (await orchestrator.list_live([handle]))[handle]:
                raise _refuse_busy(live, synth_type, effort, model_effort)
            async with orchestrator.creation_lock:
                # Read under the lock: an earlier holder may have created the run already.
                before = await orchestrator.find_newest(handle)
                while before is None or before.over:
                    # The key identifies the successor of a finished run, or the model's first run.
                    key = hashlib.sha256(f"{name_tag(handle)}|{before.run_id if before else ''}".encode()).hexdigest()
                    before, is_new = await orchestrator.create_run(handle, synth_type, effort, key)
                    if is_new:
                        return before
            raise _refuse_busy([before], synth_type, effort, model_effort)
    except TimeoutError:
        raise UnsureError(UNSURE) from None
    except UnsureError:
        raise
    except OrchestratorError as error:
        raise OrchestratorError(f"{error} Nothing was enqueued; ask again later.") from error


def refuse_run(handle: str, run_id: str, details: Mapping[str, object] | None = None) -> ApiError:
    """Return the 409 for a model that a run works on, for any kind of run."""
    message = f"{handle} is busy with run {run_id}. Ask again when it has ended."
    return ApiError(409, "model_busy", message, details or {"run_id": run_id}, {RUN_ID: run_id})


async def refuse_awaited(
    orchestrator: Orchestrator, database: DatabaseUrl, handle: str, synth_type: SynthType, effort: Effort
) -> None:
    """Check that no run of the same request waits for a provider's batch.

    Raises:
        ApiError: 409, a run waits. StoreError: the batches cannot be read. OrchestratorError: Prefect does not answer.
    """
    for waiting in await run_in_threadpool(list_awaited, database, handle):
        if (waiting.params["synth_type"], waiting.effort, waiting.params["per_pole"]) == (synth_type, effort, None):
            run = await orchestrator.find_run(waiting.run_id)
            if run is not None and not run.over:
                details = {"run_id": run.run_id, "synth_type": synth_type, "effort": effort, "status": run.status}
                message = f"The same synthesis of {handle} waits for a provider's batch, as run {run.run_id}."
                raise ApiError(409, "already_running", message, details, {RUN_ID: run.run_id})


def find_holder(live: Sequence[Run]) -> Run:
    """Return the live run that holds the model's lease, else the newest one."""
    return next((run for run in live if run.holds), live[0])


def _refuse_busy(live: Sequence[Run], synth_type: SynthType, effort: Effort, model_effort: Effort | None) -> ApiError:
    """Return the 409 that names the live run with the same request, else the run that works on the model."""
    same = next((run for run in live if (run.synth_type, run.uses_effort(model_effort)) == (synth_type, effort)), None)
    run = same or find_holder(live)
    used = run.uses_effort(model_effort)
    details = {"run_id": run.run_id, "synth_type": run.synth_type, "effort": used, "status": run.status}
    if same is None:
        return refuse_run(run.handle, run.run_id, details)
    message = f"The same synthesis of {run.handle} is {run.status} already, as run {run.run_id}."
    return ApiError(409, "already_running", message, details, {RUN_ID: run.run_id})
