"""The worker of a backfill: it runs several models at a time and records each outcome in the ledger."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import httpx
from prefect.client.schemas.objects import State
from prefect.exceptions import Abort, CancelledRun, PrefectException, TerminationSignal

from engine.backfills.ledger import Ledger, ModelRow
from engine.backfills.page import describe_row
from engine.backfills.targets import BackfillRequest, examine
from engine.domain.verdict import RunResult, SkipReason
from engine.errors import (
    ExemplarsError,
    ModelBusyError,
    OrchestratorError,
    ProviderError,
    RunInterruptedError,
    SharedBudgetError,
    StoreError,
)
from engine.estimate.forecast import RunForecast
from engine.llm.batches.outbox import BatchRun
from engine.system.concurrency import gather_or_cancel
from engine.text.formatting import capitalise
from flows.backfills.runs import ChildRuns, find_awaited
from flows.run.resources import RunResources

# Each check reads a model's definition and manifests, possibly from an object store.
CHECKED_AT_ONCE = 16
# Errors that no model causes: the next models would meet them too, each after the same wait.
COMMON_ERRORS = (ProviderError, StoreError, OrchestratorError)
# A single one may concern its model's effort or folder; this many in a row do not.
MAX_COMMON_ERRORS = 3
# The callback of the running command for each changed row or sentence; does nothing by default.
TELL: ContextVar[Callable[[ModelRow | str], object]] = ContextVar("tell", default=lambda _: None)


@dataclass(slots=True, eq=False)
class BackfillWorker:
    """Work on the models of a backfill in one process. ``stopped`` is the error that stopped it early, None if it did
    not stop. ``parts_usd`` is the spending of the parts, which their own ledgers contain.
    """

    _request: BackfillRequest
    _ledger: Ledger
    _resources: RunResources
    _children: ChildRuns
    stopped: BaseException | None = None
    parts_usd: float = 0.0
    # The runs that wait for a batch, by handle.
    _awaited: dict[str, BatchRun] = field(default_factory=dict)
    _common_errors: int = 0

    async def work(self, rows: Sequence[ModelRow]) -> None:
        """Work until no model waits or the worker is stopped; models under way are finished in both cases."""
        if self._request.batch != "none":
            self._awaited = await asyncio.to_thread(find_awaited, self._resources.settings, self._request)
        waiting = iter(rows)
        await gather_or_cancel(self._work_through(waiting) for _ in range(self._request.models_at_once))

    async def filter_unfinished(self, rows: Sequence[ModelRow]) -> list[ModelRow]:
        """Return the rows of models that need a run; record the others as skipped."""
        gate = asyncio.Semaphore(CHECKED_AT_ONCE)

        async def is_done(row: ModelRow) -> bool:
            async with gate:
                return self.stopped is None and await self._skip(row)

        flags = await gather_or_cancel(map(is_done, rows))
        return [row for row, done in zip(rows, flags, strict=True) if not done]

    def stop(self, error: BaseException, at_once: bool) -> None:
        """Stop before the next model.

        Args:
            at_once: also stop the models under way, except one that is about to attach its set.
        """
        ends = isinstance(error, RunInterruptedError | Abort)
        self.stopped = error if ends or self.stopped is None else self.stopped
        if at_once:
            # A child that raised Abort would not report its end to Prefect.
            reason = error if isinstance(error, RunInterruptedError) else RunInterruptedError(str(error))
            self._resources.watcher.stop_all(reason)

    def record_progress(self) -> None:
        """Record the progress of models under way in the ledger."""
        for row in self._ledger.list_in("runs"):
            if (forecast := self._resources.forecasts.get(str(row.run_id))) is not None:
                self._ledger.update(row.handle, **_describe_progress(forecast))
        shared = self._resources.shared
        if shared is not None and shared.budget is not None:
            self._ledger.spent_usd = max(0.0, shared.budget.spent_usd - self.parts_usd)
            self._ledger.unconfirmed_usd, self._ledger.max_usd = shared.budget.unconfirmed_usd, shared.budget.max_usd

    def say(self, sentence: str) -> None:
        """Write a sentence about all models to the log of the run and to the terminal of the command."""
        TELL.get()(sentence)
        self._resources.logger.info("%s", sentence)

    async def _work_through(self, waiting: Iterator[ModelRow]) -> None:
        for row in waiting:
            if self.stopped is not None:
                return
            await self._synthesize(row)

    async def _synthesize(self, row: ModelRow) -> None:
        awaited = self._awaited.get(row.handle)
        if awaited is not None and not awaited.is_ready:
            note = f"Run {awaited.run_id} waits for a provider's batch"
            self._record(row.handle, state="in a batch", note=note, run_id=awaited.run_id)
            return
        if awaited is None and await self._skip(row):
            return
        try:
            run = None if awaited is None else await self._children.resume(awaited.run_id)
            run = run or await self._children.create(row.handle, self._request)
        except (httpx.HTTPError, PrefectException) as error:
            failure = OrchestratorError(f"Prefect's server did not create a run of {row.handle}: {error}")
            self._record(row.handle, state="failed", note=str(failure))
            self.stop(failure, at_once=False)
            return
        run_id, forecast = str(run.id), RunForecast()
        self._resources.forecasts[run_id] = forecast
        TELL.get()(self._ledger.update(row.handle, state="runs", note="", run_id=run_id))
        try:
            # Runs in a separate asyncio task, which can be cancelled without this one.
            outcome: object = (await asyncio.gather(self._children.run(run), return_exceptions=True))[0]
        finally:
            del self._resources.forecasts[run_id]
        if isinstance(outcome, TerminationSignal):
            raise outcome
        left: SkipReason | None = None
        with suppress(StoreError):
            left = await self._examine(row.handle)
        self._record_outcome(row.handle, forecast, outcome, left)

    async def _skip(self, row: ModelRow) -> bool:
        skip_reason = await self._examine(row.handle)
        if skip_reason is not None:
            self._record(row.handle, state="skipped", note=skip_reason.reason, run_id=skip_reason.run_id)
        return skip_reason is not None

    async def _examine(self, handle: str) -> SkipReason | None:
        status = await asyncio.to_thread(examine, self._resources.settings, self._request, handle)
        self._ledger.update(handle, older_sets=status.older_sets, older_samples=status.older_samples)
        return status.skip_reason

    def _record_outcome(
        self, handle: str, forecast: RunForecast, outcome: object, left: SkipReason | None = None
    ) -> None:
        changes = _describe_progress(forecast) | {"cost_usd": forecast.cost_usd}
        if isinstance(outcome, RunResult) and outcome.status == "not_needed":
            changes |= {"state": "skipped", "note": capitalise(outcome.headline)}
        elif isinstance(outcome, RunResult):
            # The attached samples are exactly the quota.
            changes |= {"state": "attached"} | dict.fromkeys(("kept", "wanted"), sum(outcome.kept.values()))
            changes |= {"rejected": outcome.rejected, "warnings": len(outcome.warnings)}
            self._common_errors = 0
        elif isinstance(outcome, State):
            changes |= {"state": "in a batch" if outcome.is_paused() else "failed", "note": outcome.message or ""}
        elif isinstance(outcome, ModelBusyError):
            changes |= {"state": "skipped" if left else "busy elsewhere", "note": left.reason if left else str(outcome)}
        elif isinstance(outcome, RunInterruptedError | CancelledRun):
            changes |= {"state": "cancelled", "note": str(outcome)}
        elif isinstance(outcome, SharedBudgetError):
            changes |= {"state": "cancelled", "note": "The backfill's limit is reached", "at_limit": True}
            self.stop(outcome, at_once=False)
        else:
            note = " ".join(str(outcome).split())
            known = isinstance(outcome, ExemplarsError)
            changes |= {"state": "failed", "note": note if known else f"{type(outcome).__name__}: {note}"}
            # The next models would fail as well.
            self._common_errors += isinstance(outcome, COMMON_ERRORS)
            if isinstance(outcome, COMMON_ERRORS) and self._common_errors >= MAX_COMMON_ERRORS:
                self.stop(outcome, at_once=False)
        self._record(handle, **changes)

    def _record(self, handle: str, **changes: Any) -> None:
        row = self._ledger.update(handle, **changes)
        TELL.get()(row)
        # On a second start most models are skipped; the final sentence counts them.
        self._resources.logger.log(logging.DEBUG if row.state == "skipped" else logging.INFO, "%s", describe_row(row))


def _describe_progress(forecast: RunForecast) -> dict[str, Any]:
    return {
        "kept": sum(forecast.kept.values()) if forecast.quotas else None,
        "wanted": sum(forecast.quotas.values()) if forecast.quotas else None,
        "seconds": round(time.monotonic() - forecast.began, 1),
    }
