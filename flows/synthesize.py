"""The main job: a model's handle, a synth type and an effort become a checked Parquet sample set."""

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from engine.domain.model import Effort, SynthType, check_handle
from engine.domain.progress import CallsPlanned, KeptCounted, Progress, StageBegun
from engine.domain.samples import RunStamp
from engine.errors import BudgetError, ExemplarsError, GateError, ModelBusyError, QuotaError, RunInterruptedError
from engine.estimate.estimate import Estimate
from engine.estimate.wording import explain_budget
from engine.quality.verdict import Verdict
from engine.report.costs import Spending, make_bill, read_spending
from engine.report.headline import list_warnings, state_outcome
from engine.report.remedies import explain_failure
from engine.report.summary import RunResult
from engine.run.job import Job, count_lacking, find_finished, read_result
from engine.selection.rounds import Rounds
from engine.settings import Settings, read_settings
from engine.store.layout import REPORT
from engine.store.store import StoredSet
from engine.system.log_context import add_log_context
from engine.text.formatting import capitalise, count_noun, join_words, shorten
from expectations.own_suites import find_mistakes, raise_mistakes
from flows.observability.logs import ignore_closed_output
from flows.observability.run_outcome import observe_run
from flows.review.finish import finish_review, start_filling
from flows.review.waiting import ask_person, expire_proposals, find_ended, find_proposal, keep_to_one
from flows.runs.heartbeat import sending_heartbeats
from flows.runs.labels import KEPT
from flows.runs.lease import Lease
from flows.runs.set_events import emit_written
from flows.runtime.parameters import ChosenEffort, Handle
from flows.runtime.resources import LanguageModels, RunResources, open_run_resources
from flows.runtime.schedule_events import release_events
from tasks.check import check
from tasks.estimate import estimate
from tasks.generate import generate
from tasks.load import load
from tasks.plan import plan
from tasks.report import report, report_error
from tasks.screen import screen
from tasks.write import write

QUOTED_CHARS = 240


@flow(name="synthesize", flow_run_name="{handle} {synth_type}", validate_parameters=False)
async def synthesize(
    handle: Handle,
    synth_type: SynthType = "from_traits",
    effort: ChosenEffort = None,
    only_lacking: bool = False,
    review: bool = False,
    strict: bool = False,
) -> RunResult:
    """Makes labelled samples for a model and attaches them, when the gate passes, with provenance `synthesized`.

    Args:
        handle: The model, as namespace.name, in lower-case letters, digits and hyphens: u22a8.technical-writing. It is
            a folder of the catalogue (data/models). One that was made since the last deploy is typed, under another.
        synth_type: What the samples are for. from_traits: made from what the traits mean. diversify: the model's
            authored samples varied, each in its own voice, about other subjects. enrich: a pool for evaluation, which
            is kept apart from all that is attached and never listed as samples.
        effort: How many samples for each pole of each trait: low 8, medium 20, high 40, xhigh 80, max 160. More of it
            also takes a larger synth model, more thinking and more votes: data/effort.yaml has the numbers. The
            model's own: what its model.yaml says, or high.
        only_lacking: Fills up: of each trait and pole only so many as the effort asks for less what earlier runs have
            left. Where nothing is lacking nothing is asked.
        review: Whether the set waits for a person before anything is attached. The run is then suspended, and its page
            has a form to attach or reject what was made.
        strict: Whether a set is rejected where nothing tells the poles of a trait apart, which is a warning otherwise.
    """
    ignore_closed_output()
    await release_events(get_run_logger())
    # Prefect takes the state, and gives its caller what that carries: the result, or the error to raise.
    return cast(
        RunResult,
        await run_synthesis(handle, synth_type, effort, only_lacking=only_lacking, review=review, strict=strict),
    )


