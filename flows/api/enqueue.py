"""Enqueues a synthesis run: at most one for a model, however many requests arrive at the same instant.

The proof is in ``docs/decisions/009-http.md``. In short: an idempotency key is derived only from a run that was
seen to be finished, and Prefect creates one run for each key.
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

# The longest that a caller waits, including for the lock.
DEADLINE_SECONDS = 20.0


async def enqueue(
    orchestrator: Orchestrator, handle: str, synth_type: SynthType, effort: Effort, own: Effort | None
) -> Run:
    """Enqueues a run for a model that no other run works on, and returns it.

    Args:
        own: the model's own effort, which runs without an effort of their own use.

    Raises:
        ApiError: 409, another run works on the model.
        UnsureError: whether the run was enqueued is not known.
        OrchestratorError: nothing was enqueued.
    """
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            # Runs from the UI, schedules and retries are not in the chain of keys. A request that sees one is refused;
            # if the two miss each other, the model's lease lets only one of them work.
            if live := (await orchestrator.list_live([handle]))[handle]:
                raise _refuse_busy(live, synth_type, effort, own)
            async with orchestrator.creation_lock:
                # Read under the lock: an earlier holder may have created the run, and then there is nothing to write.
                before = await orchestrator.find_newest(handle)
                while before is None or before.over:
                    # The key of the run that follows a finished run of the model, or of the model's first run.
                    key = hashlib.sha256(f"{name_tag(handle)}|{before.run_id if before else ''}".encode()).hexdigest()
                    before, is_new = await orchestrator.create_run(handle, synth_type, effort, key)
                    if is_new:
                        return before
            raise _refuse_busy([before], synth_type, effort, own)
    except TimeoutError:
        raise UnsureError(UNSURE) from None
    except UnsureError:
        raise
    except OrchestratorError as error:
        raise OrchestratorError(f"{error} Nothing was enqueued; ask again later.") from error


def refuse_run(handle: str, run_id: str, details: Mapping[str, object] | None = None) -> ApiError:
    """The 409 for a model on which a run works, whatever it does."""
    said = f"{handle} is busy with run {run_id}. Ask again when it has ended."
    return ApiError(409, "model_busy", said, details or {"run_id": run_id}, {RUN_ID: run_id})


async def refuse_awaited(
    orchestrator: Orchestrator, place: DatabaseUrl, handle: str, synth_type: SynthType, effort: Effort
) -> None:
    """Checks that no run waits for a provider's batch for the same.

    Raises:
        ApiError: 409, one does. StoreError: what waits cannot be read. OrchestratorError: Prefect does not answer.
    """
    for waiting in await run_in_threadpool(list_awaited, place, handle):
        if (waiting.params["synth_type"], waiting.effort, waiting.params["per_pole"]) == (synth_type, effort, None):
            run = await orchestrator.find_run(waiting.run_id)
            if run is not None and not run.over:
                details = {"run_id": run.run_id, "synth_type": synth_type, "effort": effort, "status": run.status}
                said = f"The same synthesis of {handle} waits for a provider's batch, as run {run.run_id}."
                raise ApiError(409, "already_running", said, details, {RUN_ID: run.run_id})


def find_holder(live: Sequence[Run]) -> Run:
    """Of a model's live runs the one that holds its lease, else the newest."""
    return next((run for run in live if run.holds), live[0])


def _refuse_busy(live: Sequence[Run], synth_type: SynthType, effort: Effort, own: Effort | None) -> ApiError:
    """The 409 for a model with live runs: it names the run that does the same, else the one that works on the model."""
    same = next((run for run in live if (run.synth_type, run.uses_effort(own)) == (synth_type, effort)), None)
    run = same or find_holder(live)
    details = {"run_id": run.run_id, "synth_type": run.synth_type, "effort": run.uses_effort(own), "status": run.status}
    if same is None:
        return refuse_run(run.handle, run.run_id, details)
    said = f"The same synthesis of {run.handle} is {run.status} already, as run {run.run_id}."
    return ApiError(409, "already_running", said, details, {RUN_ID: run.run_id})
