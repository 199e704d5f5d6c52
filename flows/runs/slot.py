"""The slot of a model in Prefect: a concurrency limit of one, created on first use and occupied with a lease."""

from contextlib import suppress
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
from prefect.client.schemas.objects import ConcurrencyLeaseHolder
from prefect.exceptions import ObjectAlreadyExists

from flows.runs.labels import LeaseLabels

# The least that Prefect's server grants.
LEASE_SECONDS = 60.0
LOCKED, GONE = 423, 410


class Slot:
    """A slot as one flow run sees it; every method asks Prefect and blocks.

    Raises:
        httpx.HTTPError: Prefect does not answer, after its client's own retries.
    """

    def __init__(self, client: SyncPrefectClient, name: str, run_id: UUID) -> None:
        self._client = client
        self._name = name
        self._holder = ConcurrencyLeaseHolder(type="flow_run", id=run_id)
        self.lease_id: UUID | None = None

    def take(self) -> bool:
        """Takes the slot; True where this run holds it now, also where it did before."""
        if self.lease_id is None or not self.renew():
            self.lease_id = self._occupy()
        return self.lease_id is not None

    def renew(self) -> bool:
        """Renews the lease for ``LEASE_SECONDS``; False where the server does not know it any more."""
        if self.lease_id is None:
            return False
        try:
            self._client.renew_concurrency_lease(self.lease_id, LEASE_SECONDS)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != GONE:
                raise
            self.lease_id = None
        return self.lease_id is not None

    def release(self) -> None:
        """Releases the slot, where this run holds it."""
        if self.lease_id is not None:
            self._client.release_concurrency_slots_with_lease(self.lease_id)
            self.lease_id = None

    def reset(self) -> None:
        """Frees a slot whose lease the server does not know any more, as after the restart of a server that keeps them
        in memory.
        """
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
            # Prefect lets everybody in where there is no limit of that name.
            with suppress(ObjectAlreadyExists):
                self._client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=self._name, limit=1))
        return None


def free_lease(client: SyncPrefectClient, run_id: UUID, labels: LeaseLabels) -> None:
    """Frees the lease of a run whose process is gone and could not do so itself, and says so in its labels."""
    if labels.lease_id:
        client.release_concurrency_slots_with_lease(UUID(labels.lease_id))
        client.update_flow_run_labels(run_id, dict(labels.released().to_labels()))