async def run_synthesis(
    handle: str,
    synth_type: SynthType,
    effort: Effort | None,
    shared: RunResources | None = None,
    only_lacking: bool = False,
    review: bool = False,
    strict: bool = False,
) -> RunResult | State[Any]:
    """The work of a flow run of this flow, which may be one of many in its process.

    Args:
        review: whether the set waits for a person's word; a run that has it begins from its proposal.
        shared: what the runs of this process share; None for a run that has its process for itself.
    """
    try:
        proposal = find_proposal(read_settings(), check_handle(handle), synth_type, get_run_id()) if review else None
        word = await ask_person(read_settings(), proposal) if proposal else None
        if proposal and word is None:
            waiting = read_result(proposal)
            return Completed(message=capitalise(waiting.headline), data=waiting)
        async with (
            sending_heartbeats(),
            observe_run(handle, synth_type, effort) as meter,
            nullcontext(shared) if shared else open_run_resources(read_settings(), get_run_logger()) as resources,
            resources.pruning_replies(),
            resources.hold_lease(check_handle(handle), waits=word is not None) as lease,
            resources.publish_progress(meter) as progress,
        ):
            if proposal and word:
                result = await finish_review(proposal, word, lease, resources)
                if word.fill and word.attach:
                    await start_filling(proposal)
            elif review and (ended := find_ended(resources.settings, handle, synth_type, get_run_id())):
                result = ended
            else:
                result = await make_samples(
                    handle, synth_type, effort, lease, progress, resources, only_lacking, review, strict
                )
    except (ModelBusyError, RunInterruptedError) as error:
        return Cancelled(message=str(error))
    except GateError as error:
        return Failed(message=str(error).partition("\n")[0], data=error)
    except ExemplarsError as error:
        await report_error(str(flow_run.get_id()), handle, error)
        return Failed(message=str(error), data=error)
    if result.status == "rejected":
        return Cancelled(message=capitalise(result.headline))
    if result.status == "proposed" and (made := find_proposal(read_settings(), handle, synth_type, get_run_id())):
        # Suspends the run, where Prefect suspends it: nothing of it holds a process until a person has spoken.
        await ask_person(read_settings(), made)
    # Whoever calls the flow is given the result; the state's message is what the UI shows of it first.
    return Completed(message=capitalise(result.headline), data=result)


async def make_samples(
    handle: str,
    synth_type: SynthType,
    effort: Effort | None,
    lease: Lease,
    progress: Progress,
    resources: RunResources,
    only_lacking: bool = False,
    review: bool = False,
    strict: bool = False,
) -> RunResult:
    """The walk of a run that holds its model's lease, step by step."""
    settings = resources.settings
    if done := find_finished(settings.locate(settings.samples_uri), handle, synth_type, get_run_id()):
        get_run_logger().info("This run has attached its set before: %s. Nothing is asked again", done.samples)
        return done
    job = resources.call(load, settings, handle, synth_type, effort, only_lacking)
    if job.model.proposed_digests:
        if expire_proposals(settings, handle, resources.client, get_run_logger()):
            job = resources.call(load, settings, handle, synth_type, effort, only_lacking)
        if review:
            keep_to_one(settings, handle, get_run_id())
    if job.lacks_nothing:
        return find_nothing_lacking(job)
    await check_suites(job, resources)
    return await make_set(job, make_stamp(job), lease, progress, resources, review, strict)


async def make_set(
    job: Job,
    stamp: RunStamp,
    lease: Lease,
    progress: Progress,
    resources: RunResources,
    review: bool,
    strict: bool = False,
) -> RunResult:
    """The steps from the job to the set in the store.

    Args:
        review: whether the set waits for a person before it is attached.
        strict: whether poles that nothing tells apart are critical.
    """
    settings, call, run_heavy = resources.settings, resources.call, resources.run_heavy
    add_log_context(effort=job.level.effort)
    async with resources.open_models(job.level, progress) as models:
        gateway, voting_judge = models.gateway, models.voting_judge
        rounds = await call(plan, settings, job, gateway, voting_judge, run_heavy)
        resources.snapshot.plan_ids = (rounds.plan.plan_id, rounds.subjects_plan_id)
        expected = await estimate(settings, rounds, gateway, voting_judge, progress, resources.as_tasks)
        await resources.import_ahead()
        finished = await run_rounds(rounds, models, progress, expected, resources)
        bill = make_bill(gateway.budget, finished)
    newer: tuple[str, ...] = ()
    while True:
        verdict = await call(check, settings, rounds, stamp, run_heavy, review, strict)
        check_beside(job, verdict, newer, settings)
        await lease.confirm()
        until = datetime.now(UTC) + timedelta(days=settings.review_days)
        stored = call(write, settings, rounds, stamp, verdict, gateway, bill, until)
        if isinstance(stored, StoredSet):
            break
        newer = stored
        get_run_logger().warning("A set of run %s came in since: the gate checks beside it", join_words(newer))
    emit_written(stored)
    await report(rounds, verdict, stored, expected, bill, settings.api_url, alone=not resources.as_tasks)
    return conclude(rounds, stamp, verdict, stored)


def check_beside(job: Job, verdict: Verdict, newer: Sequence[str], settings: Settings) -> None:
    """Checks that a set still fits where others came in since the gate had passed it.

    Raises:
        ModelBusyError: it does not: it has texts of theirs, or fills up what is no longer lacking.
    """
    why = verdict.failed[0] if verdict.failed else ""
    if newer and not why and job.lacking is not None:
        place = settings.locate(settings.samples_uri)
        is_same = job.lacking == count_lacking(place, job.model, job.synth_type, job.level)
        why = "" if is_same else "what it was to fill up is there by now"
    if newer and why:
        raise ModelBusyError(
            f"{job.model.handle}: a set of run {join_words(newer)} came in while this run was at work, and beside it "
            f"this one does not pass: {shorten(why, QUOTED_CHARS).rstrip('.')}. Nothing was attached, and the replies "
            "are kept. Start again: the next run is planned beside what is there now",
            newer[0],
        )


