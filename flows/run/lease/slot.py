"""The slot of a model in Prefect: a concurrency limit of one, created on first use and occupied with a lease."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID, uuid4

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
from prefect.client.schemas.objects import ConcurrencyLeaseHolder
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL

from engine.errors import ModelBusyError, OrchestratorError
from flows.run.labels import name_tag
from flows.run.lease.holders import list_holders

# The shortest lease that Prefect's server grants.
LEASE_SECONDS = 60.0
LOCKED, GONE = 423, 410


class Slot:
    """A slot as one flow run, or one command, sees it. Every method asks Prefect and blocks.

    Raises:
        httpx.HTTPError: Prefect does not answer, after its client's own retries.
    """

    def __init__(self, client: SyncPrefectClient, name: str, owner: UUID) -> None:
        self._client = client
        self._name = name
        self._holder = ConcurrencyLeaseHolder(type="flow_run", id=owner)
        self.lease_id: UUID | None = None

    def take(self) -> bool:
        """Take the slot, or renew its lease, for ``LEASE_SECONDS``; return False if somebody else has it."""
        if self.lease_id is not None:
            try:
                self._client.renew_concurrency_lease(self.lease_id, LEASE_SECONDS)
                return True
            except httpx.HTTPStatusError as error:
                if error.response.status_code != GONE:
                    raise
        self.lease_id = self._occupy()
        return self.lease_id is not None

    def release(self) -> None:
        """Release the slot, if it was taken."""
        if self.lease_id is not None:
            self._client.release_concurrency_slots_with_lease(self.lease_id)
            self.lease_id = None

    def reset(self) -> None:
        """Free a slot with a lease that the server has forgotten: a server with leases in memory does at a restart."""
        self._client.update_global_concurrency_limit(self._name, GlobalConcurrencyLimitUpdate(active_slots=0))

    def _occupy(self) -> UUID | None:
        for _ in range(2):
            try:
                answer = self._client.increment_concurrency_slots_with_lease(
                    [self._name], 1, "concurrency", LEASE_SECONDS, self._holder
                ).json()
            except httpx.HTTPStatusError as error:
                if error.response.status_code == LOCKED:
                    return None
                raise
            if answer["limits"]:
                return UUID(answer["lease_id"])
            # Without a limit of that name, Prefect lets everybody in. Creating an existing limit would put a traceback
            # into its server's log, so the limit is created only if it is missing.
            with suppress(ObjectAlreadyExists):
                self._client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=self._name, limit=1))
        return None


@contextmanager
def lock_model(handle: str, undone: str) -> Iterator[None]:
    """Hold the model's slot during the block, if a Prefect server is configured. A run that begins then waits.

    Args:
        undone: the part of error messages that names what was not done, such as "Nothing was detached".

    Raises:
        ModelBusyError: a run works on the model. OrchestratorError: Prefect cannot be asked whether one does.
    """
    if not PREFECT_API_URL.value():
        yield
        return
    with get_client(sync_client=True) as client:
        slot = Slot(client, name_tag(handle), uuid4())
        try:
            taken, holders = slot.take(), list_holders(client, handle)
            if alive := [holder for holder in holders if holder.gone is not True]:
                message = f"{alive[0]} works on {handle}. {undone}; do it when that run has ended"
                raise ModelBusyError(message, str(alive[0].run_id))
            if not taken and not holders:
                raise ModelBusyError(f"The lease of {handle} is taken, so a run begins. {undone}; try again later")
            yield
        except httpx.HTTPError as error:
            raise OrchestratorError(
                f"Prefect's server at {PREFECT_API_URL.value()} cannot be asked whether a run works on {handle}: "
                f"{error or type(error).__name__}. {undone}; start it, or unset PREFECT_API_URL if none "
                "runs any more"
            ) from error
        finally:
            # If Prefect does not answer, the slot's lease expires by itself.
            with suppress(httpx.HTTPError):
                slot.release()
