"""Rounds of a run: its cells are asked for, screened and chosen among, until the quotas are met."""

from prefect import get_run_logger

from engine.choosing.rounds import Rounds
from engine.domain.progress import CallsPlanned, KeptCounted, LastCall, Progress, StageBegun
from engine.errors import BudgetError
from engine.estimate.estimate import Estimate, explain_budget
from engine.text.formatting import count_noun
from flows.run.resources import LanguageModels, RunResources
from tasks.generate import generate
from tasks.screen import screen


async def run_rounds(
    rounds: Rounds, models: LanguageModels, progress: Progress, expected: Estimate, resources: RunResources
) -> None:
    """Asks, screens and chooses, round by round, until the quotas are met or the rounds are spent."""
    gateway, voting_judge = models.gateway, models.voting_judge
    progress.report(KeptCounted(rounds.count_kept(), rounds.plan.quotas))
    place = rounds.plan.plan_id, rounds.plan.model.handle
    async with gateway.holding(rounds.subjects_plan_id), gateway.keeping(*place), voting_judge.keeping(*place):
        while cells := rounds.next_cells():
            progress.report(StageBegun(f"Round {rounds.round_no}: {count_noun(len(cells), 'cell')}"))
            progress.report(CallsPlanned(len(cells)))
            try:
                exemplars = await generate(rounds, cells, gateway, progress, resources.run_heavy, resources.call)
                await resources.call(screen, rounds, exemplars, gateway, voting_judge, progress, resources.run_heavy)
            except BudgetError as error:
                if not rounds.choice.complete:
                    kept, lacking = len(rounds.choice.chosen), sum(rounds.choice.shortfall.values())
                    raise explain_budget(error, expected, gateway.budget.spent_usd, kept, lacking) from error
                # The quotas are met: what more money would have made better is no reason to lose them.
                get_run_logger().warning("%s", error)
                break
            progress.report(KeptCounted(rounds.count_kept(), rounds.plan.quotas))
    progress.report(LastCall())
    progress.report(StageBegun("Check"))