async def check_suites(job: Job, resources: RunResources) -> None:
    """Checks, before anything is paid, that the gate can run the author's suites.

    Raises:
        DefinitionError: it cannot run some.
    """
    if job.model.own_suites:
        raise_mistakes(await resources.run_heavy(partial(find_mistakes, job.model.own_suites)))


def find_nothing_lacking(job: Job) -> RunResult:
    """The result of a run that was to fill up where there is nothing to fill."""
    wanted = job.level.exemplars_per_pole
    headline = f"nothing is lacking: {job.model.handle} has {count_noun(wanted, 'exemplar')} or more of each pole"
    get_run_logger().info("%s. Nothing is asked", capitalise(headline))
    return RunResult(get_run_id(), "not_needed", "", "", wanted, {}, headline=headline)


def get_run_id() -> str:
    """The id of the flow run that this is called in."""
    return str(flow_run.get_id())


def make_stamp(job: Job) -> RunStamp:
    """What all rows of this run have in common; the moment is the flow run's first expected start."""
    moment = flow_run.get_scheduled_start_time() or datetime.now(UTC)
    created_at = datetime.fromisoformat(str(moment)).astimezone(UTC)
    return RunStamp(get_run_id(), job.model.handle, job.synth_type, job.level.effort, created_at)


async def run_rounds(
    rounds: Rounds, models: LanguageModels, progress: Progress, expected: Estimate, resources: RunResources
) -> Spending:
    """Asks, screens and chooses, round by round, until the quotas are met or the rounds are spent.

    Returns:
        What had been spent when the last round was taken; a limit may have cut another one short.
    """
    gateway, voting_judge = models.gateway, models.voting_judge
    finished = read_spending(gateway.budget)
    progress.report(KeptCounted(rounds.count_kept(), rounds.plan.wanted, quotas=rounds.plan.lacking))
    place = rounds.plan.plan_id, rounds.plan.model.handle
    async with gateway.holding(rounds.subjects_plan_id), gateway.keeping(*place), voting_judge.keeping(*place):
        while cells := rounds.next_cells():
            progress.report(StageBegun(f"Round {rounds.round_no}: {count_noun(len(cells), 'cell')}"))
            progress.report(CallsPlanned(len(cells)))
            try:
                exemplars = await generate(rounds, cells, gateway, resources.as_tasks)
                await resources.call(screen, rounds, exemplars, gateway, voting_judge, progress, resources.run_heavy)
            except BudgetError as error:
                if not rounds.improving:
                    kept, lacking = len(rounds.choice.chosen), sum(rounds.choice.shortfall.values())
                    raise explain_budget(error, expected, gateway.budget.spent_usd, kept, lacking) from error
                # The quotas are met: what more money would have made better is no reason to lose them.
                get_run_logger().warning("%s", error)
                break
            finished = read_spending(gateway.budget)
            reasons = rounds.choice.count_reasons()
            progress.report(KeptCounted(rounds.count_kept(), rounds.plan.wanted, reasons, rounds.plan.lacking))
    return finished


def conclude(rounds: Rounds, stamp: RunStamp, verdict: Verdict, stored: StoredSet) -> RunResult:
    """The result of a run that attached its set.

    Raises:
        QuotaError: a trait and pole lacks exemplars; GateError: another critical expectation failed.
    """
    if verdict.success:
        result = RunResult(
            run_id=stamp.run_id,
            status=verdict.status,
            samples=stored.file(stored.rows_name),
            report=stored.file(REPORT),
            wanted=rounds.plan.wanted,
            kept=rounds.count_kept(),
            rejected=rounds.choice.count_rejected(),
            spare=rounds.choice.count_spare(),
            warnings=list_warnings(rounds, verdict),
            headline=state_outcome(rounds, verdict),
        )
        get_run_logger().info("%s: %s", capitalise(result.headline), result.samples)
        return result
    lacking = rounds.explain_shortfall()
    kind = QuotaError if lacking else GateError
    said = f"{stamp.handle}: {state_outcome(rounds, verdict)}: {explain_failure(rounds, verdict)}"
    reasons = "\n".join(f"  {sentence}" for sentence in lacking or verdict.failed)
    raise kind(f"{said}\n{reasons}\n  {KEPT}: {stored.file(REPORT)}")


if __name__ == "__main__":
    import sys

    from flows.cli.app import main

    sys.exit(main(["synthesize", *sys.argv[1:]]))
