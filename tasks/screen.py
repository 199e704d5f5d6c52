"""Steps 4 and 5, screen and choose: a round's exemplars are held against the rules, judged, and chosen among."""

from collections.abc import Sequence

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.asking import Asker
from engine.choose import Choice
from engine.judge import MIN_AUC, audition, judge_standing
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
    trusted = await find_trusted(rounds, asker)
    progress.report(CallsPlanned(sum(exemplar.stands and exemplar.trait in trusted for exemplar in screened)))
    judged = await judge_standing(rounds.plan.model, screened, asker, rounds.plan.seed, trusted)
    choice = rounds.take(judged)
    logger = get_run_logger()
    logger.info(
        "Round %d: %d chosen, rejected: %s", rounds.round_no, len(choice.chosen), count_reasons(choice.rejected)
    )
    votes = count_votes(exemplar.votes for exemplar in judged)
    if votes.votes:
        logger.info("Round %d: %s", rounds.round_no, tell_votes(votes))
    return choice


async def find_trusted(rounds: Rounds, asker: Asker) -> frozenset[str]:
    """The traits that the synth model itself may judge, by its audition before the first round's exemplars."""
    if rounds.round_no == 1:
        rounds.judge_aucs = await audition(rounds.plan.model, asker, rounds.plan.seed)
        for trait, auc in rounds.judge_aucs.items():
            get_run_logger().info("%s: the judge tells unseen seeds apart with an AUC of %.2f", trait, auc)
    return frozenset(trait for trait, auc in rounds.judge_aucs.items() if auc >= MIN_AUC)
