"""The main job: a model's handle, a synth type and an effort become a checked Parquet sample set."""

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any, cast

from prefect import flow, get_run_logger
from prefect.exceptions import Pause
from prefect.runtime import deployment

from engine.domain.model import SynthType
from engine.domain.progress import Progress
from engine.domain.run_request import RunRequest
from engine.domain.verdict import RunResult
from engine.run.job import Job
from engine.run.outcome import find_finished, read_result
from engine.settings import read_settings
from engine.store.store import StoredSet
from engine.system.concurrency import add_log_context
from expectations.own_suites import check_own_suites
from flows.batches.waiting import BatchAwaited, Batching, open_batching, suspend, wait_for_batch
from flows.observability.logs import ignore_closed_output
from flows.review.flow import resume_review
from flows.review.waiting import ensure_single_proposal
from flows.run.lease.lease import Lease
from flows.run.outcome import (
    conclude,
    end_in_state,
    find_complete,
    finish_replacing,
    get_run_id,
    make_stamp,
    observe_run,
    recheck_against_new_sets,
    report,
)
from flows.run.parameters import Batch, ChosenEffort, Handle, PerPole
from flows.run.resources import RunResources, find_shared, open_run_resources
from flows.run.rounds import estimate, run_rounds
from flows.run.run_events import release_events, sending_heartbeats
from flows.run.set_events import emit_written
from tasks.check import check
from tasks.load import load
from tasks.plan import plan
from tasks.write import write


@flow(name="synthesize", flow_run_name="{handle} {synth_type}", validate_parameters=False)
async def synthesize(
    handle: Handle,
    synth_type: SynthType = "from_traits",
    effort: ChosenEffort = None,
    only_lacking: bool = False,
    review: bool = False,
    strict: bool = False,
    per_pole: PerPole = None,
    refresh: bool = False,
    batch: Batch = "none",
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
        per_pole: How many samples for each pole of each trait, in place of the effort's number.
        refresh: Makes anew what was made for an older definition of the model. Those sets count as gone, and go when
            the new one is attached. Only so many samples are made as the effort asks for and the definition as it is
            has not yet.
        batch: Whether calls go to the provider in a file, which answers within a day and takes about half the price.
            first: the first round's, and what lacks then is asked at once. all: further rounds and votes too, a day
            each. The run is suspended meanwhile, and goes on by itself.
    """
    # The parameters are the fields of a request.
    asked: dict[str, Any] = dict(locals())
    ignore_closed_output()
    await release_events(get_run_logger())
    # Prefect takes the state, and gives its caller what that carries.
    return cast(RunResult, await end_in_state(handle, _run(asked, find_shared())))


async def _run(asked: Mapping[str, Any], shared: RunResources | None) -> RunResult:
    """The work of a flow run, which may be one of many in its process: those share what ``shared`` has."""
    wanted = RunRequest(**asked)
    if wanted.review and (ended := await resume_review(wanted.handle, wanted.synth_type)):
        return ended
    # Without a deployment nothing would have it go on, but for the backfill that it is a child of.
    here, result = shared is None and deployment.get_id() is None, None
    while result is None:
        try:
            result = await _work(wanted, shared, here)
        except Pause as paused:
            await suspend(str(paused), is_child=shared is not None)
            here = True
    if result.status == "proposed":
        return await resume_review(wanted.handle, wanted.synth_type) or result
    return result


async def _work(wanted: RunRequest, shared: RunResources | None, here: bool) -> RunResult:
    """The work on a model, while nobody else works on it.

    Args:
        here: whether it waits for a batch in this process.

    Raises:
        prefect.exceptions.Pause: the run is to be suspended until a batch has come.
    """
    async with (
        sending_heartbeats(),
        observe_run(wanted.handle, wanted.synth_type, wanted.effort),
        nullcontext(shared) if shared else open_run_resources(read_settings(), get_run_logger()) as resources,
        resources.hold_lease(wanted.handle) as lease,
    ):
        while True:
            batching = await open_batching(resources.settings, wanted)
            async with resources.publish_progress() as progress:
                batching.progress = progress
                try:
                    return await make_samples(wanted, lease, progress, resources, batching)
                except BatchAwaited:
                    await wait_for_batch(batching, progress, here)


async def make_samples(
    wanted: RunRequest, lease: Lease, progress: Progress, resources: RunResources, batching: Batching
) -> RunResult:
    """The walk of a run that holds its model's lease, step by step."""
    settings, call, run_in_worker = resources.settings, resources.call, resources.run_in_worker
    if done := find_finished(settings, wanted.handle, wanted.synth_type, get_run_id()):
        get_run_logger().info("This run has attached its set before: %s. Nothing is asked again", done.folder)
        finish_replacing(done)
        return read_result(done)
    job = batching.job = batching.job or await load_job(wanted, resources)
    if job.is_complete:
        await lease.confirm()
        return find_complete(settings, job)
    add_log_context(effort=job.level.effort)
    stamp = make_stamp(job)
    async with resources.open_models(job.level, progress) as models:
        rounds = await call(plan, settings, job, models.gateway, run_in_worker)
        await batching.take_over(rounds.plan.plan_id, resources.client)
        expected = await estimate(settings, rounds, models, progress)
        if wanted.batch == "all" and models.voting_judge:
            models.voting_judge.ask_ahead = batching.queue_votes
        await run_rounds(rounds, models, progress, expected, resources, batching.queue_cells)
    # Where the sets of other runs came in since the check, it is their ids that are returned: it is made again.
    stored: StoredSet | tuple[str, ...] = ()
    while not isinstance(stored, StoredSet):
        verdict = await call(check, settings, rounds, stamp, run_in_worker, wanted.review, wanted.strict)
        recheck_against_new_sets(job, verdict, stored, settings)
        await lease.confirm()
        stored = call(write, settings, rounds, stamp, verdict, models.gateway)
    await batching.finish()
    emit_written(stored)
    finish_replacing(stored)
    await report(rounds, verdict, stored, expected, models.gateway.budget, settings.api_url)
    return conclude(rounds, stamp, verdict, stored)


async def load_job(wanted: RunRequest, resources: RunResources) -> Job:
    """The job of a request, once the gate can run the author's suites.

    Raises:
        DefinitionError: it cannot run some. ModelBusyError: another proposal waits, and this is to be one.
    """
    job = resources.call(load, resources.settings, wanted)
    if wanted.review:
        ensure_single_proposal(resources.settings, wanted.handle, get_run_id())
    if job.model.own_suites and not job.is_complete:
        await resources.run_in_worker(partial(check_own_suites, job.model.own_suites))
    return job


if __name__ == "__main__":
    import sys

    from flows.cli.app import main

    sys.exit(main(["synthesize", *sys.argv[1:]]))
