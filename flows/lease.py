"""The lease: one run at a time works on a model, whoever made it.

Two things together keep a second run out. The slot (``flows/slot.py``) lets one run in, and frees itself when its
holder stops renewing. The mark (``flows/marks.py``) says who is in: whoever got the slot marks itself and then looks
for another marked run that lives, so that a slot which came free too early, by a server's restart or by two runs that
took over at once, lets in none.
"""

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import Abort
from prefect.runtime import flow_run
from prefect.states import Crashed

from engine.errors import ModelBusyError, RunInterruptedError
from flows.automations import AGAIN
from flows.marks import LIVE_TYPES, NO_MARK, Mark, is_gone, name_process, name_tag, read_mark
from flows.slot import Slot, free_lease

Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]

RENEW_SECONDS = 15.0
# A dead holder's slot is free after its lease and one round of the server's service that looks for such leases.
PATIENCE_SECONDS = 90.0
POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Holder:
    """Another run that is marked as holding the lease; ``gone`` is None where its process cannot be seen from here."""

    run_id: UUID
    mark: Mark
    gone: bool | None


@asynccontextmanager
async def hold_lease(handle: str, logger: Logger) -> AsyncIterator["Lease"]:
    """Inside the block this flow run, and no other, works on the model.

    Raises:
        ModelBusyError: another run does, or may do as far as can be known after ``PATIENCE_SECONDS``.
        RunInterruptedError: this run is being cancelled.
        Abort: this run is over already by what Prefect says, so its process has nothing more to say.
    """
    with get_client(sync_client=True) as client:
        lease = Lease(client, handle, UUID(str(flow_run.get_id())), logger)
        try:
            await asyncio.to_thread(lease.acquire, flow_run.get_tags())
            with lease.renewing():
                yield lease
        finally:
            await asyncio.shield(asyncio.to_thread(lease.release))


