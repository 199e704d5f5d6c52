"""What a run comes to: its stamp, its result, and the state that its flow run ends in."""

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
from engine.choosing.rounds import Rounds
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
    """Has the log lines of the run inside the block say whose they are, and logs how it has ended.

    That is ``attached``, what the block has added to the log context as ``outcome``, or the name of what it raised.
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
            told = {"outcome": outcome, "seconds": seconds}
            LOGGER.info("The run has ended as %s after %.1f s", outcome, seconds, extra=told)


async def end_in_state(handle: str, work: Awaitable[RunResult], is_reviewer: bool = False) -> State[Any]:
    """The state that a flow run ends in; it carries the result, or the error to raise, for whoever calls the flow.

    Args:
        is_reviewer: whether it is there to end a set, so that it is complete where it has rejected one.
    """
    try:
        result = await work
    except (ModelBusyError, RunInterruptedError) as error:
        return Cancelled(message=str(error), data=error)
    except SharedBudgetError as error:
        # It is the backfill that stopped it; a run's own limit is its failure.
        return Cancelled(name=STOPPED_AT_LIMIT, message=str(error), data=error)
    except GateError as error:
        return Failed(message=str(error).partition("\n")[0], data=error)
    except ExemplarsError as error:
        said = f"{capitalise(NOTHING_ATTACHED)}\n\n{escape(' '.join(str(error).split()))}"
        await show_page(get_run_id(), "verdict", write_error(handle, str(error)), said)
        return Failed(message=str(error), data=error)
    if result.status == "rejected" and not is_reviewer:
        return Cancelled(message=capitalise(result.headline))
    # The state's message is what the UI shows of it first.
    return Completed(message=capitalise(result.headline), data=result)


async def report(
    rounds: Rounds, verdict: Verdict, stored: StoredSet, estimate: Estimate, budget: RunBudget, api_url: str | None
) -> None:
    """Step 8: puts the verdict on the run page as markdown, with a link to the report where there is an HTTP API.

    Not a task: an artifact that a task makes hangs on the task, one click further away from whoever looks at the run.
    """
    headline, sentence = describe_verdict(rounds, verdict)
    page = write_page(rounds, verdict, stored, estimate, budget, api_url)
    # As paragraphs of their own: a card shows the first words of each.
    await show_page(stored.run_id, "verdict", page, f"{capitalise(headline)}\n\n{escape(sentence)}")


def get_run_id() -> str:
    """The id of the flow run that this is called in."""
    return str(flow_run.get_id())


def make_stamp(job: Job) -> RunStamp:
    """What all rows of this run have in common; the moment is the flow run's first expected start."""
    moment = flow_run.get_scheduled_start_time() or datetime.now(UTC)
    created_at = datetime.fromisoformat(str(moment)).astimezone(UTC)
    return RunStamp(get_run_id(), job.model.handle, job.synth_type, job.level.effort, created_at)


def find_complete(settings: Settings, job: Job) -> RunResult:
    """The result of a run that was to fill up where there is nothing to fill; what it was to replace is detached.

    Raises:
        StoreError: some set cannot be detached.
    """
    wanted = job.level.exemplars_per_pole
    headline = f"nothing is lacking: {job.model.handle} has {count_noun(wanted, 'exemplar')} or more of each pole"
    sets = list_sets(settings.samples_uri, job.model.handle, choose_pool(job.synth_type))
    older = [stored for stored in sets if stored.run_id in job.model.replaces]
    with emitting_removals(older):
        for stored in older:
            detach_set(stored, who=f"run {get_run_id()}")
    headline += f"; {describe_sets(older)} made for an older definition went" if older else ""
    get_run_logger().info("%s. Nothing is asked", capitalise(headline))
    add_log_context(outcome="not_needed")
    return RunResult(get_run_id(), "not_needed", "", "", wanted, {}, headline=headline)


def finish_replacing(stored: StoredSet) -> None:
    """Detaches what a set has replaced as it was attached. A store that fails now leaves that to the model's next run:
    no reader of ours sees it any more.
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
        logger.warning("What this set has replaced is detached by the next run of the model: %s", error)


def recheck_against_new_sets(job: Job, verdict: Verdict, newer: Sequence[str], settings: Settings) -> None:
    """Checks that a set still fits where others came in since the gate had passed it.

    Raises:
        ModelBusyError: it does not: it has texts of theirs, or fills up what is no longer lacking.
    """
    why = verdict.failed[0] if verdict.failed else ""
    if newer and not why and job.lacking is not None:
        is_same = job.lacking == count_missing(settings.samples_uri, job.model, job.synth_type, job.level)
        why = "" if is_same else "what it was to fill up is there by now"
    if newer and why:
        raise ModelBusyError(
            f"{job.model.handle}: a set of run {join_words(newer)} came in while this run was at work, and beside it "
            f"this one does not pass: {shorten(why, QUOTED_CHARS).rstrip('.')}. Nothing was attached, and the replies "
            "are kept. Start again: the next run is planned beside what is there now",
            newer[0],
        )


def conclude(rounds: Rounds, stamp: RunStamp, verdict: Verdict, stored: StoredSet) -> RunResult:
    """The result of a run that attached its set.

    Raises:
        QuotaError: a trait and pole lacks exemplars; GateError: another critical expectation failed.
    """
    if verdict.success:
        result = read_result(stored)
        get_run_logger().info("%s: %s", capitalise(result.headline), result.samples)
        add_log_context(outcome=result.status)
        return result
    lacking = rounds.explain_shortfall()
    kind = QuotaError if lacking else GateError
    said = ": ".join((stamp.handle, *describe_verdict(rounds, verdict)))
    reasons = "\n".join(f"  {sentence}" for sentence in lacking or verdict.failed)
    raise kind(f"{said}\n{reasons}\n  {KEPT}: {stored.file(REPORT)}")
