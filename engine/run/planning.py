"""Plan a run, with scenarios that the synth model proposes."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import chain

from engine.asking.cells import propose_scenarios
from engine.asking.plan import Plan
from engine.asking.scenarios import NO_PROPOSAL, Proposal
from engine.axis.reference_axis import ReferenceAxis, fit_reference_axes
from engine.choosing.run_state import RunState, begin_state
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.domain.model import POLES
from engine.llm.gateway.model_gateway import ModelGateway
from engine.run.job import Job, plan_with, prepare_scenarios
from engine.screening.screener import mask_numbers
from engine.system.concurrency import both_or_neither
from engine.system.worker_process import Executor, run_here
from engine.text.embedding import Embedder


async def begin_run(
    job: Job,
    seed: int,
    gateway: ModelGateway,
    embedder: Embedder,
    run_in_worker: Executor = run_here,
) -> RunState:
    """Return the state of a job's run before its first round. The synth model's reply with proposed scenarios is kept.

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
    return begin_state(replace(plan, axes=axes), gateway.endpoint.style == "plain", draft.plan_id)


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
