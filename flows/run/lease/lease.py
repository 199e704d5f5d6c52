"""The lease: one run at a time works on a model, however it was started.

Two things together keep a second run out. The slot (``slot.py``) lets one run in, and frees itself when its
holder stops renewing. The labels (``flows/run/labels.py``) say who is in: whoever got the slot labels itself and then
looks for another labelled run (``holders.py``). So a slot that came free too early, since a server was
restarted or two runs took over at once, lets in none.
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
# A dead holder's slot is free after its lease and one round of the server's service that looks for such leases.
PATIENCE_SECONDS = 90.0
POLL_SECONDS = 1.0
JOIN_SECONDS = 5.0
# Another run may have labels for a moment, until it has seen this one and given way.
CONFIRM_PAUSES = (0.0, 0.5, 1.0, 2.0)


class Lease:
    """The lease of one model, as one flow run sees it. Its methods that ask Prefect block, so they are called in a
    thread.
    """

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
        # One thread at a time asks for the slot or gives it back.
        self._turn = threading.RLock()
        self._slot = Slot(client, name_tag(handle), run_id)
        self._labels = LeaseLabels("", datetime.now(UTC), name_process())
        # This process, and those whose lease ran out though nobody can tell whether they live.
        self._passed_over = {(run_id, self._labels.process)}

    def acquire(self, tags: list[str]) -> None:
        """Takes the slot, if need be from a holder whose process is gone, and labels the run.

        Raises:
            ModelBusyError: another run holds it.
        """
        tag = name_tag(self._handle)
        if tag not in tags:
            self._client.update_flow_run(self._run_id, tags=[*tags, tag])
        ends, told = time.monotonic() + self._patience_seconds, False
        while not self._stopping.is_set():
            taken, holder = self._look()
            if taken and holder is None:
                self._held = True
                return
            if self._free_dead(taken, holder):
                continue
            late = time.monotonic() >= ends
            # At once where the holder lives, and after its patience where that cannot be known.
            gives_way = holder is not None and (holder.gone is False or (late and not taken))
            if holder is not None and gives_way and (holder.run_id == self._run_id or not self._waits):
                raise self._explain(holder)
            if late:
                ends += self._patience_seconds
                if holder is None:
                    self._slot.reset()
                elif taken:
                    # Its lease ran out long ago, or it would hold the slot: `confirm` stops it, should it live.
                    self._passed_over.add(holder.process)
                continue
            if not told:
                told, most = True, "" if self._waits else f" up to {self._patience_seconds:.0f} s"
                self._logger.info("%s. Waiting%s", self._describe(holder), most)
            self._stopping.wait(POLL_SECONDS)

    async def confirm(self) -> None:
        """Makes sure, before anything is attached, that this run still holds the lease. From here on the run is not
        stopped.

        Raises:
            ModelBusyError: the lease was lost, and another run has it or may have it.
            RunInterruptedError, Abort: this run was ended.
        """
        # It may have been ended since the watcher's last look: then it must attach nothing.
        own = await asyncio.to_thread(self._client.read_flow_run, self._run_id)
        if (ended := explain_end(own.state)) is not None:
            raise ended
        await asyncio.to_thread(self._confirm)
        self._is_past_stopping = True

    @contextmanager
    def watching(self, watcher: CancellationWatcher) -> Iterator[None]:
        """Renews the lease inside the block once it is held, in a thread of its own: a step that computes for a minute
        must not lose it. Where it is lost, or somebody has ended the run, the block is cancelled, and then raises what
        ``confirm`` would.

        The run looks for itself: its worker may be gone or slow, or have lost sight of the run while Prefect's server
        was away.
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
        """Ends an ``acquire`` that waits in another thread; from here on the run is not stopped."""
        self._is_past_stopping = True
        self._stopping.set()

    def release(self) -> None:
        """Marks the lease as released in the labels, then releases the slot; where Prefect does not answer, it runs out
        by itself.
        """
        self._stopping.set()
        with self._turn:
            try:
                if self._labels.lease_id:
                    labels = self._labels.released().to_labels() if self._held else NO_LEASE_LABELS
                    self._client.update_flow_run_labels(self._run_id, dict(labels))
                self._slot.release()
            except Exception as error:
                self._logger.warning("The lease of %s could not be given back and runs out: %s", self._handle, error)

    def _look(self) -> tuple[bool, Holder | None]:
        """Takes the slot or renews its lease, labels the run, and then looks who else says that it is in: whether this
        run has the slot, and another process that says so, which may be an earlier attempt of this very run.
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
        """Frees the lease of a holder whose process is gone, and sets its run to Crashed; and the leases of runs that
        ended without giving theirs back. Whether there was one.
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
                said = f"Its process is gone; run {self._run_id} took over its lease. Its replies are kept"
                self._client.set_flow_run_state(gone.run_id, Crashed(message=said), force=True)
        return bool(dead)

    def _confirm(self) -> None:
        """Passes once the slot is this run's and no other run has lease labels."""
        holder = None
        for pause_seconds in CONFIRM_PAUSES:
            self._stopping.wait(pause_seconds)
            with self._turn:
                if self._stopping.is_set():
                    # It is being given back: the slot is nobody's to take or to free from here.
                    return
                taken, holder = self._look()
                if holder is None and not taken:
                    # A server that forgets leases when it starts again leaves the slot to nobody.
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
            # The run's state is the other start's to set.
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