class Lease:
    """The lease of one model, as one flow run sees it; what asks Prefect blocks, so it is called in a thread."""

    def __init__(
        self,
        client: SyncPrefectClient,
        handle: str,
        run_id: UUID,
        logger: Logger,
        patience_seconds: float = PATIENCE_SECONDS,
        renew_seconds: float = RENEW_SECONDS,
    ) -> None:
        self._client = client
        self._handle = handle
        self._run_id = run_id
        self._logger = logger
        self._slot = Slot(client, name_tag(handle), run_id)
        self._mark = Mark("", datetime.now(UTC), name_process())
        self._patience_seconds = patience_seconds
        self._renew_seconds = renew_seconds
        self._held = False
        self._stopping = threading.Event()
        self._confirming = threading.Lock()
        self._is_confirmed = False
        self._lost: BaseException | None = None

    def acquire(self, tags: list[str]) -> None:
        """Takes the slot, be it from a holder whose process is gone, and marks the run.

        Raises:
            ModelBusyError: another run holds it.
        """
        tag = name_tag(self._handle)
        if tag not in tags:
            self._client.update_flow_run(self._run_id, tags=[*tags, tag])
        begun, waits = time.monotonic(), False
        while time.monotonic() < begun + self._patience_seconds:
            if self._enter():
                return
            if not waits:
                waits = True
                self._logger.info(
                    "%s. Waiting up to %.0f s", self._describe(self._find_holder()), self._patience_seconds
                )
            if self._stopping.wait(POLL_SECONDS):
                return
        self._insist()

    async def confirm(self) -> None:
        """Makes sure, before anything is attached, that the lease is still this run's. What follows is not stopped.

        Raises:
            ModelBusyError: it was lost, and another run has it or may have it.
            RunInterruptedError, Abort: as ``hold_lease``.
        """
        await asyncio.to_thread(self._confirm)
        self._is_confirmed = True

    @contextmanager
    def renewing(self) -> Iterator[None]:
        """Renews the lease in a thread of its own: a step that computes for a minute must not lose it.

        Where it is lost, or the run was ended by somebody, the block is cancelled and raises what ``confirm`` would:
        its worker may be gone, or have lost sight of the run when Prefect's server was away.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def lose(error: BaseException) -> None:
            if not self._is_confirmed:
                self._lost = error
                task.cancel()

        def tell(error: BaseException) -> None:
            loop.call_soon_threadsafe(lose, error)

        renewal = threading.Thread(target=contextvars.copy_context().run, args=(self._renew, tell), daemon=True)
        renewal.start()
        try:
            yield
        except asyncio.CancelledError:
            if self._lost is None:
                raise
            task.uncancel()
            raise self._lost from None
        finally:
            self._stopping.set()
            renewal.join()

    def release(self) -> None:
        """Takes the mark away, then the lease; where Prefect does not answer it runs out by itself."""
        self._stopping.set()
        try:
            if self._mark.lease_id:
                labels = self._mark.given_back().to_labels() if self._held else NO_MARK
                self._client.update_flow_run_labels(self._run_id, dict(labels))
            self._slot.give_back()
        except httpx.HTTPError as error:
            self._logger.warning("The lease of %s could not be given back and runs out: %s", self._handle, error)

    def _enter(self) -> bool:
        """One try. False where it may go better in a moment."""
        taken = self._take()
        holder = self._find_holder()
        if holder is not None and holder.gone:
            self._bury(holder)
            return self._enter()
        if holder is not None and holder.gone is False:
            raise self._explain(holder)
        self._held = taken and holder is None
        return self._held

    def _insist(self) -> None:
        """What is left to do when waiting has not helped."""
        holder = self._find_holder()
        if self._slot.take():
            # The other's own lease has run out all this time ago: before it attaches, its `confirm` stops it.
            self._held = True
        elif holder is not None:
            raise self._explain(holder)
        else:
            self._slot.reset()
            if not self._enter():
                raise self._explain(self._find_holder())

    def _take(self) -> bool:
        """Occupies the slot and marks the run before anybody else is looked for."""
        before = self._slot.lease_id
        if not self._slot.take():
            return False
        if self._slot.lease_id != before:
            self._mark = replace(self._mark, lease_id=str(self._slot.lease_id))
            self._client.update_flow_run_labels(self._run_id, dict(self._mark.to_labels()))
        return True

    def _confirm(self) -> None:
        with self._confirming:
            self._check_run()
            taken = self._take()
            holder = self._find_holder()
            if holder is None and not taken:
                # A server that forgets leases when it starts again leaves the slot to nobody.
                self._slot.reset()
                taken = self._take()
                holder = self._find_holder()
        if not taken or holder is not None:
            raise self._explain(holder)

    def _check_run(self) -> None:
        """A run that was cancelled, or was silent for so long that it passed for dead, must attach nothing."""
        state = self._client.read_flow_run(self._run_id).state
        if state is not None and state.is_cancelling():
            raise RunInterruptedError(f"The run was cancelled. {AGAIN}")
        if state is not None and state.is_final():
            raise Abort(f"The run is over: {state.type.value}, {state.message}")

    def _renew(self, lose: Callable[[BaseException], object]) -> None:
        while not self._stopping.wait(self._renew_seconds):
            try:
                self._confirm()
            except (ModelBusyError, RunInterruptedError, Abort) as error:
                self._logger.warning("This run must stop: %s", error)
                lose(error)
                return
            except httpx.HTTPError as error:
                self._logger.warning("The lease of %s could not be renewed: %s", self._handle, error)

    def _find_holder(self) -> Holder | None:
        """Another process that is marked as holding the lease, be it of this very run when that was begun before."""
        found = self._client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                tags=FlowRunFilterTags(all_=[name_tag(self._handle)]),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType(name) for name in LIVE_TYPES])),
            )
        )
        for run in found:
            mark = read_mark(run.labels)
            itself = mark is not None and (run.id, mark.process) == (self._run_id, self._mark.process)
            if mark is not None and mark.lease_id and not itself:
                return Holder(run.id, mark, is_gone(mark.process))
        return None

    def _bury(self, holder: Holder) -> None:
        """Frees the lease of a process that is gone; its run, if it is not this one, has crashed."""
        said = f"Its process is gone ({holder.mark.process}); run {self._run_id} took over its lease"
        self._logger.warning("Run %s held the lease of %s. %s", holder.run_id, self._handle, said)
        free_lease(self._client, holder.run_id, holder.mark)
        if holder.run_id != self._run_id:
            self._client.set_flow_run_state(holder.run_id, Crashed(message=f"{said}. Its replies are kept"), force=True)

    def _explain(self, holder: Holder | None) -> ModelBusyError:
        run_id = None if holder is None else str(holder.run_id)
        return ModelBusyError(
            f"{self._describe(holder)}. This run did nothing; start it again when that one has ended", run_id
        )

    def _describe(self, holder: Holder | None) -> str:
        if holder is None:
            return f"The lease of {self._handle} is taken, and no run says that it holds it"
        return f"Run {holder.run_id} works on {self._handle} already (process {holder.mark.process})"
