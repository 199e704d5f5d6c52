"""Steps 4 and 5, screen and choose: a round's exemplars are held against the rules, judged, and chosen among."""

from collections.abc import Sequence

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.choosing.choice import Choice
from engine.choosing.rounds import Rounds
from engine.domain.progress import Progress
from engine.domain.samples import Exemplar, count_reasons
from engine.domain.votes import count_votes
from engine.llm.gateway.model_gateway import ModelGateway
from engine.report.wording import count_others, describe_votes
from engine.run.pipeline import judge_round
from engine.screening.in_context_judge import list_calibration_examples
from engine.screening.voting_judge import VotingJudge
from engine.system.worker_process import Executor, run_here
from engine.text.formatting import name_reason
from expectations.own_suites import make_own_rules

# From so many on the choice takes .15 s and more, twice what it takes to send it to another process (two cores).
MANY_EXEMPLARS = 2_000


@task(name="screen", task_run_name="round {rounds.round_no}: screen", cache_policy=NO_CACHE, persist_result=False)
async def screen(
    rounds: Rounds,
    exemplars: Sequence[Exemplar],
    gateway: ModelGateway,
    voting_judge: VotingJudge | None,
    progress: Progress,
    run_in_worker: Executor = run_here,
) -> Choice:
    """The choice after this round: what is chosen, and why everything else is not."""
    own_rules = make_own_rules(rounds.plan, run_in_worker)
    judged = await judge_round(rounds, list(exemplars), gateway, voting_judge, progress, own_rules)
    judged = rounds.screen_meanings(judged)
    decide = rounds.prepare_choice(judged)
    choice = rounds.adopt(await run_in_worker(decide) if len(rounds.exemplars) >= MANY_EXEMPLARS else decide())
    _log_choice(rounds, choice, judged)
    return choice


def _log_choice(rounds: Rounds, choice: Choice, judged: Sequence[Exemplar]) -> None:
    logger = get_run_logger()
    for trait, auc in rounds.judge_aucs.items() if rounds.round_no == 1 else ():
        if list_calibration_examples(rounds.plan.model, trait):
            logger.info("%s: the judge tells unseen seeds apart with an AUC of %.2f", trait, auc)
    reasons = count_reasons(choice.rejected)
    told = {"round": rounds.round_no, "chosen": len(choice.chosen), "rejected": reasons}
    found = ", ".join(f"{name_reason(reason)} {count}" for reason, count in reasons.items()) or "nothing else"
    logger.info(
        "Round %d: %d chosen; %s: %s", rounds.round_no, len(choice.chosen), count_others(choice), found, extra=told
    )
    votes = count_votes(exemplar.votes for exemplar in judged)
    if votes.votes:
        logger.info("Round %d: %s", rounds.round_no, describe_votes(votes))
