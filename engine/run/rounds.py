"""Request, screen and choose exemplars, round by round. Each step is a function of the state before it."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

from engine.asking.cells import generate_cell
from engine.asking.plan import Cell, Plan, Shortfall, plan_round
from engine.asking.seed_variations import count_seed_uses
from engine.choosing.choice import keep_earlier_choice
from engine.choosing.recheck import Decision, decide, make_hints
from engine.choosing.run_state import RunState
from engine.domain.definition import Pole
from engine.domain.model import DEFINED_BY_WORDS, POLES, Existing
from engine.domain.progress import CallsPlanned, CandidatesCounted, KeptCounted, LastCall, Progress, StageBegun
from engine.domain.samples import Exemplar
from engine.domain.unlabelled_texts import OwnTexts
from engine.errors import BudgetError
from engine.estimate.estimate import Estimate, explain_budget
from engine.llm.client.request import Prompt
from engine.run.gateways import LanguageModels
from engine.screening.in_context_judge import MIN_AUC, InContextJudge
from engine.screening.own_rules import OwnRules
from engine.screening.screener import Screener, mask_numbers, reject_same_meanings
from engine.store.index.samples import as_stored
from engine.system.concurrency import InTurn, gather_or_cancel
from engine.system.worker_process import Executor, run_here
from engine.text.embedding import Embedder
from engine.text.formatting import count_noun

LOGGER = logging.getLogger("exemplars.rounds")
# The number of cells whose exemplars are checked and embedded together.
BLOCK = 50
# The share of the quota that one round may replace. Without this limit, a word in most texts of a pole would make a
# round request the whole quota again.
MAX_REPLACED = 0.25
# With this many, the choice takes at least .15 s, twice the time to send it to another process (two cores).
MANY_EXEMPLARS = 2_000


@dataclass(frozen=True, slots=True)
class RunTools:
    """The tools of a run's steps, the same in all rounds.

    Args:
        own_rules: applies the rules of the model's author.
        run_in_worker: runs work on the processor, in this process or another.
    """

    models: LanguageModels
    screener: Screener
    embedder: Embedder
    own_rules: OwnRules
    progress: Progress
    run_in_worker: Executor = run_here


@dataclass(frozen=True, slots=True)
class Generated:
    """The exemplars of a round's cells, in cell order and checked by the rules, with their prompts by digest."""

    exemplars: tuple[Exemplar, ...]
    prompts: dict[str, Prompt]


Generate = Callable[[RunState, Sequence[Cell], RunTools], Awaitable[Generated]]
Screen = Callable[[RunState, Generated, RunTools], Awaitable[RunState]]
BeforeRound = Callable[[Plan, Sequence[Cell]], Awaitable[None]]


async def generate_cells(
    state: RunState, cells: Sequence[Cell], tools: RunTools, in_turn: InTurn | None = None, first_block: int = 0
) -> Generated:
    """Return the exemplars of cells, checked by the rules; the gateway limits the calls in flight.

    Args:
        in_turn: keeps blocks in the order of the plan while they are embedded, if several callers share a round.
        first_block: the number of the first block in the round.

    Raises:
        ProviderError, BudgetError, StoreError: as ``generate_cell``.
    """
    in_turn, prompts = in_turn or InTurn(), dict[str, Prompt]()

    async def generate_block(number: int, block: Sequence[Cell]) -> list[Exemplar]:
        calls = (generate_cell(state.plan, cell, tools.models.gateway, prompts) for cell in block)
        received = [exemplar for cell in await gather_or_cancel(calls) for exemplar in cell]
        exemplars = await tools.run_in_worker(partial(tools.screener.apply_rules, received))
        accepted = Counter((item.trait, item.pole) for item in exemplars if item.is_accepted)
        tools.progress.report(CandidatesCounted(accepted))
        # Runs while other blocks wait for replies; in turn, because a vector's last digit depends on its batch.
        async with in_turn.turn(number):
            await embed_exemplars(state.plan, exemplars, tools.embedder, tools.run_in_worker)
        return exemplars

    blocks = (cells[start : start + BLOCK] for start in range(0, len(cells), BLOCK))
    results = await gather_or_cancel(generate_block(number, block) for number, block in enumerate(blocks, first_block))
    return Generated(tuple(exemplar for result in results for exemplar in result), prompts)


async def screen_round(state: RunState, generated: Generated, tools: RunTools) -> RunState:
    """Return the state after a round: its exemplars are judged, and the choice is made again.

    Raises:
        ProviderError, BudgetError, StoreError: as ``VotingJudge.judge``.
    """
    state = replace(state, prompts={**state.prompts, **generated.prompts})
    state, judged = await judge_round(state, generated.exemplars, tools)
    state, choose = add_exemplars(state, judged, tools.embedder)
    is_heavy = len(state.exemplars) >= MANY_EXEMPLARS
    return adopt_decision(state, await tools.run_in_worker(choose) if is_heavy else choose())


