"""The flow ``review``: by a person's decision, what stands of a proposal is attached, or all of it is rejected."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import httpx
from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed

from engine.asking.held_out import choose_pool
from engine.definitions.own_suites import read_own_suites
from engine.domain.model import POLES, Model, SynthType
from engine.domain.samples import Row
from engine.domain.verdict import RunResult, Verdict
from engine.errors import GateError
from engine.report.run_page import escape
from engine.review.apply import PersonReview, add_decisions, measure_kept, settle
from engine.review.correct import apply_corrections
from engine.review.page import describe_review, write_ended_page
from engine.run.outcome import find_run_set, make_entry_check, read_result
from engine.settings import read_settings
from engine.store.proposals import attach_proposal, read_decisions, reject_proposal
from engine.store.sample_set import count_poles, write_filling_command
from engine.store.store import StoredSet
from engine.system.concurrency import add_log_context
from engine.text.embedding import SentenceEncoder
from engine.text.formatting import capitalise, join_words, shorten
from expectations.gate import check_model
from expectations.own_suites import check_own_suites
from flows.observability.logs import ignore_closed_output
from flows.review.waiting import (
    ask_for_rest,
    ask_person,
    check_waiting,
    end_suspended,
    find_reviewable,
    load_new_sets,
    warn_of_older,
)
from flows.run.lease.lease import Lease
from flows.run.outcome import QUOTED_CHARS, end_in_state, finish_replacing, observe_run
from flows.run.page.artifacts import show_page
from flows.run.resources import RunResources, open_run_resources
from flows.run.run_events import sending_heartbeats
from flows.run.set_events import emit_written

FILLING = "synthesize/on-demand"


@flow(name="review", flow_run_name="{decision} {run_id}", validate_parameters=False)
async def review(
    run_id: str,
    decision: Literal["attach", "reject"],
    leave_out: list[int] | None = None,
    other_pole: list[int] | None = None,
    why: str = "",
    fill: bool = False,
    who: str = "",
) -> RunResult | State[Any]:
    """Attaches or rejects a set that a run has proposed; the set keeps that run's id.

    Args:
        run_id: The run that proposed the set.
        decision: Attach what stands, or reject all of it.
        leave_out: The ids of samples to leave out. The report shows the ids.
        other_pole: The ids of samples that read as the other pole.
        why: The reason, kept with the set.
        fill: Whether a run is started that then fills the model up to the effort's number.
        who: Your name, kept with the set.
    """
    ignore_closed_output()
    decided = PersonReview(decision == "attach", tuple(leave_out or ()), tuple(other_pole or ()), why, fill, who)

    async def end() -> RunResult:
        return await end_proposal(find_reviewable(read_settings(), run_id), decided)

    return await end_in_state(run_id, end(), is_reviewer=True)


async def resume_review(handle: str, synth_type: SynthType) -> RunResult | None:
    """Begins the review of this flow run, or goes on with it; None where it has proposed nothing yet.

    Nothing of a run that is suspended holds a process until a person has spoken. Where Prefect does not suspend it, its
    set waits all the same, and is returned as it is.

    Raises:
        as ``end_proposal``; prefect.exceptions.Pause: nobody has spoken, and the run is suspended.
    """
    settings, run_id = read_settings(), str(flow_run.get_id())
    stored = find_run_set(settings, handle, synth_type, run_id)
    if stored is None or "review" not in stored.manifest or stored.status == "detached":
        return None
    if stored.status == "proposed":
        review = await ask_person(settings, stored)
        return read_result(stored) if review is None else await end_proposal(stored, review)
    # It was killed after its review had ended.
    finish_replacing(stored)
    if stored.manifest["review"].get("fill"):
        await start_filling(stored)
    return read_result(stored)


async def end_proposal(proposal: StoredSet, review: PersonReview) -> RunResult:
    """Ends a proposal by a person's decision, once no other run works on its model.

    Raises:
        GateError: what stands does not pass beside what is attached by now; the proposal still waits.
        InputError, StoreError: as ``settle`` and ``attach_proposal``. ModelBusyError: it does not wait any more.
    """
    manifest = proposal.manifest
    async with (
        sending_heartbeats(),
        observe_run(proposal.handle, manifest["synth_type"], manifest["effort"]),
        open_run_resources(read_settings(), get_run_logger()) as resources,
        resources.hold_lease(proposal.handle, waits=True) as lease,
    ):
        check_waiting(proposal)
        review = replace(review, who=review.who or f"run {flow_run.get_id()}")
        if review.attach:
            ended = await _attach(proposal, review, lease, resources)
        else:
            ended = reject_proposal(proposal, review.why, True, review.who)
        emit_written(ended)
        finish_replacing(ended)
        add_log_context(outcome=ended.status)
        result = read_result(ended)
        # The proposal's own run is suspended, unless Prefect could not suspend it.
        if proposal.run_id != str(flow_run.get_id()):
            said = f"{capitalise(result.headline)}, by run {flow_run.get_id()}"
            state: State[None] = Completed(message=said) if review.attach else Cancelled(message=said)
            end_suspended(resources.client, proposal.run_id, state)
    # What came of it stands on the page of this flow run, and of the one that proposed it.
    card = f"{capitalise(result.headline)}\n\n{escape(describe_review(ended.manifest))}"
    page = write_ended_page(ended, result, resources.settings.api_url)
    for run_id in {str(flow_run.get_id()), ended.run_id}:
        await show_page(run_id, "verdict", page, card)
    if review.fill and review.attach:
        await start_filling(proposal)
    return result


async def start_filling(proposal: StoredSet) -> None:
    """Starts a run that fills up the model, one for each proposal, where there is a deployment for it."""
    asked = ask_for_rest(proposal.manifest)
    options: dict[str, Any] = {"timeout": 0, "as_subflow": False, "idempotency_key": f"fill-{proposal.run_id}"}
    try:
        run = await arun_deployment(FILLING, parameters=asked, **options)
        get_run_logger().info("Run %s fills up what was left out", run.id)
    except (ObjectNotFound, httpx.HTTPError) as error:
        said = f"No run was started that fills up ({error or type(error).__name__})"
        get_run_logger().warning("%s: %s", said, write_filling_command(proposal.manifest))


async def _attach(proposal: StoredSet, review: PersonReview, lease: Lease, resources: RunResources) -> StoredSet:
    """Attaches what stands; checked again where sets came in since the check, or more was decided."""
    pool, logger = choose_pool(proposal.manifest["synth_type"]), get_run_logger()
    while True:
        decisions = read_decisions(proposal)
        whole = add_decisions(review, proposal, decisions)
        standing, refused = settle(proposal, whole)
        rows, corrected = apply_corrections(proposal, standing, decisions)
        verdict = await _check(proposal, rows, [entry["was"] for entry in corrected.get("corrected", ())], resources)
        await lease.confirm()
        newer: list[str] = []
        beside = (*verdict.checked_against, *proposal.manifest.get("replaces", ()))
        may_enter = make_entry_check(resources.settings, proposal.handle, pool, rows, beside, newer)
        entry = {**whole.to_entry(), "refused": refused, **corrected}
        ended = attach_proposal(proposal, rows, entry, verdict.checked_against, decisions, may_enter)
        if ended is not None:
            for warning in verdict.warnings:
                logger.warning("%s", warning)
            return ended
        came = f"A set of run {join_words(newer)} came in" if newer else "More was decided"
        logger.warning("%s since: the gate checks again", came)


async def _check(proposal: StoredSet, rows: Sequence[Row], were: Sequence[int], resources: RunResources) -> Verdict:
    """The gate's verdict over what stands, beside all that the store has by now; corrected texts ``were`` these ids.

    Raises:
        GateError: it does not pass.
    """
    settings, handle = resources.settings, proposal.handle
    model = load_new_sets(settings, proposal)
    model = replace(model, own_suites=read_own_suites(settings, handle))
    if model.own_suites:
        await resources.run_in_worker(partial(check_own_suites, model.own_suites))
    check = partial(check_candidates, model, rows, proposal.manifest["synth_type"], proposal.run_id)
    verdict: Verdict = await resources.run_in_worker(check)
    if not verdict.success:
        said = "\n".join(f"  {line}" for line in verdict.failed)
        first = shorten(verdict.failed[0], QUOTED_CHARS).rstrip(".")
        ids = ", ".join(map(str, were))
        mended = f". Corrected texts count too: correct again or leave out what breaks a rule of {ids}" if ids else ""
        raise GateError(f"{handle}: {first}. The proposal still waits, with all decisions{mended}\n{said}")
    return replace(verdict, warnings=(*verdict.warnings, *warn_of_older(proposal, model)))


def check_candidates(model: Model, rows: Sequence[Row], synth_type: SynthType, run_id: str) -> Verdict:
    """Runs the gate over what stands; a function that another process can call."""
    counts = count_poles(rows)
    return check_model(
        rows,
        model,
        synth_type,
        wanted={trait.key: counts.get(trait.key, dict.fromkeys(POLES, 0)) for trait in model.traits},
        run_id=run_id,
        variety=measure_kept(model, rows, SentenceEncoder()),
    )
