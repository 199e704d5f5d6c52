"""Watches, for all runs of this process, whether somebody has ended one of them; their worker may be gone."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import State
from prefect.exceptions import Abort, PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from engine.errors import RunInterruptedError
from engine.system.concurrency import repeating_in_thread
from flows.run.labels import AGAIN

# A run that is cancelled must make no more calls after 5 s (issue 5). Its worker hears of that by an event, and took
# 3.9 s to end it; a worker that is gone never does. So the run looks for itself.
CHECK_SECONDS = 2.0
JOIN_SECONDS = 5.0
# What a run is told to stop with.
OnEnd = Callable[[BaseException], object]
Explain = Callable[[State | None], BaseException | None]


@dataclass(eq=False)
class CancellationWatcher:
    """Asks Prefect about all watched runs at once, in a thread of its own: a step may compute for a minute."""

    _client: SyncPrefectClient
    _watched: dict[UUID, tuple[OnEnd, Explain]] = field(default_factory=dict)
    _all_stopped: BaseException | None = None

    @contextmanager
    def watching(self, run_id: UUID, on_end: OnEnd, explain: Explain | None = None) -> Iterator[None]:
        """Inside the block ``on_end`` is called once, in the block's event loop, when somebody has ended the run.

        Args:
            explain: which states count as an end, as the error to report; None: ``explain_end``.
        """
        loop = asyncio.get_running_loop()

        def call(error: BaseException) -> None:
            # A loop that is closed has no run any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(on_end, error)

        self._watched[run_id] = call, explain or explain_end
        if self._all_stopped is not None:
            self.notify(run_id, self._all_stopped)
        try:
            yield
        finally:
            self._watched.pop(run_id, None)

    def notify(self, run_id: UUID, error: BaseException) -> None:
        """Reports an error to a watched run, from whichever thread; nothing where it has been told one."""
        if (found := self._watched.pop(run_id, None)) is not None:
            found[0](error)

    def stop_all(self, error: BaseException) -> None:
        """Reports an error to all watched runs, and to those that are watched from now on, which stops them."""
        self._all_stopped = error
        for run_id in list(self._watched):
            self.notify(run_id, error)

    @contextmanager
    def open(self) -> Iterator["CancellationWatcher"]:
        """The watcher, which asks Prefect every ``CHECK_SECONDS`` inside the block."""
        with ExitStack() as stack:
            # It asks once: where Prefect does not answer the next look will tell.
            with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
                stack.enter_context(repeating_in_thread(self._check_runs, CHECK_SECONDS, JOIN_SECONDS))
            yield self

    def _check_runs(self) -> None:
        watched = dict(self._watched)
        if not watched:
            return
        wanted = FlowRunFilter(id={"any_": list(watched)})
        with suppress(httpx.HTTPError, PrefectException):
            for run in self._client.read_flow_runs(flow_run_filter=wanted):
                error = watched[run.id][1](run.state)
                if error is not None:
                    self.notify(run.id, error)


def explain_end(state: State | None) -> RunInterruptedError | Abort | None:
    """Why a run whose process goes on must stop, by its state in Prefect; None where it may go on.

    A run that was cancelled, or that was silent for so long that it was taken for dead, must attach nothing.
    """
    if state is not None and state.is_cancelling():
        return RunInterruptedError(f"The run was cancelled. {AGAIN}")
    if state is not None and state.is_final():
        return Abort(f"The run is over: {state.type.value}, {state.message}")
    return None


def explain_cancelled(state: State | None) -> RunInterruptedError | None:
    """Why a run must stop, by the state of its parent: only where the parent was cancelled. A parent that has died is
    no reason for its children on other machines to stop.
    """
    if state is not None and (state.is_cancelling() or state.is_cancelled()):
        return RunInterruptedError(f"The run that handed this one out was cancelled. {AGAIN}")
    return None
