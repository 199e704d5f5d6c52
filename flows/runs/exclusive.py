"""Keeps runs of a model out while a command changes its sample sets."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL

from engine.errors import ModelBusyError, OrchestratorError
from flows.runs.labels import name_tag
from flows.runs.lease_holders import list_holders
from flows.runs.slot import Slot


@contextmanager
def keep_runs_out(handle: str, undone: str) -> Iterator[None]:
    """Holds the model's slot inside the block, where a Prefect server is configured: a run that begins meanwhile waits.

    Args:
        undone: what error messages say has not been done, such as "Nothing was detached".

    Raises:
        ModelBusyError: a run works on the model. OrchestratorError: Prefect cannot be asked whether one does.
    """
    if not PREFECT_API_URL.value():
        yield
        return
    with get_client(sync_client=True) as client:
        slot = Slot(client, name_tag(handle), uuid4())
        try:
            _check_idle(client, slot, handle, undone)
            yield
        except httpx.HTTPError as error:
            raise OrchestratorError(
                f"Prefect's server at {PREFECT_API_URL.value()} cannot be asked whether a run works on {handle}: "
                f"{error or type(error).__name__}. {undone}; start it, or unset PREFECT_API_URL where none "
                "runs any more"
            ) from error
        finally:
            _release(slot)


def _check_idle(client: SyncPrefectClient, slot: Slot, handle: str, undone: str) -> None:
    taken = slot.take()
    holders = list_holders(client, handle)
    if alive := [holder for holder in holders if holder.gone is not True]:
        raise ModelBusyError(
            f"{alive[0]} works on {handle}. {undone}; do it when that run has ended",
            str(alive[0].run_id),
        )
    if not taken and not holders:
        raise ModelBusyError(f"The lease of {handle} is taken, so a run begins. {undone}; try again later")


def _release(slot: Slot) -> None:
    """Releases the slot; where Prefect does not answer, its lease runs out by itself."""
    try:
        slot.release()
    except httpx.HTTPError:
        return
