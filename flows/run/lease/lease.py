"""The lease: one run at a time works on a model, however it was started.

Two things together keep a second run out. The slot (``slot.py``) admits one run, and frees itself when its holder
stops renewing. The labels (``flows/run/labels.py``) name the holder: a run that got the slot labels itself, and then
looks for another labelled run (``holders.py``). So a slot that was freed too early, because a server was restarted or
two runs took over at once, admits no second run.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import Abort
from prefect.states import Crashed

from engine.errors import ModelBusyError
from engine.system.concurrency import repeating_in_thread
from flows.observability.logs import Logger
from flows.run.cancellation import CancellationWatcher, explain_end
from flows.run.labels import NO_LEASE_LABELS, LeaseLabels, name_tag
from flows.run.lease.holders import Holder, describe_process, free_lease, list_holders, name_process
from flows.run.lease.slot import Slot

RENEW_SECONDS = 15.0
# A dead holder's slot is free after its lease and one round of the server's service that removes expired leases.
PATIENCE_SECONDS = 90.0
POLL_SECONDS = 1.0
JOIN_SECONDS = 5.0
# Another run may have labels for a moment, until it sees this run and withdraws.
CONFIRM_PAUSES = (0.0, 0.5, 1.0, 2.0)


class Lease:
    """The lease of one model, as one flow run sees it. Methods that ask Prefect block, so call them in a thread."""

    def __init__(
        self,
        client: SyncPrefectClient,
        handle: str,
        run_id: UUID,
        logger: Logger,
        patience_seconds: float = PATIENCE_SECONDS,
        renew_seconds: float = RENEW_SECONDS,
        waits: bool = False,
    ) -> None:
        self._client, self._handle, self._run_id, self._logger = client, handle, run_id, logger
        self._patience_seconds, self._renew_seconds, self._waits = patience_seconds, renew_seconds, waits
        self._held = self._is_past_stopping = False
        self._lost: BaseException | None = None
        self._stopping = threading.Event()
        # One thread at a time takes or releases the slot.
        self._turn = threading.RLock()
        self._slot = Slot(client, name_tag(handle), run_id)
        self._labels = LeaseLabels("", datetime.now(UTC), name_process())
        # This process, and holders that have an expired lease and cannot be checked.
        self._passed_over = {(run_id, self._labels.process)}

    def acquire(self, tags: list[str]) -> None:
        """Take the slot, from a dead holder if necessary, and label the run.

        Raises:
            ModelBusyError: another run holds the slot.
        """
        tag = name_tag(self._handle)
        if tag not in tags:
            self._client.update_flow_run(self._run_id, tags=[*tags, tag])
        ends, is_logged = time.monotonic() + self._patience_seconds, False
        while not self._stopping.is_set():
            taken, holder = self._look()
            if taken and holder is None:
                self._held = True
                return
            if self._free_dead(taken, holder):
                continue
            late = time.monotonic() >= ends
            # Give way at once to a live holder, and after the patience to a holder that cannot be checked.
            gives_way = holder is not None and (holder.gone is False or (late and not taken))
            if holder is not None and gives_way and (holder.run_id == self._run_id or not self._waits):
                raise self._explain(holder)
            if late:
                ends += self._patience_seconds
                if holder is None:
                    self._slot.reset()
                elif taken:
                    # The holder's lease has expired, or it would have the slot. If it lives, `confirm` stops it.
                    self._passed_over.add(holder.process)
                continue
            if not is_logged:
                is_logged, limit = True, "" if self._waits else f" up to {self._patience_seconds:.0f} s"
                self._logger.info("%s. Waiting%s", self._describe(holder), limit)
            self._stopping.wait(POLL_SECONDS)

    async def confirm(self) -> None:
        """Check, before anything is attached, that this run still holds the lease. From here on the run is not stopped.

        Raises:
            ModelBusyError: the lease was lost, and another run has it or may have it.
            RunInterruptedError, Abort: this run was ended.
        """
        # The run may have been ended since the watcher's last check: then it must attach nothing.
        run = await asyncio.to_thread(self._client.read_flow_run, self._run_id)
        if (error := explain_end(run.state)) is not None:
            raise error
        await asyncio.to_thread(self._confirm)
        self._is_past_stopping = True

    @contextmanager
    def watching(self, watcher: CancellationWatcher) -> Iterator[None]:
        """Renew the lease during the block, once it is held. If it is lost, or somebody ends the run, the block is
        cancelled and raises the error that ``confirm`` would raise.

        A separate thread renews it, so that a step that computes for a minute does not lose it. The run checks its own
        state: its worker may be gone or slow, or have lost the run while Prefect's server was away.
        """
        task = asyncio.current_task()
        assert task is not None

        def lose(error: BaseException) -> None:
            self._logger.warning("This run must stop: %s", error)
            if not self._is_past_stopping and self._lost is None:
                self._lost = error
                task.cancel()

        renew = partial(self._renew, partial(watcher.notify, self._run_id))
        try:
            with (
                watcher.watching(self._run_id, lose),
                repeating_in_thread(renew, self._renew_seconds, JOIN_SECONDS),
            ):
                yield
        except asyncio.CancelledError:
            if self._lost is None:
                raise
            task.uncancel()
            raise self._lost from None

    def give_up(self) -> None:
        """End an ``acquire`` that waits in another thread. From here on the run is not stopped."""
        self._is_past_stopping = True
        self._stopping.set()

    def release(self) -> None:
        """Mark the lease as released in the labels, then release the slot. If Prefect does not answer, it expires."""
        self._stopping.set()
        with self._turn:
            try:
                if self._labels.lease_id:
                    labels = self._labels.released().to_labels() if self._held else NO_LEASE_LABELS
                    self._client.update_flow_run_labels(self._run_id, dict(labels))
                self._slot.release()
            except Exception as error:
                self._logger.warning(
                    "The lease of %s could not be released, and expires by itself: %s", self._handle, error
                )

    def _look(self) -> tuple[bool, Holder | None]:
        """Take the slot or renew its lease, label the run, and look for another holder.

        Returns whether this run has the slot, and another labelled process, perhaps an earlier attempt of this run.
        """
        with self._turn:
            taken = not self._stopping.is_set() and self._slot.take()
            if taken and self._labels.lease_id != str(self._slot.lease_id):
                labels = replace(self._labels, lease_id=str(self._slot.lease_id))
                self._client.update_flow_run_labels(self._run_id, dict(labels.to_labels()))
                self._labels = labels
            holders = list_holders(self._client, self._handle)
            return taken, next((each for each in holders if each.process not in self._passed_over), None)

    def _free_dead(self, taken: bool, holder: Holder | None) -> bool:
        """Free the lease of a dead holder and set its run to Crashed, or free the leases of runs that ended without a
        release. Return whether there was one.
        """
        if holder is not None:
            suspects = [holder]
        else:
            suspects = [] if taken else list_holders(self._client, self._handle, over=True)
        dead = [each for each in suspects if each.gone]
        for gone in dead:
            self._logger.warning("The process of %s is gone: its lease of %s is free", gone, self._handle)
            free_lease(self._client, gone.run_id, gone.labels)
            if holder is not None and gone.run_id != self._run_id:
                message = f"Its process is gone; run {self._run_id} took over its lease. Its replies are kept"
                self._client.set_flow_run_state(gone.run_id, Crashed(message=message), force=True)
        return bool(dead)

    def _confirm(self) -> None:
        """Return once this run has the slot and no other run has lease labels; else raise the reason."""
        holder = None
        for pause_seconds in CONFIRM_PAUSES:
            self._stopping.wait(pause_seconds)
            with self._turn:
                if self._stopping.is_set():
                    # The slot is being released, so this thread must neither take nor free it.
                    return
                taken, holder = self._look()
                if holder is None and not taken:
                    # A server that forgets leases at a restart leaves the slot occupied, without a holder.
                    self._slot.reset()
                    taken, holder = self._look()
            if taken and holder is None:
                return
            if not taken:
                break
        raise self._explain(holder)

    def _renew(self, on_loss: Callable[[BaseException], object]) -> bool:
        try:
            if self._held:
                self._confirm()
        except (ModelBusyError, Abort) as error:
            if not self._stopping.is_set():
                on_loss(error)
            return False
        except Exception as error:
            self._logger.warning("The lease of %s could not be renewed: %s", self._handle, error)
        return True

    def _explain(self, holder: Holder | None) -> ModelBusyError | Abort:
        if holder is not None and holder.run_id == self._run_id:
            # The other start sets the run's state.
            return Abort(f"{self._describe(holder)}. This start attached nothing, and ends")
        run_id = None if holder is None else str(holder.run_id)
        return ModelBusyError(
            f"{self._describe(holder)}. This run attached nothing; start it again when that one has ended", run_id
        )

    def _describe(self, holder: Holder | None) -> str:
        if holder is None:
            return f"The lease of {self._handle} is taken, and no run says that it holds it"
        if holder.run_id == self._run_id:
            where = describe_process(holder.labels.process)
            return f"This run works on {self._handle} already: it was begun twice, and {where} was first"
        return f"Another run works on {self._handle} already: {holder}"
