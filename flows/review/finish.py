"""Ends a proposal by a person's word: what stands is checked and attached, or all of it is rejected."""

from contextlib import suppress
from dataclasses import replace
from functools import partial
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run

from engine.definitions.loader import load_model
from engine.definitions.own_suites import read_own_suites
from engine.domain.model import POLES, Model, SynthType
from engine.domain.samples import SAMPLE_SCHEMA
from engine.errors import GateError, ModelBusyError
from engine.planning.held_out import choose_pool
from engine.planning.repeated_seeds import settle_seeds
from engine.quality.verdict import Verdict
from engine.report.summary import RunResult
from engine.review.word import PersonReview, Settled, add_decisions, measure_standing, settle
from engine.run.entering import make_entry_check
from engine.run.job import read_pools, read_result
from engine.settings import read_settings
from engine.store.decisions import closing_decisions, read_decision_file
from engine.store.proposals import attach_proposal, reject_proposal
from engine.store.store import StoredSet
from engine.text.embedding import SentenceEncoder
from engine.text.formatting import capitalise, join_words
from expectations.checking import check_model
from flows.observability.run_outcome import observe_run
from flows.review.waiting import ask_person, check_waiting, find_ended, find_proposal
from flows.runs.expiry import end_suspended
from flows.runs.heartbeat import sending_heartbeats
from flows.runs.lease import Lease
from flows.runs.set_events import emit_written
from flows.runtime.resources import RunResources, open_run_resources

FILLING = "synthesize/on-demand"


async def resume_review(handle: str, synth_type: SynthType) -> RunResult | None:
    """Goes on with the review of this flow run; None where it has proposed nothing yet.

    Raises:
        as ``end_proposal``; prefect.exceptions.Pause: nobody has spoken, and the run is suspended.
    """
    settings, run_id = read_settings(), str(flow_run.get_id())
    proposal = find_proposal(settings, handle, synth_type, run_id)
    if proposal is None:
        return find_ended(settings, handle, synth_type, run_id)
    word = await ask_person(settings, proposal)
    return read_result(proposal) if word is None else await end_proposal(proposal, word)


async def wait_for_person(handle: str, synth_type: SynthType) -> None:
    """Suspends this flow run, where Prefect suspends it: nothing of it holds a process until a person has spoken."""
    if proposal := find_proposal(read_settings(), handle, synth_type, str(flow_run.get_id())):
        await ask_person(read_settings(), proposal)


async def end_proposal(proposal: StoredSet, word: PersonReview) -> RunResult:
    """Ends a proposal by a person's word, once no other run works on its model.

    Raises:
        as ``finish_review``.
    """
    manifest = proposal.manifest
    async with (
        sending_heartbeats(),
        observe_run(proposal.handle, manifest["synth_type"], manifest["effort"]),
        open_run_resources(read_settings(), get_run_logger()) as resources,
        resources.pruning_replies(),
        resources.hold_lease(proposal.handle, waits=True) as lease,
    ):
        result = await finish_review(proposal, word, lease, resources)
        # The proposal's own run may be suspended still, where Prefect has no form for it.
        if proposal.run_id != str(flow_run.get_id()):
            with suppress(ObjectNotFound, httpx.HTTPError, ValueError):
                end_suspended(resources.client, UUID(proposal.run_id), f"{capitalise(result.headline)}, by another run")
    if word.fill and word.attach:
        await start_filling(proposal)
    return result


async def finish_review(proposal: StoredSet, word: PersonReview, lease: Lease, resources: RunResources) -> RunResult:
    """The end of a proposal, by a run that holds its model's lease and has a person's word on it.

    Raises:
        GateError: what stands does not pass beside what is attached by now; the proposal still waits.
        InputError, StoreError: as ``settle`` and ``attach_proposal``. ModelBusyError: it does not wait any more.
    """
    check_waiting(proposal)
    with closing_decisions(proposal):
        decisions = read_decision_file(proposal)
        if not word.attach:
            ended = reject_proposal(proposal, word.why, True, decisions)
        else:
            word = add_decisions(word, proposal)
            settled = settle(proposal, word)
            verdict = await _check(proposal, settled, resources)
            await lease.confirm()
            rows, newer = settled.standing, list[str]()
            pool = choose_pool(proposal.manifest["synth_type"])
            may_enter = make_entry_check(resources.settings, proposal.handle, pool, rows, verdict.beside, newer)
            entry = word.to_entry()
            ended = attach_proposal(proposal, rows, settled.left_out, entry, decisions, may_enter)
            if newer:
                raise ModelBusyError(
                    f"{proposal.handle}: a set of run {join_words(newer)} came in while this one was checked. The "
                    "proposal still waits, with all decisions. Give your word again",
                    newer[0],
                )
    emit_written(ended)
    return read_result(ended)


async def start_filling(proposal: StoredSet) -> None:
    """Starts a run that makes other samples in the places of those that were left out, where there is a deployment."""
    manifest = proposal.manifest
    asked = {"handle": proposal.handle, "synth_type": manifest["synth_type"], "effort": manifest["effort"]}
    try:
        run = await arun_deployment(FILLING, parameters={**asked, "only_lacking": True}, timeout=0, as_subflow=False)
        get_run_logger().info("Run %s fills up what was left out", run.id)
    except (ObjectNotFound, httpx.HTTPError) as error:
        again = f"exemplars synthesize {proposal.handle} --effort {manifest['effort']} --only-lacking"
        get_run_logger().warning("No run was started that fills up (%s): %s", error or type(error).__name__, again)


async def _check(proposal: StoredSet, settled: Settled, resources: RunResources) -> Verdict:
    """The gate's verdict over what stands, beside all that the store has by now.

    Raises:
        GateError: it does not pass.
    """
    settings, handle = resources.settings, proposal.handle
    model = settle_seeds(load_model(settings.locate(settings.models_uri), handle))
    model = read_pools(settings.locate(settings.samples_uri), model, settings.cache_place, settings.reviews_teach)
    model = replace(model, own_suites=read_own_suites(settings, handle))
    check = partial(check_standing, model, settled, proposal.manifest["synth_type"], proposal.run_id)
    verdict: Verdict = await resources.run_heavy(check)
    if not verdict.success:
        said = "\n".join(f"  {line}" for line in verdict.failed)
        raise GateError(f"{handle}: the gate rejects what stands. The proposal still waits, with all decisions\n{said}")
    return verdict


def check_standing(model: Model, settled: Settled, synth_type: SynthType, run_id: str) -> Verdict:
    """Runs the gate over what stands; a function that another process can call."""
    return check_model(
        settled.standing,
        model,
        synth_type,
        traits=[trait.key for trait in model.traits],
        wanted={trait.key: settled.counts.get(trait.key, dict.fromkeys(POLES, 0)) for trait in model.traits},
        run_id=run_id,
        columns=SAMPLE_SCHEMA.names,
        variety=measure_standing(model, settled.standing, SentenceEncoder()),
        beside=model.stored_runs,
        own_suites=model.own_suites,
    )