async def run_rounds(
    state: RunState,
    tools: RunTools,
    expected: Estimate | None = None,
    generate: Generate = generate_cells,
    screen: Screen = screen_round,
    before_round: BeforeRound | None = None,
) -> RunState:
    """Run rounds until the quotas are met or no round is left; return the state after the last one.

    Args:
        expected: the estimate, to explain a run that reaches its limit on cost.
        generate, screen: the steps, as plain functions or as tasks.
        before_round: receives the cells of each round before they are requested. It ends the run by raising.

    Raises:
        BudgetError: the limit on cost is reached, and the quotas are not met.
        ProviderError, StoreError: as ``generate_cells`` and ``screen_round``.
    """
    (gateway, judge), progress = (tools.models.gateway, tools.models.voting_judge), tools.progress
    progress.report(KeptCounted(state.count_kept(), state.plan.quotas))
    place = state.plan.plan_id, state.plan.model.handle
    keeping_votes = judge.gateway.record_replies(*place) if judge else nullcontext()
    async with gateway.pin_replies(state.subjects_plan_id), gateway.record_replies(*place), keeping_votes:
        while True:
            state, cells = plan_next_round(state)
            if not cells:
                break
            progress.report(StageBegun(f"Round {state.round_no}: {count_noun(len(cells), 'cell')}"))
            progress.report(CallsPlanned(len(cells)))
            if before_round is not None:
                await before_round(state.plan, cells)
            try:
                state = await screen(state, await generate(state, cells, tools), tools)
            except BudgetError as error:
                if state.choice.complete:
                    # More money would only have improved the set, so the run succeeds.
                    LOGGER.warning("%s", error)
                    break
                if expected is None:
                    raise
                kept, missing = len(state.choice.chosen), sum(state.choice.shortfall.values())
                raise explain_budget(error, expected, gateway.budget.spent_usd, kept, missing) from error
            progress.report(KeptCounted(state.count_kept(), state.plan.quotas))
    progress.report(LastCall())
    progress.report(StageBegun("Check"))
    return state


async def make_tools(
    state: RunState,
    models: LanguageModels,
    embedder: Embedder,
    own_rules: OwnRules,
    progress: Progress,
    run_in_worker: Executor = run_here,
) -> RunTools:
    """Return the tools of a run's rounds. Plain-text models do not hold to lengths, so theirs are not checked."""
    # On a thread: this takes seconds with a hundred thousand seeds, and the loop serves other runs.
    screener = await asyncio.to_thread(Screener, state.plan, use_lengths=not state.only_clear)
    return RunTools(models, screener, embedder, own_rules, progress, run_in_worker)


def plan_next_round(state: RunState) -> tuple[RunState, tuple[Cell, ...]]:
    """Plan the cells of the next round; none if the quotas are met, no rounds are left, or more is hopeless."""
    if state.round_no > state.plan.level.top_up_rounds or state.is_hopeless or state.hopeless_rule:
        return state, ()
    shortfall = state.plan.quotas if state.round_no == 0 else state.choice.shortfall
    shortfall, replacement_rounds = _pair_up(state, shortfall), state.replacement_rounds
    if not any(shortfall.values()) and replacement_rounds < state.plan.level.replacement_rounds:
        shortfall |= _count_replacements(state)
        replacement_rounds += 1
    state = replace(state, replacement_rounds=replacement_rounds)
    if not any(shortfall.values()):
        return state, ()
    cells = plan_round(
        state.plan,
        state.round_no + 1,
        shortfall,
        state.cells,
        kept=count_seed_uses(state.plan.model, state.choice.chosen),
        near_misses=not state.only_clear,
        hints=state.hints,
    )
    return replace(state, round_no=state.round_no + 1, cells=state.cells + cells), cells


async def embed_exemplars(
    plan: Plan, exemplars: Sequence[Exemplar], embedder: Embedder, run_in_worker: Executor
) -> None:
    """Embed all new texts, for the report; for accepted ones also their subjects and the texts without numbers."""
    if plan.language.encoder_supports_language:
        written = [item for item in exemplars if item.text]
        accepted = [item for item in written if item.is_accepted]
        masked = [mask_numbers(item.text or "") for item in accepted]
        described = [item for item in accepted if plan.model.trait(item.trait).type not in DEFINED_BY_WORDS]
        subjects = [item.scenario.subject for item in described]
        await embedder.embed_ahead([*(item.text or "" for item in written), *masked, *subjects], run_in_worker)


