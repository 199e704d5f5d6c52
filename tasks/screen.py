"""Steps 4 and 5, screen and choose: a round's exemplars are held against the rules, judged, and chosen among."""

from collections.abc import Sequence

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.asking import Asker
from engine.choose import Choice
from engine.judge import is_heard
from engine.jury import Jury
from engine.progress import Progress
from engine.report_words import tell_votes
from engine.rounds import Rounds
from engine.samples import Exemplar
from engine.screen import count_reasons
from engine.votes import count_votes
from engine.walk import judge_round


@task(name="screen", cache_policy=NO_CACHE, persist_result=False)
async def screen(rounds: Rounds, exemplars: Sequence[Exemplar], asker: Asker, jury: Jury, progress: Progress) -> Choice:
    """What is chosen after this round, and why everything else is not."""
    judged = await judge_round(rounds, list(exemplars), asker, jury, progress)
    choice = rounds.take(judged)
    logger = get_run_logger()
    for trait, auc in rounds.judge_aucs.items() if rounds.round_no == 1 else ():
        if is_heard(rounds.plan.model, trait):
            logger.info("%s: the judge tells unseen seeds apart with an AUC of %.2f", trait, auc)
    logger.info(
        "Round %d: %d chosen, rejected: %s", rounds.round_no, len(choice.chosen), count_reasons(choice.rejected)
    )
    votes = count_votes(exemplar.votes for exemplar in judged)
    if votes.votes:
        logger.info("Round %d: %s", rounds.round_no, tell_votes(votes))
    return choice
