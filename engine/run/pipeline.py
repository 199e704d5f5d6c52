"""The pipeline of the rounds: tasks call its steps one by one, tests and benchmarks call all of them."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import chain

from engine.asking.cells import propose_scenarios
from engine.asking.plan import Plan
from engine.asking.scenarios import NO_PROPOSAL, Proposal
from engine.axis.reference_axis import ReferenceAxis, fit_reference_axes
from engine.choosing.rounds import Rounds
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.domain.model import POLES
from engine.domain.progress import CallsPlanned, Progress
from engine.domain.samples import Exemplar
from engine.llm.gateway.model_gateway import ModelGateway
from engine.run.job import Job, plan_with, prepare_scenarios
from engine.screening.in_context_judge import MIN_AUC, InContextJudge
from engine.screening.own_rules import OwnRules
from engine.screening.screener import Screener, mask_numbers
from engine.screening.voting_judge import VotingJudge
from engine.system.concurrency import both_or_neither
from engine.system.worker_process import Executor, run_here
from engine.text.embedding import Embedder


async def begin_rounds(
    job: Job,
    seed: int,
    gateway: ModelGateway,
    embedder: Embedder,
    run_in_worker: Executor = run_here,
) -> Rounds:
    """Return the rounds of a job, not yet begun. The synth model's reply with proposed scenarios is kept.

    Raises:
        ProviderError, BudgetError, StoreError: as ``ModelGateway.complete``.
    """
    draft = await _make_plan(job, seed, NO_PROPOSAL, run_in_worker)
    async with gateway.record_replies(draft.plan_id, draft.model.handle):
        # The axes do not depend on the proposal, so they are fitted while that one call is in flight.
        fitting = _fit_axes(draft, embedder, run_in_worker)
        proposed, axes = await both_or_neither(propose_scenarios(draft, gateway), fitting)
    # Without a proposal the plan is the draft: planning again would place all subjects once more.
    plan = draft if proposed == NO_PROPOSAL else await _make_plan(job, seed, proposed, run_in_worker)
    plan = replace(plan, axes=axes)
    plain = gateway.endpoint.style == "plain"
    # On a thread, like planning: both take seconds with a hundred thousand seeds, and the loop serves other runs.
    screener = await asyncio.to_thread(Screener, plan, use_lengths=not plain)
    rounds = Rounds(plan, screener, embedder, only_clear=plain)
    rounds.subjects_plan_id = draft.plan_id
    return rounds


async def judge_round(
    rounds: Rounds,
    exemplars: list[Exemplar],
    gateway: ModelGateway,
    voting_judge: VotingJudge | None,
    progress: Progress,
    own_rules: OwnRules,
) -> list[Exemplar]:
    """Return a round's examined exemplars after four steps: comparison, the author's rules, the chat judge's votes, and
    the in-context judge where it can be trusted.

    The first round measures the in-context judge on the seeds.
    """
    plan = rounds.plan
    ruled = await own_rules(rounds.screener.compare(exemplars))
    rounds.own_tally.add("own_rule", ruled)
    screened = await voting_judge.judge(plan, ruled, progress) if voting_judge else ruled
    rounds.own_tally.add("own_question", screened)
    rounds.sense_trial = voting_judge.trial if voting_judge else None
    in_context_judge = InContextJudge(plan, gateway)
    if rounds.round_no == 1:
        rounds.judge_aucs = await in_context_judge.measure_aucs(progress)
    trusted = {trait for trait, auc in rounds.judge_aucs.items() if auc >= MIN_AUC}
    calls = sum(exemplar.is_accepted and exemplar.trait in trusted for exemplar in screened)
    progress.report(CallsPlanned(calls, judges=True))
    return await in_context_judge.judge(screened, trusted)


async def _make_plan(job: Job, seed: int, proposed: Proposal, run_in_worker: Executor) -> Plan:
    choose = await asyncio.to_thread(prepare_scenarios, job, load_packs(SCENARIOS_FOLDER), proposed)
    return await asyncio.to_thread(plan_with, job, await run_in_worker(choose), seed)


async def _fit_axes(draft: Plan, embedder: Embedder, run_in_worker: Executor) -> Mapping[str, ReferenceAxis]:
    """Return each trait's axis between its poles; none if the encoder does not support the language."""
    if not draft.language.encoder_supports_language:
        return {}
    # Embedded here in one batch: the axes need these vectors, and the report reuses them.
    texts = [seed.text for place in draft.model.poles for seed in draft.model.examples_at(*place)]
    named = [(trait.name, trait.label(pole), *trait.paraphrase(pole)) for trait in draft.model.traits for pole in POLES]
    await embedder.embed_ahead([*texts, *map(mask_numbers, texts), *chain.from_iterable(named)], run_in_worker)
    return await run_in_worker(partial(fit_reference_axes, draft.model.without_stored(), embedder))
