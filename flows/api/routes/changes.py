"""Changes a model's samples while no run works on it: what adding and deleting them have in common."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from engine.errors import ModelBusyError, OrchestratorError
from flows.api.enqueue import find_holder, refuse_run
from flows.api.errors import ApiError
from flows.api.orchestrator import Orchestrator
from flows.api.routes.dependencies import check_draft, get_orchestrator, get_storage

# Another change takes less than a second; of a request that died the slot is free after its lease.
WAIT_SECONDS = 10.0
POLL_SECONDS = 0.2
AWAY = "Prefect's server does not answer. Nothing was changed; ask again later."
Result = TypeVar("Result")


async def change_draft(request: Request, handle: str, change: Callable[[], Result]) -> Result:
    """Does ``change`` in a thread while the slot of a draft is held, so that no run begins to work on the model.

    Requests at this process change a model one by one, and so only one of them at a time asks Prefect for the slot.

    Raises:
        ApiError: 409, the model is not a draft, a run works on it, or others change it all the while.
        OrchestratorError: Prefect's server does not answer; nothing was changed.
    """
    models_uri = get_storage(request).models_uri
    await run_in_threadpool(check_draft, models_uri, handle)
    orchestrator = get_orchestrator(request)
    live = (await orchestrator.list_live([handle]))[handle]
    if live:
        raise refuse_run(handle, find_holder(live).run_id)
    wait_seconds: float = request.app.state.change_seconds
    lock: asyncio.Lock = request.app.state.change_locks[handle]
    try:
        async with asyncio.timeout(wait_seconds):
            await lock.acquire()
    except TimeoutError:
        raise _refuse_crowd(handle) from None
    try:
        return await run_in_threadpool(_change_alone, orchestrator, models_uri, handle, wait_seconds, change)
    finally:
        lock.release()


def _change_alone(
    orchestrator: Orchestrator, models_uri: str, handle: str, wait_seconds: float, change: Callable[[], Result]
) -> Result:
    ends = time.monotonic() + wait_seconds
    while True:
        try:
            with orchestrator.keep_runs_out(handle):
                check_draft(models_uri, handle)
                return change()
        except OrchestratorError as error:
            # On SQLite Prefect's server refuses a writer while another writes.
            if time.monotonic() > ends:
                # The error's own message has the server's address.
                raise OrchestratorError(AWAY) from error
        except ModelBusyError as error:
            if error.run_id is not None:
                raise refuse_run(handle, error.run_id) from None
            if time.monotonic() > ends:
                raise _refuse_crowd(handle) from None
        time.sleep(POLL_SECONDS)


def _refuse_crowd(handle: str) -> ApiError:
    said = f"{handle} is being changed by another request, or a run begins. Nothing was changed; ask again in a moment."
    return ApiError(409, "model_busy", said)
