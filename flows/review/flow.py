"""The flow ``review``: it attaches the remaining samples of a proposal, or rejects it, as a person decided."""

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
from engine.review.apply import PersonReview, add_decisions, apply_review, measure_kept
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
    """Attach or reject a set that a run has proposed; the set keeps that run's id.

    Args:
        run_id: The run that proposed the set.
        decision: Attach the remaining samples, or reject the whole set.
        leave_out: The ids of samples to leave out. The report shows the ids.
        other_pole: The ids of samples that read as the other pole.
        why: The reason, kept with the set.
        fill: Whether to start a run afterwards that fills the model up to the effort's number.
        who: Your name, kept with the set.
    """
    ignore_closed_output()
    decided = PersonReview(decision == "attach", tuple(leave_out or ()), tuple(other_pole or ()), why, fill, who)

    async def end() -> RunResult:
        return await end_proposal(find_reviewable(read_settings(), run_id), decided)

    return await end_in_state(run_id, end(), is_reviewer=True)


async def resume_review(handle: str, synth_type: SynthType) -> RunResult | None:
    """Begin or resume the review of this flow run; None if the run has not proposed a set yet.

    A suspended run occupies no process until a person decides. If Prefect does not suspend the run, its set still waits
    and is returned unchanged.

    Raises:
        as ``end_proposal``; prefect.exceptions.Pause: nobody has decided, and the run is suspended.
    """
    settings, run_id = read_settings(), str(flow_run.get_id())
    stored = find_run_set(settings, handle, synth_type, run_id)
    if stored is None or "review" not in stored.manifest or stored.status == "detached":
        return None
    if stored.status == "proposed":
        review = await ask_person(settings, stored)
        return read_result(stored) if review is None else await end_proposal(stored, review)
    # The run was killed after its review had ended.
    finish_replacing(stored)
    if stored.manifest["review"].get("fill"):
        await start_filling(stored)
    return read_result(stored)


async def end_proposal(proposal: StoredSet, review: PersonReview) -> RunResult:
    """End a proposal by a person's decision, once no other run works on its model.

    Raises:
        GateError: the remaining samples fail together with the samples attached now; the proposal still waits.
        InputError, StoreError: as ``apply_review`` and ``attach_proposal``. ModelBusyError: it no longer waits.
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
            message = f"{capitalise(result.headline)}, by run {flow_run.get_id()}"
            state: State[None] = Completed(message=message) if review.attach else Cancelled(message=message)
            end_suspended(resources.client, proposal.run_id, state)
    # The page of this flow run and of the proposing run both show the result.
    card = f"{capitalise(result.headline)}\n\n{escape(describe_review(ended.manifest))}"
    page = write_ended_page(ended, result, resources.settings.api_url)
    for run_id in {str(flow_run.get_id()), ended.run_id}:
        await show_page(run_id, "verdict", page, card)
    if review.fill and review.attach:
        await start_filling(proposal)
    return result


async def start_filling(proposal: StoredSet) -> None:
    """Start a run that fills up the model, at most one for each proposal, if a deployment for it exists."""
    params = ask_for_rest(proposal.manifest)
    options: dict[str, Any] = {"timeout": 0, "as_subflow": False, "idempotency_key": f"fill-{proposal.run_id}"}
    try:
        run = await arun_deployment(FILLING, parameters=params, **options)
        get_run_logger().info("Run %s fills up what was left out", run.id)
    except (ObjectNotFound, httpx.HTTPError) as error:
        message = f"No run was started that fills up ({error or type(error).__name__})"
        get_run_logger().warning("%s: %s", message, write_filling_command(proposal.manifest))


async def _attach(proposal: StoredSet, review: PersonReview, lease: Lease, resources: RunResources) -> StoredSet:
    """Attach the remaining samples; check again if sets or decisions were added since the check."""
    pool, logger = choose_pool(proposal.manifest["synth_type"]), get_run_logger()
    while True:
        decisions = read_decisions(proposal)
        whole = add_decisions(review, proposal, decisions)
        remaining, refused = apply_review(proposal, whole)
        rows, corrected = apply_corrections(proposal, remaining, decisions)
        verdict = await _check(proposal, rows, [entry["was"] for entry in corrected.get("corrected", ())], resources)
        await lease.confirm()
        newer: list[str] = []
        checked_against = (*verdict.checked_against, *proposal.manifest.get("replaces", ()))
        may_enter = make_entry_check(resources.settings, proposal.handle, pool, rows, checked_against, newer)
        entry = {**whole.to_entry(), "refused": refused, **corrected}
        ended = attach_proposal(proposal, rows, entry, verdict.checked_against, decisions, may_enter)
        if ended is not None:
            for warning in verdict.warnings:
                logger.warning("%s", warning)
            return ended
        change = f"A set of run {join_words(newer)} was added" if newer else "A decision was added"
        logger.warning("%s since the check: the gate checks again", change)


async def _check(proposal: StoredSet, rows: Sequence[Row], old_ids: Sequence[int], resources: RunResources) -> Verdict:
    """Return the gate's verdict on the remaining and the stored samples; corrected texts had the ``old_ids``.

    Raises:
        GateError: the gate does not pass.
    """
    settings, handle = resources.settings, proposal.handle
    model = load_new_sets(settings, proposal)
    model = replace(model, own_suites=read_own_suites(settings, handle))
    if model.own_suites:
        await resources.run_in_worker(partial(check_own_suites, model.own_suites))
    check = partial(check_candidates, model, rows, proposal.manifest["synth_type"], proposal.run_id)
    verdict: Verdict = await resources.run_in_worker(check)
    if not verdict.success:
        details = "\n".join(f"  {line}" for line in verdict.failed)
        first = shorten(verdict.failed[0], QUOTED_CHARS).rstrip(".")
        ids = ", ".join(map(str, old_ids))
        advice = f". Corrected texts count too: correct again or leave out what breaks a rule of {ids}" if ids else ""
        raise GateError(f"{handle}: {first}. The proposal still waits, with all decisions{advice}\n{details}")
    return replace(verdict, findings=(*verdict.findings, *warn_of_older(proposal, model)))


def check_candidates(model: Model, rows: Sequence[Row], synth_type: SynthType, run_id: str) -> Verdict:
    """Run the gate on the remaining samples; another process can call this function."""
    counts = count_poles(rows)
    return check_model(
        rows,
        model,
        synth_type,
        quotas={trait.key: counts.get(trait.key, dict.fromkeys(POLES, 0)) for trait in model.traits},
        run_id=run_id,
        diversity=measure_kept(model, rows, SentenceEncoder()),
    )
