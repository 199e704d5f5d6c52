"""Steps 4 and 5, screen and choose: a round's exemplars are held against the rules, judged, and chosen among."""

from collections.abc import Sequence

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.asking import Asker
from engine.choose import Choice
from engine.judge import can_judge, judge_standing
from engine.jury import Jury
from engine.progress import CallsPlanned, Progress
from engine.report_words import tell_votes
from engine.rounds import Rounds
from engine.samples import Exemplar
from engine.screen import count_reasons
from engine.votes import count_votes


@task(name="screen", cache_policy=NO_CACHE, persist_result=False)
async def screen(rounds: Rounds, exemplars: Sequence[Exemplar], asker: Asker, jury: Jury, progress: Progress) -> Choice:
    """What is chosen after this round, and why everything else is not."""
    screened = await jury.judge(rounds.plan, rounds.screen(exemplars), progress)
    standing = [
        exemplar for exemplar in screened if exemplar.stands and can_judge(rounds.plan.model, exemplar.trait, asker)
    ]
    progress.report(CallsPlanned(len(standing)))
    judged = await judge_standing(rounds.plan.model, screened, asker, rounds.plan.seed)
    choice = rounds.take(judged)
    logger = get_run_logger()
    logger.info(
        "Round %d: %d chosen, rejected: %s", rounds.round_no, len(choice.chosen), count_reasons(choice.rejected)
    )
    votes = count_votes(exemplar.votes for exemplar in judged)
    if votes.votes:
        logger.info("Round %d: %s", rounds.round_no, tell_votes(votes))
    return choice