async def judge_round(
    state: RunState, exemplars: Sequence[Exemplar], tools: RunTools
) -> tuple[RunState, list[Exemplar]]:
    """Return a round's exemplars after five steps: comparison, the author's rules, the chat judge's votes, the
    in-context judge where it can be trusted, and the comparison of meanings.

    The first round measures the in-context judge on the seeds.
    """
    plan, voting_judge = state.plan, tools.models.voting_judge
    ruled = await tools.own_rules(tools.screener.compare(exemplars))
    screened = await voting_judge.judge(plan, ruled, tools.progress) if voting_judge else ruled
    in_context_judge = InContextJudge(plan, tools.models.gateway)
    aucs = await in_context_judge.measure_aucs(tools.progress) if state.round_no == 1 else state.judge_aucs
    trusted = {trait for trait, auc in aucs.items() if auc >= MIN_AUC}
    calls = sum(exemplar.is_accepted and exemplar.trait in trusted for exemplar in screened)
    tools.progress.report(CallsPlanned(calls, judges=True))
    judged = screen_meanings(state, await in_context_judge.judge(screened, trusted), tools.embedder)
    return replace(
        state,
        judge_aucs=aucs,
        sense_trial=voting_judge.trial if voting_judge else None,
        own_tally=state.own_tally.add("own_rule", ruled).add("own_question", screened),
    ), judged


def screen_meanings(state: RunState, exemplars: Sequence[Exemplar], embedder: Embedder) -> list[Exemplar]:
    """Reject exemplars of a round that repeat the meaning of a seed or an earlier exemplar."""
    if not state.plan.language.encoder_supports_language:
        return list(exemplars)
    return reject_same_meanings(state.plan.model, exemplars, state.exemplars, embedder)


def add_exemplars(
    state: RunState, exemplars: Sequence[Exemplar], embedder: Embedder
) -> tuple[RunState, partial[Decision]]:
    """Add a round's screened and judged exemplars; return also a function that chooses again, which can be pickled."""
    state = replace(state, exemplars=(*state.exemplars, *exemplars), rounds_screened=state.rounds_screened + 1)
    return state, partial(
        decide, _without_stored(state.plan), state.exemplars, state.judge_aucs, embedder, state.only_clear
    )


def adopt_decision(state: RunState, decision: Decision) -> RunState:
    """Adopt a choice that was made after ``add_exemplars``, unless an earlier one was complete and this one is not."""
    choice, recheck = decision.choice, decision.recheck
    if state.choice.complete and not choice.complete:
        # Pole scores depend on all accepted exemplars, so newer exemplars may make the margin of an earlier pair too
        # narrow.
        choice, recheck = keep_earlier_choice(state.choice, choice), state.recheck
    return replace(
        state,
        choice=choice,
        recheck=recheck,
        # Inseparable poles are measured on all accepted texts, so the newest measurement counts for both choices.
        inseparable=decision.inseparable,
        hints=make_hints(state.plan, choice, recheck, decision.pole_scores),
    )


def _count_replacements(state: RunState) -> dict[tuple[str, Pole], int]:
    """Return the number of chosen exemplars that the next round may replace, by trait key and pole."""
    counts = Counter(
        (exemplar.trait, pole)
        for exemplar in state.choice.chosen
        if exemplar.key in state.recheck.to_replace
        for pole in (POLES if state.only_clear else (exemplar.pole,))
    )
    # Planning multiplies by the round number, because exemplars that are still missing in a later round are hard to
    # get. Replacements are not, so they are divided by it.
    most = math.ceil(MAX_REPLACED * state.plan.max_quota)
    return {key: math.ceil(min(count, most) / (state.round_no + 1)) for key, count in counts.items()}


def _pair_up(state: RunState, shortfall: Shortfall) -> dict[tuple[str, Pole], int]:
    """Return the shortfall, made equal for both poles if only pairs are chosen and the quotas differ."""
    if not state.only_clear or state.plan.missing is None:
        return dict(shortfall)
    return {(trait, pole): max(shortfall[trait, each] for each in POLES) for trait, pole in shortfall}


def _without_stored(plan: Plan) -> Plan:
    """Return the plan without samples that do not affect the choice. It is pickled, and a model may have a million."""
    variations = as_stored(plan.model.existing.attached).list_variations()
    seeds = plan.model.seeds if plan.synth_type == "diversify" else ()
    existing = Existing(attached=variations, refused=plan.model.existing.refused)
    return replace(plan, model=replace(plan.model, seeds=seeds, texts=OwnTexts(), existing=existing))
