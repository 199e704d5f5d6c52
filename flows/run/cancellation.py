"""Watch whether somebody has ended one of this process's runs; the worker that would end it may be gone."""

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

# A cancelled run must make no more calls after 5 s (issue 5). Its worker learns of that by an event, and took 3.9 s to
# end it; a worker that is gone never does. So the run checks its own state.
CHECK_SECONDS = 2.0
JOIN_SECONDS = 5.0
# Receives the error that stops a run.
OnEnd = Callable[[BaseException], object]
Explain = Callable[[State | None], BaseException | None]


@dataclass(eq=False)
class CancellationWatcher:
    """Ask Prefect about all watched runs at once, in a separate thread: a step may compute for a minute."""

    _client: SyncPrefectClient
    _watched: dict[UUID, tuple[OnEnd, Explain]] = field(default_factory=dict)
    _all_stopped: BaseException | None = None

    @contextmanager
    def watching(self, run_id: UUID, on_end: OnEnd, explain: Explain | None = None) -> Iterator[None]:
        """Call ``on_end`` once, in the block's event loop, if somebody ends the run during the block.

        Args:
            explain: returns the error to report for a state that counts as an end; None: ``explain_end``.
        """
        loop = asyncio.get_running_loop()

        def call(error: BaseException) -> None:
            # A closed loop has no run to stop.
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
        """Report an error to a watched run, from any thread. A second error is ignored."""
        if (callbacks := self._watched.pop(run_id, None)) is not None:
            callbacks[0](error)

    def stop_all(self, error: BaseException) -> None:
        """Stop all watched runs, and all runs watched from now on, with an error."""
        self._all_stopped = error
        for run_id in list(self._watched):
            self.notify(run_id, error)

    @contextmanager
    def open(self) -> Iterator["CancellationWatcher"]:
        """Ask Prefect every ``CHECK_SECONDS`` during the block, and yield the watcher."""
        with ExitStack() as stack:
            # No retries: if Prefect does not answer, the next check asks again.
            with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
                stack.enter_context(repeating_in_thread(self._check_runs, CHECK_SECONDS, JOIN_SECONDS))
            yield self

    def _check_runs(self) -> None:
        watched = dict(self._watched)
        if not watched:
            return
        run_filter = FlowRunFilter(id={"any_": list(watched)})
        with suppress(httpx.HTTPError, PrefectException):
            for run in self._client.read_flow_runs(flow_run_filter=run_filter):
                error = watched[run.id][1](run.state)
                if error is not None:
                    self.notify(run.id, error)


def explain_end(state: State | None) -> RunInterruptedError | Abort | None:
    """Return the error that must stop a running process, by its run's state in Prefect; None if it may continue.

    A run that was cancelled, or that was silent for so long that it counted as dead, must attach nothing.
    """
    if state is not None and state.is_cancelling():
        return RunInterruptedError(f"The run was cancelled. {AGAIN}")
    if state is not None and state.is_final():
        return Abort(f"The run is over: {state.type.value}, {state.message}")
    return None


def explain_cancelled(state: State | None) -> RunInterruptedError | None:
    """Return the error that must stop a run if its parent was cancelled, else None. A dead parent does not stop its
    children on other machines.
    """
    if state is not None and (state.is_cancelling() or state.is_cancelled()):
        return RunInterruptedError(f"The run that handed this one out was cancelled. {AGAIN}")
    return None
