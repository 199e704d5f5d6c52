"""The outcome of a run: its stamp, its result, and the final state of its flow run."""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from engine.asking.existing_sets import count_missing
from engine.asking.held_out import choose_pool
from engine.choosing.run_state import RunState
from engine.domain.samples import RunStamp
from engine.domain.verdict import RunResult, Verdict
from engine.errors import (
    ExemplarsError,
    GateError,
    ModelBusyError,
    QuotaError,
    RunInterruptedError,
    SharedBudgetError,
    StoreError,
)
from engine.estimate.estimate import Estimate
from engine.llm.gateway.budget import RunBudget
from engine.report.run_page import escape, write_error, write_page
from engine.report.wording import NOTHING_ATTACHED, describe_verdict
from engine.run.job import Job
from engine.run.outcome import read_result
from engine.settings import Settings, read_settings
from engine.store.changes import detach_replaced, detach_set
from engine.store.layout import REPORT
from engine.store.store import StoredSet, describe_sets, list_replaced, list_sets
from engine.system.concurrency import add_log_context, log_context, read_log_context
from engine.text.formatting import capitalise, count_noun, join_words, shorten
from flows.observability.logs import set_up_logs
from flows.run.labels import KEPT, STOPPED_AT_LIMIT
from flows.run.page.artifacts import show_page
from flows.run.set_events import emitting_removals

LOGGER = logging.getLogger("exemplars.runs")
QUOTED_CHARS = 240


@asynccontextmanager
async def observe_run(handle: str, synth_type: str, effort: str | None) -> AsyncIterator[None]:
    """Add the run's id and parameters to the log lines of the block, and log its outcome at the end.

    The outcome is ``attached``, the field ``outcome`` that the block added to the log context, or an error's name.
    """
    set_up_logs(read_settings().log_format)
    begun = time.monotonic()
    with log_context(run_id=get_run_id(), handle=handle, synth_type=synth_type, effort=effort):
        outcome = "attached"
        try:
            yield
            outcome = str(read_log_context().get("outcome", outcome))
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            seconds = round(time.monotonic() - begun, 3)
            extra = {"outcome": outcome, "seconds": seconds}
            LOGGER.info("The run has ended as %s after %.1f s", outcome, seconds, extra=extra)


async def end_in_state(handle: str, work: Awaitable[RunResult], is_reviewer: bool = False) -> State[Any]:
    """Return the final state of a flow run, with the result or the error for the caller of the flow.

    Args:
        is_reviewer: the run decides on a proposed set, so it is complete if it rejected the set.
    """
    try:
        result = await work
    except (ModelBusyError, RunInterruptedError) as error:
        return Cancelled(message=str(error), data=error)
    except SharedBudgetError as error:
        # The backfill stopped this run, so it did not fail; a run that reaches its own limit fails.
        return Cancelled(name=STOPPED_AT_LIMIT, message=str(error), data=error)
    except GateError as error:
        return Failed(message=str(error).partition("\n")[0], data=error)
    except ExemplarsError as error:
        summary = f"{capitalise(NOTHING_ATTACHED)}\n\n{escape(' '.join(str(error).split()))}"
        await show_page(get_run_id(), "verdict", write_error(handle, str(error)), summary)
        return Failed(message=str(error), data=error)
    if result.status == "rejected" and not is_reviewer:
        return Cancelled(message=capitalise(result.headline))
    # The UI shows the state's message first.
    return Completed(message=capitalise(result.headline), data=result)


async def report(
    state: RunState, verdict: Verdict, stored: StoredSet, estimate: Estimate, budget: RunBudget, api_url: str | None
) -> None:
    """Step 8: put the verdict on the run page as markdown, with a link to the report if there is an HTTP API.

    Not a task: the artifact of a task is shown on the task's page, one click away from the run's page.
    """
    headline, sentence = describe_verdict(state, verdict)
    page = write_page(state, verdict, stored, estimate, budget, api_url)
    # Two paragraphs: a card shows the first words of each.
    await show_page(stored.run_id, "verdict", page, f"{capitalise(headline)}\n\n{escape(sentence)}")


