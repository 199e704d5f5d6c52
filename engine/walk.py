"""The rounds walked without an orchestrator: what a replay and the benchmarks do, by the steps that the tasks call."""

from engine.asking import Asker
from engine.generate import generate_cell
from engine.judge import MIN_AUC, audition, judge_standing
from engine.jury import Jury
from engine.progress import CallsPlanned, Progress
from engine.rounds import Rounds
from engine.samples import Exemplar
from engine.together import run_together


async def walk_rounds(rounds: Rounds, asker: Asker, jury: Jury, progress: Progress) -> None:
    """Asks, screens and chooses, round by round, until the quotas are met or the rounds are spent.

    Raises:
        ProviderError, BudgetError, StoreError: as ``Asker.ask``.
    """
    while cells := rounds.next_cells():
        made = await run_together(generate_cell(rounds.plan, cell, asker, rounds.language) for cell in cells)
        rounds.take(await judge_round(rounds, [item for cell in made for item in cell], asker, jury, progress))


async def judge_round(
    rounds: Rounds, exemplars: list[Exemplar], asker: Asker, jury: Jury, progress: Progress
) -> list[Exemplar]:
    """A round's exemplars after the rules, the jury's votes and the judge in context, where its word is worth having.

    Before the first round the judge has its audition on the seeds.
    """
    plan = rounds.plan
    screened = await jury.judge(plan, rounds.screen(exemplars), progress)
    if rounds.round_no == 1:
        rounds.judge_aucs = await audition(plan.model, asker, plan.seed)
    trusted = {trait for trait, auc in rounds.judge_aucs.items() if auc >= MIN_AUC}
    progress.report(CallsPlanned(sum(exemplar.stands and exemplar.trait in trusted for exemplar in screened)))
    return await judge_standing(plan.model, screened, asker, plan.seed, trusted)
