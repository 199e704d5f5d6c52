"""Steps 4 and 5, screen and choose: check a round's exemplars with the rules, judge them, and choose."""

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

# With this many, the choice takes at least .15 s, twice the time to send it to another process (two cores).
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
    """Return the choice after this round: the chosen exemplars, and the rejected ones with their reasons."""
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
            logger.info("%s: the judge separates unseen seeds with an AUC of %.2f", trait, auc)
    reasons = count_reasons(choice.rejected)
    extra = {"round": rounds.round_no, "chosen": len(choice.chosen), "rejected": reasons}
    counts = ", ".join(f"{name_reason(reason)} {count}" for reason, count in reasons.items()) or "nothing else"
    logger.info(
        "Round %d: %d chosen; %s: %s", rounds.round_no, len(choice.chosen), count_others(choice), counts, extra=extra
    )
    votes = count_votes(exemplar.votes for exemplar in judged)
    if votes.votes:
        logger.info("Round %d: %s", rounds.round_no, describe_votes(votes))
