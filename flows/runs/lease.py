"""The lease: one run at a time works on a model, whoever made it.

Two things together keep a second run out. The slot (``flows/runs/slot.py``) lets one run in, and frees itself when its
holder stops renewing. The labels (``flows/runs/labels.py``) say who is in: whoever got the slot labels itself and then
looks for another labelled run (``flows/runs/lease_holders.py``), so that a slot which came free too early, by a
server's restart or by two runs that took over at once, lets in none.
"""

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import Abort
from prefect.runtime import flow_run

from engine.errors import ModelBusyError, RunInterruptedError
from flows.runs.cancellation import CancellationWatcher, explain_end
from flows.runs.labels import NO_MARK, Mark, name_process, name_tag
from flows.runs.lease_holders import Holder, list_dead_holders, list_holders, mark_crashed
from flows.runs.slot import Slot

Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]

RENEW_SECONDS = 15.0
# A dead holder's slot is free after its lease and one round of the server's service that looks for such leases.
PATIENCE_SECONDS = 90.0
POLL_SECONDS = 1.0
JOIN_SECONDS = 5.0
CONFIRM_PAUSES = (0.5, 1.0, 2.0)


@asynccontextmanager
async def hold_lease(
    handle: str, logger: Logger, client: SyncPrefectClient, watcher: CancellationWatcher
) -> AsyncIterator["Lease"]:
    """Inside the block this flow run, and no other, works on the model.

    Args:
        watcher: sees whether somebody has ended this run.

    Raises:
        ModelBusyError: another run does, or may do as far as can be known after ``PATIENCE_SECONDS``.
        RunInterruptedError: this run is being cancelled.
        Abort: this run is over already by what Prefect says, so its process has nothing more to say.
    """
    lease = Lease(client, handle, UUID(str(flow_run.get_id())), logger)
    try:
        await asyncio.to_thread(lease.acquire, flow_run.get_tags())
        with lease.renewing(watcher):
            yield lease
    finally:
        lease.give_up()
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
        self._is_past_stopping = False
        self._lost: BaseException | None = None
        self._passed_over: set[tuple[UUID, str]] = set()
        self._stopping = threading.Event()
        # One thread at a time asks for the slot or gives it back.
        self._turn = threading.RLock()
        self._renewal: threading.Thread | None = None

    def acquire(self, tags: list[str]) -> None:
        """Takes the slot, be it from a holder whose process is gone, and marks the run.

        Raises:
            ModelBusyError: another run holds it.
        """
        tag = name_tag(self._handle)
        if tag not in tags:
            self._client.update_flow_run(self._run_id, tags=[*tags, tag])
        if not self._wait() and not self._stopping.is_set():
            self._insist()

    async def confirm(self) -> None:
        """Makes sure, before anything is attached, that the lease is still this run's. What follows is not stopped.

        Raises:
            ModelBusyError: it was lost, and another run has it or may have it.
            RunInterruptedError, Abort: as ``hold_lease``.
        """
        await asyncio.to_thread(self._confirm)
        self._is_past_stopping = True

    @contextmanager
    def renewing(self, watcher: CancellationWatcher) -> Iterator[None]:
        """Renews the lease in a thread of its own: a step that computes for a minute must not lose it.

        Where it is lost, or the run was ended by somebody, the block is cancelled and raises what ``confirm`` would:
        its worker may be gone, or be slow, or have lost sight of the run when Prefect's server was away.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def lose(error: BaseException) -> None:
            self._logger.warning("This run must stop: %s", error)
            if not self._is_past_stopping and self._lost is None:
                self._lost = error
                task.cancel()

        def tell(error: BaseException) -> None:
            # A loop that is closed has no run any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(lose, error)

        context = contextvars.copy_context()
        self._renewal = threading.Thread(target=context.run, args=(self._renew, tell), daemon=True)
        self._renewal.start()
        try:
            with watcher.watching(self._run_id, tell):
                yield
        except asyncio.CancelledError:
            if self._lost is None:
                raise
            task.uncancel()
            raise self._lost from None
        finally:
            self._is_past_stopping = True

    def give_up(self) -> None:
        """Ends a wait for the slot that goes on in another thread."""
        self._stopping.set()

    def release(self) -> None:
        """Takes the mark away, then the lease; where Prefect does not answer it runs out by itself."""
        self._stopping.set()
        with self._turn:
            if self._mark.lease_id:
                labels = self._mark.given_back().to_labels() if self._held else NO_MARK
                self._try(self._client.update_flow_run_labels, self._run_id, dict(labels))
            self._try(self._slot.give_back)
        if self._renewal is not None:
            self._renewal.join(JOIN_SECONDS)

    def _try(self, step: Callable[..., object], *arguments: object) -> None:
        try:
            step(*arguments)
        except Exception as error:
            self._logger.warning("The lease of %s could not be given back and runs out: %s", self._handle, error)

    def _wait(self) -> bool:
        """Tries until the lease is this run's; False where patience ran out first."""
        begun, waits = time.monotonic(), False
        while time.monotonic() < begun + self._patience_seconds:
            if self._enter():
                return True
            if not waits:
                waits = True
                said = self._describe(self._find_holder())
                self._logger.info("%s. Waiting up to %.0f s", said, self._patience_seconds)
            if self._stopping.wait(POLL_SECONDS):
                return False
        return False

    def _enter(self) -> bool:
        """One try. False where it may go better in a moment."""
        with self._turn:
            taken = self._take()
            holder = self._find_holder()
            dead = [holder] if holder is not None and holder.gone else []
            if holder is None and not taken:
                dead = list_dead_holders(self._client, self._handle)
            if dead:
                for gone in dead:
                    self._logger.warning("The process of %s is gone: its lease of %s is free", gone, self._handle)
                    mark_crashed(self._client, gone, self._run_id)
                return self._enter()
            if holder is not None and holder.gone is False:
                raise self._explain(holder)
            self._held = taken and holder is None
            return self._held

    def _insist(self) -> None:
        """What is left to do when waiting has not helped."""
        holder = self._find_holder()
        if self._take():
            # The other's own lease ran out long ago, or it would hold the slot: `confirm` stops it, should it live.
            self._passed_over |= {holder.process} if holder else set()
        elif holder is not None:
            raise self._explain(holder)
        else:
            self._slot.reset()
        if not self._enter():
            raise self._explain(self._find_holder())

    def _take(self) -> bool:
        """Occupies the slot and marks the run before anybody else is looked for."""
        if self._stopping.is_set() or not self._slot.take():
            return False
        if self._mark.lease_id != str(self._slot.lease_id):
            mark = replace(self._mark, lease_id=str(self._slot.lease_id))
            self._client.update_flow_run_labels(self._run_id, dict(mark.to_labels()))
            self._mark = mark
        return True

    def _confirm(self) -> None:
        """Passes once the slot is this run's and nobody else is marked.

        Somebody else may be marked for a moment, until it has seen this run and given way.
        """
        holder = None
        for pause_seconds in (0.0, *CONFIRM_PAUSES):
            self._stopping.wait(pause_seconds)
            with self._turn:
                if self._stopping.is_set():
                    # It is being given back: the slot is nobody's to take or to free from here.
                    return
                self._check_run()
                taken = self._take()
                holder = self._find_holder()
                if holder is None and not taken:
                    # A server that forgets leases when it starts again leaves the slot to nobody.
                    self._slot.reset()
                    taken = self._take()
                    holder = self._find_holder()
            if taken and holder is None:
                return
            if not taken:
                break
        raise self._explain(holder)

    def _check_run(self) -> None:
        """A run that was cancelled, or was silent for so long that it passed for dead, must attach nothing."""
        error = explain_end(self._client.read_flow_run(self._run_id).state)
        if error is not None:
            raise error

    def _renew(self, lose: Callable[[BaseException], object]) -> None:
        while not self._stopping.wait(self._renew_seconds):
            try:
                self._confirm()
            except (ModelBusyError, RunInterruptedError, Abort) as error:
                if not self._stopping.is_set():
                    lose(error)
                return
            except Exception as error:
                self._logger.warning("The lease of %s could not be renewed: %s", self._handle, error)

    def _find_holder(self) -> Holder | None:
        """Another process that is marked as holding the lease, be it of this very run when that was begun before."""
        ours = (self._run_id, self._mark.process)
        holders = list_holders(self._client, self._handle)
        return next((holder for holder in holders if holder.process not in {ours, *self._passed_over}), None)

    def _explain(self, holder: Holder | None) -> ModelBusyError:
        run_id = None if holder is None else str(holder.run_id)
        return ModelBusyError(
            f"{self._describe(holder)}. This run attached nothing; start it again when that one has ended", run_id
        )

    def _describe(self, holder: Holder | None) -> str:
        if holder is None:
            return f"The lease of {self._handle} is taken, and no run says that it holds it"
        return f"Another run works on {self._handle} already: {holder}"
