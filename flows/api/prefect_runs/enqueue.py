"""Enqueuing: one request for a run becomes at most one run, however many ask at the same instant.

The proof is in ``docs/decisions/017-idempotency.md``; in short: a key derives only from a run that was itself seen
finished, and Prefect gives each key one run.
"""

import asyncio
import hashlib
from collections.abc import Sequence

from engine.domain.model import Effort, SynthType
from engine.errors import OrchestratorError
from flows.api.errors import RUN_ID, ApiError
from flows.api.prefect_runs.client import UNSURE, Orchestrator, UnsureError
from flows.runs.flow_runs import Run
from flows.runs.labels import name_tag

# What a caller waits at most, be it for the turn of others.
DEADLINE_SECONDS = 20.0


async def enqueue(
    orchestrator: Orchestrator, handle: str, synth_type: SynthType, effort: Effort, own: Effort | None
) -> Run:
    """The new run of a model that no run works on.

    Args:
        own: the model's own effort, which runs use that were started with none.

    Raises:
        ApiError: 409, another run works on it.
        OrchestratorError: nothing was enqueued, or (``UnsureError``) that is not known.
    """
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            made, in_the_way = await _ask_for_run(orchestrator, handle, synth_type, effort)
    except TimeoutError:
        raise UnsureError(UNSURE) from None
    except UnsureError:
        raise
    except OrchestratorError as error:
        raise OrchestratorError(f"{error} Nothing was enqueued; ask again later.") from error
    if made is None:
        raise refuse_busy(in_the_way, synth_type, effort, own)
    return made


async def _ask_for_run(
    orchestrator: Orchestrator, handle: str, synth_type: SynthType, effort: Effort
) -> tuple[Run | None, list[Run]]:
    """The new run, or None and the live runs that are in its way."""
    # Runs of the UI, of schedules and of retries are no part of the chain: whoever sees one gives way, and where two
    # miss one another the lease lets one in.
    if live := (await orchestrator.list_live([handle]))[handle]:
        return None, live
    async with orchestrator.turn.take():
        # Read when it is one's turn: whoever was before may have made the run, and then nothing needs to be written.
        before = await orchestrator.find_newest(handle)
        while before is None or before.over:
            created = await orchestrator.create_run(handle, synth_type, effort, chain_key(handle, before))
            if created.new:
                return created.run, []
            before = created.run
    return None, [before]


def chain_key(handle: str, before: Run | None) -> str:
    """The key of the run that follows a finished one of the same model, or of the model's first."""
    return hashlib.sha256(f"{name_tag(handle)}|{before.run_id if before else ''}".encode()).hexdigest()


def refuse_busy(live: Sequence[Run], synth_type: SynthType, effort: Effort, own: Effort | None) -> ApiError:
    """The 409 for a model that runs are in the way of: the one that does the same is named, else the one that works."""
    same = next((run for run in live if (run.synth_type, run.uses_effort(own)) == (synth_type, effort)), None)
    run = same or next((run for run in live if run.holds), live[0])
    running = run.uses_effort(own)
    details = {"run_id": run.run_id, "synth_type": run.synth_type, "effort": running, "status": run.status}
    if same is not None:
        said = f"The same synthesis of {run.handle} is {run.status} already, as run {run.run_id}."
        return ApiError(409, "already_running", said, details, {RUN_ID: run.run_id})
    said = (
        f"{run.handle} is busy with run {run.run_id} ({run.synth_type}, effort {running}), which is {run.status}. "
        "Ask again when it has ended."
    )
    return ApiError(409, "model_busy", said, details, {RUN_ID: run.run_id})
