"""The crew of a backfill: works through its models, so many at a time, and notes in the ledger what comes of each."""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import Abort, PrefectException, TerminationSignal

from engine.errors import (
    CredentialsError,
    ExemplarsError,
    ModelNotFoundError,
    OrchestratorError,
    ProviderDownError,
    QuotaSpentError,
    RunInterruptedError,
    SharedBudgetError,
    StoreError,
)
from engine.report.summary import RunResult
from engine.run.backfill_targets import Selection
from engine.store.backfill_ledger import Ledger, ModelRow
from flows.backfills.child_runs import Children
from flows.runtime.resources import RunResources, RunSnapshot

# What is no fault of a model: the next ones would meet it too, each after having waited for as long.
COMMON = (CredentialsError, QuotaSpentError, ProviderDownError, ModelNotFoundError, StoreError, OrchestratorError)
# One of them may be about its model's own effort or folder; so many one after another are not.
MOST_COMMON = 3
MODELS_LOGGER = "exemplars.models"
# Each reads a definition and the manifests of a model, from an object store perhaps.
SIFTED_AT_ONCE = 16


@dataclass(slots=True)
class _Work:
    """A model that is worked on: its run and the asyncio task that runs it."""

    run: FlowRun
    task: "asyncio.Task[Any]"
    began: float