def get_run_id() -> str:
    """Return the id of the current flow run."""
    return str(flow_run.get_id())


def make_stamp(job: Job) -> RunStamp:
    """Return the fields that all rows of this run share. Their time is the flow run's first expected start."""
    moment = flow_run.get_scheduled_start_time() or datetime.now(UTC)
    created_at = datetime.fromisoformat(str(moment)).astimezone(UTC)
    return RunStamp(get_run_id(), job.model.handle, job.synth_type, job.level.effort, created_at)


def find_complete(settings: Settings, job: Job) -> RunResult:
    """Return the result of a run that fills up, if no exemplar is missing. Detach the sets that it was to replace.

    Raises:
        StoreError: some set cannot be detached.
    """
    quota = job.level.exemplars_per_pole
    headline = f"nothing is lacking: {job.model.handle} has {count_noun(quota, 'exemplar')} or more of each pole"
    sets = list_sets(settings.samples_uri, job.model.handle, choose_pool(job.synth_type))
    older = [stored for stored in sets if stored.run_id in job.model.existing.replaces]
    with emitting_removals(older):
        for stored in older:
            detach_set(stored, who=f"run {get_run_id()}")
    headline += f"; {describe_sets(older)} made for an older definition went" if older else ""
    get_run_logger().info("%s. Nothing is asked", capitalise(headline))
    add_log_context(outcome="not_needed")
    return RunResult(get_run_id(), "not_needed", "", "", quota, {}, headline=headline)


def finish_replacing(stored: StoredSet) -> None:
    """Detach the sets that an attached set replaced. If the store fails now, the model's next run does it: no reader of
    ours sees the replaced sets any more.
    """
    if not stored.replaces:
        return
    logger = get_run_logger()
    try:
        replaced = list_replaced(stored.folder.rpartition("/run=")[0])
        with emitting_removals([item for item, _ in replaced]):
            for line in detach_replaced(replaced):
                logger.info("%s", line)
    except StoreError as error:
        logger.warning("The sets that this set replaced will be detached by the next run of the model: %s", error)


def recheck_against_new_sets(job: Job, verdict: Verdict, newer: Sequence[str], settings: Settings) -> None:
    """Check a set again, if other sets were attached after it passed the gate.

    Raises:
        ModelBusyError: the set repeats texts of the new sets, or its exemplars are no longer missing.
    """
    why = verdict.failed[0] if verdict.failed else ""
    if newer and not why and job.missing is not None:
        is_same = job.missing == count_missing(settings.samples_uri, job.model, job.synth_type, job.level)
        why = "" if is_same else "other runs have added the exemplars that were missing"
    if newer and why:
        raise ModelBusyError(
            f"{job.model.handle}: a set of run {join_words(newer)} was attached while this run was at work, and with "
            f"it this one does not pass: {shorten(why, QUOTED_CHARS).rstrip('.')}. Nothing was attached, and the "
            "replies are kept. Start again: the next run takes that set into account",
            newer[0],
        )


def conclude(state: RunState, stamp: RunStamp, verdict: Verdict, stored: StoredSet) -> RunResult:
    """Return the result of a run that attached its set.

    Raises:
        QuotaError: exemplars of a trait and pole are missing; GateError: another critical expectation failed.
    """
    if verdict.success:
        result = read_result(stored)
        get_run_logger().info("%s: %s", capitalise(result.headline), result.samples)
        add_log_context(outcome=result.status)
        return result
    kind = QuotaError if any(state.choice.shortfall.values()) else GateError
    headline = ": ".join((stamp.handle, *describe_verdict(state, verdict)))
    reasons = "\n".join(f"  {sentence}" for sentence in verdict.causes)
    raise kind(f"{headline}\n{reasons}\n  {KEPT}: {stored.file(REPORT)}")
