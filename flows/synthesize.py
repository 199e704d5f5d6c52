"""The main job: make a checked Parquet sample set from a model's handle, a synth type and an effort."""

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
from engine.run.rounds import make_tools
from engine.settings import read_settings
from engine.store.existing import read_existing
from engine.store.store import StoredSet
from engine.system.concurrency import add_log_context
from engine.text.embedding import SentenceEncoder
from expectations.own_suites import check_own_suites, make_own_rules
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
from flows.run.rounds import estimate, run_as_tasks
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
    """Make labelled samples for a model and attach them, if they pass the gate, with provenance `synthesized`.

    Args:
        handle: The model, as namespace.name, in lower-case letters, digits and hyphens: u22a8.technical-writing. It is
            a folder of the catalogue (data/models). One that was added after the last deploy goes under "other handle".
        synth_type: The purpose of the samples. from_traits: new texts from the traits' definitions. diversify: the
            model's authored samples varied, each in its own voice, about other subjects. enrich: a pool for evaluation,
            kept apart from all attached samples and never listed as samples.
        effort: How many samples for each pole of each trait: low 8, medium 20, high 40, xhigh 80, max 160. More effort
            also means a larger synth model, more thinking and more votes: data/effort.yaml has the numbers. The
            model's own: the effort of its model.yaml, or high.
        only_lacking: Fill up: make only the samples that earlier runs left missing from the effort's number for each
            trait and pole. If none is missing, no model is asked.
        review: Whether the set waits for a person before anything is attached. The run is then suspended, and its page
            has a form to attach or reject the set.
        strict: Whether a set is rejected if the poles of a trait cannot be separated. Otherwise that is a warning.
        per_pole: How many samples for each pole of each trait, in place of the effort's number.
        refresh: Replace sets that were made for an older definition of the model. They count as gone, and are detached
            when the new set is attached. The run makes only the samples that the present definition is short of.
        batch: Whether calls go to the provider in a file. It answers within a day, at about half the price. first: the
            calls of the first round; missing samples are then requested directly. all: further rounds and votes too, a
            day each. The run is suspended until the answer comes, and then resumes by itself.
    """
    # The parameters are the fields of a request.
    parameters: dict[str, Any] = dict(locals())
    ignore_closed_output()
    await release_events(get_run_logger())
    # Prefect takes the state, and gives its result or error to the caller.
    return cast(RunResult, await end_in_state(handle, _run(parameters, find_shared())))


async def _run(parameters: Mapping[str, Any], shared: RunResources | None) -> RunResult:
    """Run the work of a flow run. The runs of a backfill in one process use the ``shared`` resources."""
    request = RunRequest(**parameters)
    if request.review and (ended := await resume_review(request.handle, request.synth_type)):
        return ended
    # Nobody resumes a run without a deployment, except its backfill: so a run alone waits in this process.
    wait_in_process, result = shared is None and deployment.get_id() is None, None
    while result is None:
        try:
            result = await _work(request, shared, wait_in_process)
        except Pause as paused:
            await suspend(str(paused), is_child=shared is not None)
            wait_in_process = True
    if result.status == "proposed":
        return await resume_review(request.handle, request.synth_type) or result
    return result


async def _work(request: RunRequest, shared: RunResources | None, wait_in_process: bool) -> RunResult:
    """Make the samples of a model while the run holds the model's lease.

    Args:
        wait_in_process: wait for a batch in this process.

    Raises:
        prefect.exceptions.Pause: the run must be suspended until a batch is answered.
    """
    async with (
        sending_heartbeats(),
        observe_run(request.handle, request.synth_type, request.effort),
        nullcontext(shared) if shared else open_run_resources(read_settings(), get_run_logger()) as resources,
        resources.hold_lease(request.handle) as lease,
    ):
        while True:
            batching = await open_batching(resources.settings, request)
            async with resources.publish_progress() as progress:
                batching.progress = progress
                try:
                    return await make_samples(request, lease, progress, resources, batching)
                except BatchAwaited:
                    await wait_for_batch(batching, progress, wait_in_process)


async def make_samples(
    request: RunRequest, lease: Lease, progress: Progress, resources: RunResources, batching: Batching
) -> RunResult:
    """Run all steps, from the request to the stored set, of a run that holds its model's lease."""
    settings, call, run_in_worker = resources.settings, resources.call, resources.run_in_worker
    if done := find_finished(settings, request.handle, request.synth_type, get_run_id()):
        get_run_logger().info("This run has attached its set before: %s. Nothing is asked again", done.folder)
        finish_replacing(done)
        return read_result(done)
    job = batching.job = batching.job or await load_job(request, resources)
    if job.is_complete:
        await lease.confirm()
        return find_complete(settings, job)
    add_log_context(effort=job.level.effort)
    stamp, embedder = make_stamp(job), SentenceEncoder()
    async with resources.open_models(job.level, progress) as models:
        state = await call(plan, settings, job, models.gateway, embedder, run_in_worker)
        await batching.take_over(state.plan.plan_id, resources.client)
        expected = await estimate(settings, state.plan, models, progress)
        own_rules = make_own_rules(state.plan, run_in_worker)
        tools = await make_tools(state, models, embedder, own_rules, progress, run_in_worker)
        if request.batch == "all" and models.voting_judge:
            models.voting_judge.ask_ahead = batching.queue_votes
        queue_cells = partial(batching.queue_cells, gateway=models.gateway)
        state = await run_as_tasks(state, tools, expected, resources, queue_cells)
    # If other sets were attached since the check, ``write`` returns the ids of their runs: check again.
    stored: StoredSet | tuple[str, ...] = ()
    replaces = job.model.existing.replaces
    while not isinstance(stored, StoredSet):
        # Other runs and people may have added samples since the job was loaded.
        existing = read_existing(settings.samples_uri, job.model.handle, settings.reviews_teach, replaces)
        verdict = await call(check, state, stamp, existing, embedder, run_in_worker, request.review, request.strict)
        recheck_against_new_sets(job, verdict, stored, settings)
        await lease.confirm()
        stored = call(write, settings, state, stamp, verdict, models.gateway, embedder)
    await batching.finish()
    emit_written(stored)
    finish_replacing(stored)
    await report(state, verdict, stored, expected, models.gateway.budget, settings.api_url)
    return conclude(state, stamp, verdict, stored)


async def load_job(request: RunRequest, resources: RunResources) -> Job:
    """Return the job of a request, after a check that the gate can run the author's suites.

    Raises:
        DefinitionError: the gate cannot run a suite. ModelBusyError: this run is to propose, and a proposal waits.
    """
    job = resources.call(load, resources.settings, request)
    if request.review:
        ensure_single_proposal(resources.settings, request.handle, get_run_id())
    if job.model.own_suites and not job.is_complete:
        await resources.run_in_worker(partial(check_own_suites, job.model.own_suites))
    return job


if __name__ == "__main__":
    import sys

    from flows.cli.app import main

    sys.exit(main(["synthesize", *sys.argv[1:]]))