class BackfillWorker:
    """Works in one process; ``stopped`` says why it stopped before its end, where it did."""

    def __init__(self, selection: Selection, ledger: Ledger, resources: RunResources, children: Children) -> None:
        self.stopped: BaseException | None = None
        self._selection = selection
        self._ledger = ledger
        self._resources = resources
        self._children = children
        self._working: dict[str, _Work] = {}
        self._common = 0
        self._logger = logging.getLogger(MODELS_LOGGER)

    async def work(self, rows: Sequence[ModelRow], models_at_once: int) -> None:
        """Works until no model waits, or the crew is stopped; what it works on comes to its end in both cases."""
        waiting = iter(rows)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(models_at_once):
                    group.create_task(self._take_turns(waiting))
        except BaseExceptionGroup as group_error:
            # Prefect's engine knows the signal, and no group that has it.
            raise _find_first(group_error) from None

    async def sift(self, rows: Sequence[ModelRow]) -> list[ModelRow]:
        """Those that have something to do; the others are noted as passed over."""
        gate = asyncio.Semaphore(SIFTED_AT_ONCE)

        async def sift_one(row: ModelRow) -> bool:
            async with gate:
                return self.stopped is None and await self._pass_over(row)

        passed = await asyncio.gather(*map(sift_one, rows))
        return [row for row, is_passed in zip(rows, passed, strict=True) if not is_passed]

    def stop(self, error: BaseException, at_once: bool) -> None:
        """Begins no model any more.

        Args:
            at_once: ends those that are worked on too, but for one that is about to attach its set.
        """
        ends = isinstance(error, RunInterruptedError | Abort)
        self.stopped = error if ends or self.stopped is None else self.stopped
        if not at_once:
            return
        # A child that raised Abort would say nothing of its own end to Prefect, where it has not ended.
        self._resources.watcher.tell_all(
            error if isinstance(error, RunInterruptedError) else RunInterruptedError(str(error))
        )
        for work in self._working.values():
            if not self._look_at(work).holds:
                work.task.cancel()

    def note_seen(self) -> None:
        """Writes into the ledger how far the models are that are worked on."""
        for handle, work in self._working.items():
            seen = self._look_at(work)
            seconds = round(time.monotonic() - work.began, 1)
            self._ledger.update(handle, kept=seen.kept, wanted=seen.wanted, seconds=seconds)
        shared = self._resources.shared
        if shared is not None and shared.budget is not None:
            self._ledger.spent_usd = shared.budget.spent_usd

    async def _take_turns(self, waiting: Iterator[ModelRow]) -> None:
        for row in waiting:
            if self.stopped is not None:
                return
            await self._do(row)

    async def _do(self, row: ModelRow) -> None:
        if await self._pass_over(row):
            return
        try:
            run = await self._children.create(row.handle, self._selection.synth_type, self._selection.effort)
            if self.stopped is not None:
                # Meanwhile; whoever stopped the crew did not know of this one.
                await self._children.drop(run)
                return
        except (httpx.HTTPError, PrefectException) as error:
            said = OrchestratorError(f"Prefect's server made no run of {row.handle}: {error}")
            self._say(self._ledger.update(row.handle, state="failed", note=str(said)))
            self.stop(said, at_once=False)
            return
        work = _Work(run, asyncio.create_task(self._children.run(run)), time.monotonic())
        self._working[row.handle] = work
        self._ledger.update(row.handle, state="runs", run_id=str(run.id))
        try:
            # A child that is cancelled before it has begun ends so; this one goes on to note it.
            outcome: object = (await asyncio.gather(work.task, return_exceptions=True))[0]
        finally:
            del self._working[row.handle]
        if isinstance(outcome, TerminationSignal):
            raise outcome
        if isinstance(outcome, asyncio.CancelledError):
            outcome = await self._children.drop(run)
        self._note_outcome(row.handle, work, outcome)

    async def _pass_over(self, row: ModelRow) -> bool:
        passed = await asyncio.to_thread(self._resources.find_passed, row.handle)
        if passed is not None:
            self._say(self._ledger.update(row.handle, state="skipped", note=passed.reason, run_id=passed.run_id))
        return passed is not None

    def _note_outcome(self, handle: str, work: _Work, outcome: object) -> None:
        seen = self._resources.snapshots.pop(str(work.run.id), RunSnapshot())
        changes: dict[str, Any] = {
            "kept": seen.kept,
            "wanted": seen.wanted,
            "cost_usd": seen.cost_usd,
            "seconds": round(time.monotonic() - work.began, 1),
        }
        if isinstance(outcome, RunResult):
            kept = sum(outcome.kept.values())
            changes |= {"state": "attached", "kept": kept, "wanted": outcome.wanted * len(outcome.kept)}
            changes |= {"rejected": outcome.rejected}
            self._common = 0
        elif isinstance(outcome, State):
            changes |= _read_state(outcome, seen)
        else:
            changes |= {"state": "failed", "note": _shorten(outcome)}
            self._weigh(outcome)
        self._say(self._ledger.update(handle, **changes))

    def _say(self, row: ModelRow) -> None:
        kept = "" if row.kept is None else f", {row.kept} of {row.wanted} kept"
        line = f"{row.handle}: {row.state}{kept}" + (f" ({row.note})" if row.note else "")
        self._logger.info("%s", line)
        self._resources.logger.info("%s", line)

    def _weigh(self, outcome: object) -> None:
        """Stops where the next models would fail as well."""
        if isinstance(outcome, SharedBudgetError):
            self.stop(outcome, at_once=False)
        elif isinstance(outcome, COMMON):
            self._common += 1
            if self._common >= MOST_COMMON:
                self.stop(outcome, at_once=False)

    def _look_at(self, work: _Work) -> RunSnapshot:
        return self._resources.snapshots.get(str(work.run.id), RunSnapshot())


def _find_first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The signal to end, where one is among the errors, else the first of them."""
    leaves = list(group.exceptions)
    for error in leaves:
        if isinstance(error, BaseExceptionGroup):
            leaves.extend(error.exceptions)
    errors = [error for error in leaves if not isinstance(error, BaseExceptionGroup)]
    return next((error for error in errors if isinstance(error, TerminationSignal)), errors[0])


def _read_state(state: State[Any], seen: RunSnapshot) -> dict[str, Any]:
    note = state.message or ""
    if seen.passed is not None:
        return {"state": "skipped", "note": seen.passed.reason}
    if state.is_crashed():
        return {"state": "failed", "note": note}
    return {"state": "busy elsewhere" if seen.turned_away else "cancelled", "note": note}


def _shorten(outcome: object) -> str:
    """What an error says, on one line."""
    said = " ".join(str(outcome).split())
    return said if isinstance(outcome, ExemplarsError) else f"{type(outcome).__name__}: {said}"
